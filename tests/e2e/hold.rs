//! What keeps a source or a worker from its work is shown: a source on hold, a worker that looks at another storage.

use nstore_tests::simulator::{
    Api, Options,
    faults::{Fault, FaultKind},
};
use serde_json::Value;

use crate::house::{House, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-03 --sources buyer_orders \
                   --chunk-sizes buyer_orders:1 --parallel-workers 1 --upload";

async fn json(house: &House, args: &str) -> Value {
    let exit = house.run(&format!("{args} --json")).await;
    serde_json::from_str(&exit.stdout)
        .unwrap_or_else(|e| panic!("{args}: {e}\n{}\n{}", exit.stdout, exit.stderr))
}

/// A source answers 429 and asks to be left alone for an hour.
async fn held(house: &House) {
    let hour = Some("3600".to_owned());
    house.simulator.fault(Fault { retry_after: hour, ..Fault::new("buyer_orders", FaultKind::RateLimit) });
    let _worker = house.worker(2);
    let mut job = house.nstore(RUN).start();
    job.wait_for("buyer_orders is on hold until", LONG).await;
    let run = house.newest_run().await;

    let status = json(house, &format!("status {run}")).await;
    let hold = &status["sources"][0]["status"]["hold"];
    let until: chrono::DateTime<chrono::Utc> = hold["until"].as_str().unwrap().parse().unwrap();
    let minutes = (until - chrono::Utc::now()).num_minutes();
    assert!((55..=60).contains(&minutes), "{hold}");
    assert!(hold["reason"].as_str().unwrap().contains("429"), "{hold}");
    let line = "buyer_orders: on hold until";
    for args in [format!("status {run}"), "workers".to_owned()] {
        let shown = house.good(&args).await.stdout;
        assert!(shown.contains(line) && shown.contains("nstore unpause --source buyer_orders"), "{shown}");
    }
    assert_eq!(json(house, "workers").await["on_hold"][0]["source"], "buyer_orders");

    let told = house.good("unpause --source buyer_orders").await.stdout;
    assert!(told.contains("it was on hold until"), "{told}");
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-03").await;
    assert_eq!(json(house, "workers").await["on_hold"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_on_hold_says_so_and_is_let_go_on() {
    held(&House::with(Options { rows_per_day: 20, ..Options::default() }).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_budget_is_on_hold_is_let_go_on_as_well() {
    let house = House::with(Options { rows_per_day: 20, ..Options::default() }).await;
    house.edit(
        "sources/buyer_orders.yaml",
        "records:",
        "budget: { key: market, rate: 5/s, burst: 2 }\nrecords:",
    );
    held(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_looks_at_another_storage_is_shown() {
    let house = House::with_rows(20).await;
    let right = house.worker(1);
    let elsewhere = tempfile::tempdir().unwrap();
    let url = format!("file:{}", elsewhere.path().display());
    let _wrong = house.worker_process(1, crate::house::LEASE).env("NSTORE_STORAGE_URL", &url).start();
    // both have announced themselves
    eventually(|| async {
        let workers = json(&house, "workers").await;
        (workers["workers"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    house.good("pause --source buyer_orders").await;
    house.good(&format!("{RUN} --detach")).await;
    let workers = json(&house, "workers").await;
    let workers = workers["workers"].as_array().unwrap();
    let doubted: Vec<&Value> =
        workers.iter().filter(|worker| worker["cannot"].to_string().contains("another storage")).collect();
    assert_eq!(doubted.len(), 1, "{workers:?}");
    let path = elsewhere.path().to_str().unwrap();
    assert!(doubted[0]["storage_url"].as_str().unwrap().ends_with(path), "{doubted:?}");
    let status = json(&house, "status").await;
    let other = status["other_storage"].as_object().unwrap();
    assert_eq!(other.keys().collect::<Vec<_>>(), [doubted[0]["id"].as_str().unwrap()]);
    for args in ["status", "workers"] {
        let shown = house.good(args).await.stdout;
        assert!(shown.contains("looks at another storage (file:") && shown.contains(path), "{shown}");
    }
    drop(right);
}
