//! Workers and coordinators of several versions: restarted one after the other, and documents that one cannot read.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nstore_shared::{
    chunk::Chunk,
    storage::{
        Storage,
        marker::{Marker, Outcome},
    },
};
use nstore_tests::{
    context::own_redis,
    simulator::{Api, Options},
};
use serde_json::Value;

use crate::house::{House, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --upload";
const APIS: [Api; 2] = [Api::BuyerOrders, Api::SellerOrders];

fn manifest_of(house: &House, run: &str) -> PathBuf {
    house.context.storage.dir.join("runs").join(run).join("manifest.json")
}

/// Puts a document into storage in one step, as stores do.
fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// Gives a document of storage another version; its text before.
fn set_version(path: &Path, version: u32) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    let mut document: Value = serde_json::from_slice(&before).unwrap();
    document["version"] = version.into();
    replace(path, serde_json::to_vec(&document).unwrap());
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_serve_restarted_one_after_the_other_lose_nothing() {
    let latency = Duration::from_millis(60);
    let house = House::with(Options { rows_per_day: 800, latency, ..Options::default() }).await;
    let mut workers = vec![house.worker(2), house.worker(2), house.worker(2)];
    let mut serve = house.nstore("serve").start();
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    eventually(|| async { (house.simulator.requests().len() >= 6).then_some(()) }).await;
    for _ in 0..3 {
        let old = workers.remove(0);
        workers.push(house.worker(2));
        old.sigterm();
        let exit = old.wait_exit(LONG).await;
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        serve.sigterm();
        let ended = std::mem::replace(&mut serve, house.nstore("serve").start());
        assert_eq!(ended.wait_exit(LONG).await.code, Some(0));
    }
    eventually(|| async {
        let exit = house.run(&format!("status {run} --json")).await;
        let status: Value = serde_json::from_str(&exit.stdout).unwrap();
        (status["verdict"] == "complete").then_some(())
    })
    .await;
    house.assert_equal(&APIS, "2025-08-01", "2025-08-12").await;
    for source in ["buyer_orders", "seller_orders"] {
        let markers = house.markers(source, &run);
        assert_eq!(markers.len(), 12);
        assert!(markers.iter().all(|marker| marker["grant"]["attempt"] == 1), "a restart is no failed try");
        assert_eq!(house.files(source, &run, ".csv").len(), 12, "one artifact each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_newer_version_is_left_to_newer_ones_and_disturbs_no_other() {
    let house = House::with(Options { rows_per_day: 30, ..Options::default() }).await;
    house.good(&format!("{RUN} --detach")).await;
    let newer = house.newest_run().await;
    let before = set_version(&manifest_of(&house, &newer), 2);
    let mut worker = house.worker(2);
    worker.wait_for("left to other workers", LONG).await;
    // another run of the same sources is worked off beside it, and loaded
    let other = house.good(RUN).await;
    assert!(other.stderr.contains("cannot be looked at"), "{}", other.stderr);
    house.assert_equal(&APIS, "2025-08-01", "2025-08-12").await;
    let storage = Storage::open(&house.context.storage.url).unwrap();
    for source in ["buyer_orders", "seller_orders"] {
        assert!(house.files(source, &newer, "").is_empty(), "nothing of it is extracted or discarded");
    }
    // a coordinator refuses it as clearly
    let status = house.run(&format!("status {newer}")).await;
    assert_eq!(status.code, Some(1), "{}", status.stderr);
    for part in ["version 2", "version 1", "update nstore"] {
        assert!(status.stderr.contains(part), "{part}: {}", status.stderr);
    }
    let runs = house.good("runs").await;
    assert!(runs.stderr.contains(&format!("run {newer} is passed over")), "{}", runs.stderr);
    assert_eq!(runs.stdout.matches("loaded").count(), 1, "{}", runs.stdout);

    // one that can read it finishes it, and no try was counted
    replace(&manifest_of(&house, &newer), before);
    house.good(&format!("resume {newer}")).await;
    let id = newer.parse().unwrap();
    assert_eq!(storage.standing(&"buyer_orders".parse().unwrap(), &id).await.unwrap().len(), 12);
    for marker in house.markers("buyer_orders", &newer) {
        assert_eq!(marker["grant"]["attempt"], 1);
    }
    worker.sigterm();
    let log = worker.wait_exit(LONG).await.stderr;
    let said = log.lines().filter(|line| line.contains("left to other workers")).count();
    assert_eq!(said, 1, "{log}");
    assert!(log.contains("version 2") && log.contains("version 1") && log.contains("update nstore"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_of_a_newer_version_is_neither_overwritten_nor_read() {
    let house = House::with(Options { rows_per_day: 30, ..Options::default() }).await;
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    let storage = Storage::open(&house.context.storage.url).unwrap();
    let manifest = storage.manifest(&run.parse().unwrap()).await.unwrap().unwrap();
    let plan = &manifest.sources[0];
    let chunk = Chunk { source: plan.source.clone(), run: manifest.run.clone(), range: plan.chunks[3] };
    let class = nstore_shared::retry::FailureClass::Data;
    let marker = Marker::discarded_by_coordinator(chunk, 1, class, "x".into(), chrono::Utc::now());
    assert!(matches!(marker.outcome, Outcome::Discarded { .. }));
    storage.create_marker(&marker).await.unwrap();
    let path = house.files("buyer_orders", &run, ".g1.json").remove(0);
    set_version(&path, 2);
    let written = std::fs::read(&path).unwrap();
    let mut worker = house.worker(2);
    worker.wait_for("left to other workers", LONG).await;
    eventually(|| async { (house.files("buyer_orders", &run, ".g1.json").len() == 12).then_some(()) }).await;
    assert_eq!(std::fs::read(&path).unwrap(), written);
    let status = house.run(&format!("status {run}")).await;
    assert_eq!(status.code, Some(1), "{}", status.stderr);
    assert!(status.stderr.contains("version 2") && status.stderr.contains("version 1"), "{}", status.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_a_newer_version_has_worked_on_is_refused_in_one_line() {
    let mut house = House::with(Options { rows_per_day: 30, ..Options::default() }).await;
    let own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    house.good(&format!("{RUN} --detach")).await;
    let meta = format!("{}:{{buyer_orders}}:meta", house.context.redis.prefix);
    let newer = std::process::Command::new("redis-cli")
        .args(["-u", &own.url(), "HSET", &meta, "v", "2"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&newer.stdout).trim(), "0", "it had a version: {newer:?}");
    let mut worker = house.worker(2);
    worker.wait_for("left to newer workers", LONG).await;
    let run = house.newest_run().await;
    // the other source goes on
    eventually(|| async { (house.files("seller_orders", &run, ".g1.json").len() == 12).then_some(()) }).await;
    let status = house.run(&format!("status {run}")).await;
    assert_eq!(status.code, Some(1), "{}", status.stderr);
    assert!(status.stderr.contains("format 2") && status.stderr.contains("format 1"), "{}", status.stderr);
    tokio::time::sleep(Duration::from_secs(2)).await;
    worker.sigterm();
    let exit = worker.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert_eq!(
        exit.stderr.lines().filter(|line| line.contains("left to newer")).count(),
        1,
        "{}",
        exit.stderr
    );
    assert!(house.files("buyer_orders", &run, "").is_empty());
}
