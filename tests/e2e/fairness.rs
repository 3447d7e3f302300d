//! A source with a hundred thousand chunks beside a small one.

use std::time::{Duration, Instant};

use nstore_tests::simulator::{Api, Options};

use crate::house::{House, eventually};

/// Ninety years and more each, in chunks of a day: 100,200 of them.
const HUGE: [&str; 3] = [
    "--start-date 1930-01-01 --end-date 2021-06-10",
    "--start-date 2021-06-11 --end-date 2112-11-18",
    "--start-date 2112-11-19 --end-date 2204-04-28",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_source_does_not_delay_a_small_one() {
    let latency = Duration::from_millis(30);
    let house = House::with(Options { rows_per_day: 10, latency, ..Options::default() }).await;
    let mut chunks = 0;
    for days in HUGE {
        let run = format!("extract {days} --sources buyer_orders --chunk-sizes buyer_orders:1 --detach");
        house.good(&run).await;
        let run = house.runs().pop().unwrap();
        let manifest = house.context.storage.dir.join("runs").join(run).join("manifest.json");
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
        chunks += manifest["sources"][0]["chunks"].as_array().unwrap().len();
    }
    assert!(chunks >= 100_000, "{chunks}");
    let _worker = house.worker(4);
    eventually(|| async { (house.simulator.requests().len() > 20).then_some(()) }).await;

    let folder = house.context.storage.dir.join("runs");
    // names alone: to read these manifests takes longer than what is measured
    let runs = || std::fs::read_dir(&folder).unwrap().count();
    let before = runs();
    let small = house
        .nstore("extract --start-date 2025-08-01 --end-date 2025-08-01 --sources seller_orders --detach")
        .start();
    eventually(|| async { (runs() > before).then_some(()) }).await;
    let there = Instant::now();
    eventually(|| async { (house.simulator.max_in_flight(Api::SellerOrders) > 0).then_some(()) }).await;
    let first = there.elapsed();
    drop(small);
    println!("the first request of the small source came {first:?} after its run was there");
    assert!(first < Duration::from_secs(1), "{first:?}");
    // and the runs of the huge one share it by turns
    let run_of = |run: &String| house.files("buyer_orders", run, ".json").len();
    let each: Vec<usize> = house.runs()[..3].iter().map(run_of).collect();
    assert!(
        each.iter().all(|count| *count > 0) && each.iter().max().unwrap() - each.iter().min().unwrap() <= 8,
        "{each:?}"
    );
}
