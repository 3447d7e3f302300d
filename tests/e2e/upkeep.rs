//! What lost tries and killed workers leave goes by itself, and nothing else does.

use std::{path::PathBuf, time::Duration};

use nstore_tests::simulator::Api;

use crate::house::{House, LONG, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-04";

/// All files of the storage but the marks of ended runs, relative to it.
fn stored(house: &House) -> Vec<PathBuf> {
    let root = &house.context.storage.dir;
    let (mut folders, mut files) = (vec![root.clone()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if !entry.path().starts_with(root.join("ended")) {
                files.push(entry.path().strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// A finished run, and what a lost try of its first chunk, a killed writer and a killed export would leave beside it.
/// Answers the run, its own files, and the others.
async fn littered(house: &House) -> (String, Vec<PathBuf>, Vec<PathBuf>) {
    let _worker = house.worker(4);
    house.good(&format!("extract {DAYS} --sources buyer_orders --chunk-sizes buyer_orders:2 --upload")).await;
    let run = house.newest_run().await;
    let own = stored(house);
    let (chunks, range) = (format!("chunks/buyer_orders/{run}"), "2025-08-01_2025-08-03");
    let litter = [
        format!("{chunks}/{range}.g1.lost-1-s0-7.csv"),
        format!("{chunks}/{range}.g1.lost-1-s0-7.rejects.jsonl"),
        format!("{chunks}/{range}.g1.lost-1-s0-8.csv#1"),
        format!("failures/buyer_orders/{run}/{range}.g1.lost-1-s0-7/step.json"),
        format!("processed/buyer_orders/{run}.csv#1"),
    ];
    let litter: Vec<PathBuf> = litter.into_iter().map(PathBuf::from).collect();
    for file in &litter {
        let path = house.context.storage.dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left behind").unwrap();
    }
    assert_eq!(stored(house).len(), own.len() + litter.len());
    (run, own, litter)
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_removes_what_nothing_refers_to_once_it_is_old_enough() {
    let house = House::with_rows(20).await;
    let (run, own, litter) = littered(&house).await;
    // young as it is, it stays
    let mut serve = house.nstore("serve --clean-every 1s").start();
    serve.wait_for("serving", LONG).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stored(&house).len(), own.len() + litter.len(), "{}", serve.stderr());
    drop(serve);

    let mut serve = house.nstore("serve --clean-every 1s --grace 1s").start();
    serve.wait_for("removed what nothing refers to", LONG).await;
    eventually(|| async { (stored(&house) == own).then_some(()) }).await;
    // and again: what comes later, of a run that was in order before
    let late = house.context.storage.dir.join(&litter[0]);
    std::fs::write(&late, "left behind").unwrap();
    eventually(|| async { (!late.exists()).then_some(()) }).await;
    assert_eq!(stored(&house), own);
    assert!(serve.is_running());
    house.good(&format!("load {run}")).await;
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-04").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_without_grace_removes_it_by_hand_and_shows_it_first() {
    let house = House::with_rows(20).await;
    let (_, own, litter) = littered(&house).await;
    let spared = house.good("clean --yes").await.stdout;
    assert!(spared.contains("nothing to remove"), "{spared}");
    let shown = house.good("clean --grace 0s").await.stdout;
    assert!(shown.contains("would remove 0 runs and 3 files"), "{shown}");
    assert!(shown.contains("2 unfinished uploads"), "{shown}");
    assert_eq!(stored(&house).len(), own.len() + litter.len());
    house.good("clean --grace 0s --yes").await;
    assert_eq!(stored(&house), own);
    let staged = "SELECT count(*) FROM pg_class WHERE relname LIKE 'nstore\\_stage%'";
    assert_eq!(house.number(staged).await, 0, "no table of a load is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_try_left_goes_when_its_run_is_cancelled_and_not_before() {
    let house = House::with_rows(20).await;
    house.good(&format!("extract {DAYS} --sources buyer_orders --chunk-sizes buyer_orders:2 --detach")).await;
    let run = house.newest_run().await;
    let left = format!("chunks/buyer_orders/{run}/2025-08-01_2025-08-03.g1.lost-1-s0-7.csv");
    let left = house.context.storage.dir.join(left);
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "left behind").unwrap();
    house.good("clean --grace 0s --yes").await;
    assert!(left.exists(), "its outcome may still come");
    house.good(&format!("cancel {run}")).await;
    house.good("clean --grace 0s --yes").await;
    assert!(!left.exists());
    let mut ended = house.markers("buyer_orders", &run);
    ended.retain(|document| document.get("outcome").is_some());
    assert_eq!(
        ended.len(),
        1,
        "the chunk of what went can have no other outcome, the other chunk has none: {ended:?}"
    );
    assert_eq!(ended[0]["outcome"]["error"], "its run was cancelled and cleaned");
    let letters = house.good("discarded list").await.stdout;
    assert!(!letters.contains(&run), "nobody could do anything about it: {letters}");
    let again = house.good("clean --grace 0s --yes").await.stdout;
    assert!(again.contains("nothing to remove"), "{again}");
}
