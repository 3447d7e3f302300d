//! Documents in storage that are forged, damaged or of a newer nstore: they are named, and keep nobody from the others.

use std::{fs, path::Path, time::Duration};

use nstore_tests::{context::Running, simulator::Api};
use serde_json::{Value, json};

use crate::house::{House, LONG, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-02";
/// No command needs more; one that follows halves in a circle takes all there is within a minute.
const MAX_MEMORY_KB: u64 = 400_000;

/// What becomes of a marker.
type Harm = fn(Value) -> String;

/// What is put in a marker's place, and the reason that is told.
const HARMS: [(&str, Harm, &str); 4] = [
    ("a split that names itself", |marker| halves(marker, "2025-08-01_2025-08-02"), "are not the halves of"),
    (
        "a split that names other days",
        |marker| halves(marker, "2025-08-02_2025-08-03"),
        "are not the halves of",
    ),
    ("a newer version", newer, "format version 99"),
    ("no document", |_| "{\"version\": ".to_owned(), "is not understood"),
];

fn halves(mut marker: Value, range: &str) -> String {
    marker["outcome"] = json!({ "type": "split", "halves": [range, range] });
    marker.to_string()
}

fn newer(mut marker: Value) -> String {
    marker["version"] = 99.into();
    marker.to_string()
}

async fn extracted(house: &House, source: &str, more: &str) -> String {
    house.good(&format!("extract {DAYS} --sources {source} --chunk-sizes {source}:1 {more}")).await;
    house.newest_run().await
}

fn memory_kb(process: &Running) -> u64 {
    let path = format!("/proc/{}/status", process.pid());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Puts a document in the place of a marker of the run's first day; answers its file name.
fn harm(house: &House, run: &str, with: Harm) -> String {
    let marker = house.files("buyer_orders", run, ".g1.json").remove(0);
    let original = marker.with_extension("original");
    if !original.exists() {
        fs::rename(&marker, &original).unwrap();
    }
    let document = serde_json::from_slice(&fs::read(&original).unwrap()).unwrap();
    // in one step, as any store does it
    let beside = marker.with_extension("new");
    fs::write(&beside, with(document)).unwrap();
    fs::rename(beside, &marker).unwrap();
    file_name(&marker)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_unreadable_marker_is_named_and_hides_no_other_run() {
    let house = House::with_rows(60).await;
    let _worker = house.worker(2);
    let whole = extracted(&house, "seller_orders", "--upload").await;
    let harmed = extracted(&house, "buyer_orders", "").await;
    for (what, with, reason) in HARMS {
        let name = harm(&house, &harmed, with);
        for list in ["runs", "clean --older-than 0s", "discarded list", "rejects list"] {
            let listed = house.good(list).await;
            let told = format!("{}{}", listed.stdout, listed.stderr);
            assert!(told.contains(&name) && told.contains(reason), "{what}: {list}: {told}");
            assert!(told.contains(&harmed), "{what}: {list}: {told}");
        }
        let others = house.good("runs").await.stdout;
        assert!(others.contains(&whole), "{what}: {others}");
        let goes = house.good("clean --older-than 0s").await.stdout;
        assert!(goes.contains("would remove 1 run"), "{what}: {goes}");
        for verb in ["status", "load", "resume", "export"] {
            let exit = house.run(&format!("{verb} {harmed}")).await;
            assert!(!matches!(exit.code, Some(0) | None), "{what}: {verb}: {}", exit.stdout);
            assert!(exit.stderr.contains(&name), "{what}: {verb}: {}", exit.stderr);
            assert!(exit.stderr.contains(reason), "{what}: {verb}: {}", exit.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_goes_on_with_other_runs_beside_forged_and_unreadable_documents() {
    let house = House::with_rows(60).await;
    let _worker = house.worker(2);
    for (_, with, _) in HARMS {
        let run = extracted(&house, "buyer_orders", "").await;
        harm(&house, &run, with);
    }
    let daemon = house.nstore("serve --clean-every 1s").start();
    house.good(&format!("extract {DAYS} --sources seller_orders --upload --detach")).await;
    eventually(|| async {
        let status = house.run(&format!("status {} --json", house.runs().pop()?)).await;
        status.stdout.contains("\"complete\"").then_some(())
    })
    .await;
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-02").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = memory_kb(&daemon);
    assert!(memory < MAX_MEMORY_KB, "{memory} kB");
    daemon.sigterm();
    assert_eq!(daemon.wait_exit(LONG).await.code, Some(0));
}
