//! One machine and nothing running: `--local` stops what it started however it ends, and goes on later.

use std::time::Duration;

use nstore_tests::simulator::{Api, Options};

use crate::house::{House, LONG, eventually};

const RUN: &str = "--local extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --upload";

/// Enough to do for a signal to come in the middle.
async fn slow_house() -> House {
    let latency = Duration::from_millis(60);
    House::with(Options { rows_per_day: 400, latency, ..Options::default() }).await
}

/// Waits until chunks are under way.
async fn is_under_way(house: &House) {
    eventually(|| async { (house.simulator.requests().len() >= 6).then_some(()) }).await;
}

/// The tables in `.nstore/` equal the truth, after `resume` went on with the newest run there.
async fn assert_resumed(house: &House) {
    let runs = good(house, &["--local", "runs", "--json"]).await;
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    good(house, &["--local", "resume", runs[0]["run"].as_str().unwrap()]).await;
    for api in [Api::BuyerOrders, Api::SellerOrders] {
        let truth = house.simulator.truth(api, "2025-08-01".parse().unwrap(), "2025-08-12".parse().unwrap());
        let sql = format!("SELECT count(*) FROM {}", api.name());
        let told = good(house, &["local", "psql", "--", "-Atc", &sql]).await;
        assert_eq!(told.trim().parse::<u64>().unwrap(), truth.rows, "{}", api.name());
    }
}

/// What `nstore` says, to an end with exit code 0.
async fn good(house: &House, args: &[&str]) -> String {
    let exit = house.local().args(args).run(LONG).await;
    assert_eq!(exit.code, Some(0), "nstore {args:?}\n{}\n{}", exit.stdout, exit.stderr);
    exit.stdout
}

/// No server or worker that works in this house's folder is left.
async fn assert_all_ended(house: &House) {
    let works_here = |entry: std::fs::DirEntry| {
        let cwd = std::fs::read_link(entry.path().join("cwd"));
        cwd.is_ok_and(|cwd| cwd.starts_with(&house.context.dir))
    };
    eventually(|| async {
        let working = std::fs::read_dir("/proc").unwrap().flatten().any(works_here);
        (!working).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_drains_and_stops_and_resume_goes_on() {
    let house = slow_house().await;
    let job = house.local().args(RUN.split_whitespace()).start();
    is_under_way(&house).await;
    job.sigint();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("nstore --local resume"), "{}", exit.stderr);
    assert_all_ended(&house).await;
    assert_resumed(&house).await;
    assert_all_ended(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_one_leaves_what_the_next_one_ends_and_goes_on_with() {
    let house = slow_house().await;
    let job = house.local().args(RUN.split_whitespace()).start();
    is_under_way(&house).await;
    job.kill9();
    assert_resumed(&house).await;
    assert_all_ended(&house).await;
}
