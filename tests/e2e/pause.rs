//! Pause and unpause of a run and of a source: kept in storage, whatever becomes of Redis.

use std::{process::Command, time::Duration};

use nstore_tests::{
    context::own_redis,
    simulator::{Api, Options},
};
use serde_json::Value;

use crate::house::{House, LEASE, LONG, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-10";
const RUN: &str = "--sources buyer_orders --chunk-sizes buyer_orders:1 --parallel-workers 2 --upload";

async fn slow_house() -> House {
    let latency = Duration::from_millis(400);
    House::with(Options { rows_per_day: 100, latency, ..Options::default() }).await
}

/// Waits until no request came for a while; answers how many there were.
async fn rest(house: &House) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = house.simulator.requests().len();
        if now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
}

async fn json(house: &House, args: &str) -> Value {
    let exit = house.run(&format!("{args} --json")).await;
    serde_json::from_str(&exit.stdout)
        .unwrap_or_else(|e| panic!("{args}: {e}\n{}\n{}", exit.stdout, exit.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_finishes_what_runs_and_goes_on_when_it_may() {
    let house = slow_house().await;
    let _worker = house.worker(2);
    let mut job = house.nstore(&format!("extract {DAYS} {RUN}")).start();
    let run = house.newest_run().await;
    eventually(|| async { (house.simulator.requests().len() >= 2).then_some(()) }).await;
    let told = house.good(&format!("pause {run} --reason moving")).await;
    assert!(told.stdout.contains(&format!("nstore unpause {run}")), "{}", told.stdout);
    let asked = rest(&house).await;
    let stored = house.files("buyer_orders", &run, ".g1.json").len();
    assert!(asked < 10 && stored == asked, "{stored} stored of {asked} that were asked for");
    job.wait_for("paused: moving", LONG).await;

    let status = json(&house, &format!("status {run}")).await;
    let of_source = &status["sources"][0]["status"];
    assert_eq!(status["verdict"], "open");
    assert_eq!(
        (&of_source["paused"]["reason"], &of_source["paused"]["scope"]),
        (&"moving".into(), &"run".into())
    );
    assert_eq!(of_source["loaded_chunks"], stored, "what is stored is loaded");
    let shown = house.run(&format!("status {run}")).await;
    assert!(shown.stdout.contains(": moving; go on: nstore unpause"), "{}", shown.stdout);
    assert_eq!(json(&house, "runs").await[0]["state"], "paused");
    // the first reason stands
    assert_eq!(json(&house, &format!("pause {run} --reason other")).await["reason"], "moving");

    let gone = json(&house, &format!("unpause {run}")).await;
    assert_eq!(gone["paused"], false);
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("unpaused"), "{}", exit.stderr);
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-10").await;
    assert!(house.good(&format!("unpause {run}")).await.stdout.contains("was not paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_redis_and_its_word_is_not_needed() {
    let mut house = slow_house().await;
    let own = own_redis(true);
    let url = own.url();
    house.env.push(("NSTORE_REDIS_URL".into(), url.clone()));
    let worker = house.worker(2);
    let job = house.nstore(&format!("extract {DAYS} {RUN}")).start();
    let run = house.newest_run().await;
    eventually(|| async { (house.simulator.requests().len() >= 2).then_some(()) }).await;
    // nobody tells redis: the address is wrong
    house.env.pop();
    house.env.push(("NSTORE_REDIS_URL".into(), "redis://127.0.0.1:1".into()));
    let told = house.good(&format!("pause {run}")).await;
    assert!(told.stderr.contains("heed the pause"), "{}", told.stderr);
    house.env.pop();
    house.env.push(("NSTORE_REDIS_URL".into(), url.clone()));
    let asked = rest(&house).await;
    assert!(asked < 10, "{asked}");
    let flushed = Command::new("redis-cli").args(["-u", &url, "FLUSHALL"]).output().unwrap();
    assert!(flushed.status.success());
    // longer than the quiet time after it
    tokio::time::sleep(LEASE * 3).await;
    assert_eq!(house.simulator.requests().len(), asked);
    house.good(&format!("unpause {run}")).await;
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-10").await;
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_holds_all_its_runs_and_no_other_source() {
    let house = slow_house().await;
    let _worker = house.worker(2);
    house.good("pause --source buyer_orders --reason closed").await;
    let both = format!("extract {DAYS} --sources buyer_orders,seller_orders --upload");
    let mut job = house.nstore(&both).start();
    job.wait_for("nstore unpause --source buyer_orders", LONG).await;
    let run = house.newest_run().await;
    eventually(|| async {
        let status = json(&house, &format!("status {run}")).await;
        (status["sources"][1]["verdict"] == "complete").then_some(())
    })
    .await;
    assert_eq!(house.simulator.max_in_flight(Api::BuyerOrders), 0);
    let unknown = house.run("pause --source buyer_order").await;
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("buyer_orders"), "{}", unknown.stderr);
    house.good("unpause --source buyer_orders").await;
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_is_cancelled_like_any_other() {
    let house = slow_house().await;
    let _worker = house.worker(2);
    let job = house.nstore(&format!("extract {DAYS} {RUN}")).start();
    let run = house.newest_run().await;
    eventually(|| async { (house.simulator.requests().len() >= 2).then_some(()) }).await;
    house.good(&format!("pause {run}")).await;
    house.good(&format!("cancel {run}")).await;
    let rows = house.number("SELECT count(*) FROM buyer_orders").await;
    let exit = job.wait_exit(LONG).await;
    assert!(matches!(exit.code, Some(1 | 3)), "{:?} {}", exit.code, exit.stderr);
    assert_eq!(json(&house, "runs").await[0]["state"], "cancelled");
    house.good(&format!("unpause {run}")).await;
    tokio::time::sleep(LEASE).await;
    assert_eq!(house.number("SELECT count(*) FROM buyer_orders").await, rows);
    let refused = house.run(&format!("pause {run}")).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("cancelled"), "{}", refused.stderr);
}
