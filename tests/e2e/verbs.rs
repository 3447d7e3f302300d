//! The other verbs, as their users type them.

use nstore_shared::{
    chunk::Chunk,
    retry::FailureClass,
    storage::{
        Storage,
        marker::{GrantRef, Marker, Outcome},
    },
};
use nstore_tests::simulator::{Api, truth::Truth};
use serde_json::Value;

use crate::house::{House, LONG, day, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-06";

fn truth(house: &House) -> Truth {
    house.simulator.truth(Api::BuyerOrders, day("2025-08-01"), day("2025-08-06"))
}

#[tokio::test(flavor = "multi_thread")]
async fn extraction_alone_asks_for_no_postgres_and_is_loaded_later() {
    let mut house = House::with_rows(40).await;
    let postgres = house.context.postgres.url.clone();
    let _worker = house.worker(4);
    house.env.push(("NSTORE_POSTGRES_URL".into(), "postgresql://127.0.0.1:1/nowhere".into()));
    house.good(&format!("extract {DAYS} --sources buyer_orders")).await;
    let run = house.newest_run().await;
    house.good(&format!("status {run}")).await;

    let exported = house.good(&format!("export {run}")).await;
    let file = house.context.storage.dir.join("processed/buyer_orders").join(format!("{run}.csv"));
    assert!(exported.stdout.contains(&format!("{run}.csv")), "{}", exported.stdout);
    let rows = csv::Reader::from_path(file).unwrap().into_records().map(Result::unwrap).count();
    assert_eq!(rows as u64, truth(&house).rows, "one header, all rows");

    house.env.pop();
    house.env.push(("NSTORE_POSTGRES_URL".into(), postgres));
    for _ in 0..2 {
        house.good(&format!("load {run}")).await;
        house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-06").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_loads_detached_runs() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    let sign = house.context.dir.join("health");
    let health = || house.nstore("health").env("NSTORE_HEALTH_FILE", &sign).run(LONG);
    assert_eq!(health().await.code, Some(1));
    let mut serve = house.nstore("serve").env("NSTORE_HEALTH_FILE", &sign).start();
    let exit = house
        .good(&format!("extract {DAYS} --sources buyer_orders,seller_tickets --upload --detach --json"))
        .await;
    let told: Value = serde_json::from_str(&exit.stdout).unwrap();
    let run = told["run"].as_str().unwrap().to_owned();
    eventually(|| async {
        let exit = house.run(&format!("status {run} --json")).await;
        let status: Value = serde_json::from_str(&exit.stdout).unwrap();
        (status["verdict"] == "complete").then_some(())
    })
    .await;
    house.assert_equal(&[Api::BuyerOrders, Api::SellerTickets], "2025-08-01", "2025-08-06").await;
    assert_eq!(health().await.code, Some(0));
    assert!(serve.is_running());
    serve.sigterm();
    assert_eq!(serve.wait_exit(LONG).await.code, Some(0));
    assert_eq!(health().await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_does_not_leave_a_run_alone_for_long_that_could_not_be_read_once() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    house.good(&format!("extract {DAYS} --sources buyer_orders --upload --detach")).await;
    let run = house.newest_run().await;
    let manifest = house.context.storage.dir.join("runs").join(&run).join("manifest.json");
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    let mut serve = house.nstore("serve").start();
    serve.wait_for("run cannot be looked at; trying again in", LONG).await;
    std::fs::write(&manifest, &whole).unwrap();
    let mended = std::time::Instant::now();
    serve.wait_for("run ended", LONG).await;
    // a run that has ended is looked at once a minute
    assert!(mended.elapsed() < std::time::Duration::from_secs(30), "{}", serve.stderr());
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_loaded_after_an_acknowledged_cancel() {
    let options = nstore_tests::simulator::Options {
        rows_per_day: 3_000,
        latency: std::time::Duration::from_millis(100),
        ..Default::default()
    };
    let house = House::with(options).await;
    let _worker = house.worker(2);
    let job = house
        .nstore(&format!("extract {DAYS} --sources buyer_orders --chunk-sizes buyer_orders:1 --upload"))
        .start();
    let run = house.newest_run().await;
    let ledger = "SELECT count(*) FROM pg_tables WHERE schemaname = 'nstore' AND tablename = 'ledger'";
    eventually(|| async {
        let there = house.number(ledger).await > 0;
        (there && house.number("SELECT count(*) FROM nstore.ledger").await > 0).then_some(())
    })
    .await;
    house.good(&format!("cancel {run}")).await;
    let rows = house.number("SELECT count(*) FROM buyer_orders").await;
    let exit = job.wait_exit(LONG).await;
    assert!(matches!(exit.code, Some(1 | 3)), "{:?} {}", exit.code, exit.stderr);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(house.number("SELECT count(*) FROM buyer_orders").await, rows);
    let exit = house.run(&format!("resume {run}")).await;
    assert_eq!(exit.code, Some(2), "{}", exit.stderr);
    assert!(exit.stderr.contains("cancelled"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_shows_first_and_removes_whole_runs() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    house.good(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    let run = house.newest_run().await;
    let shown = house.good("clean --older-than 0s").await;
    assert!(shown.stdout.contains(&run), "{}", shown.stdout);
    assert_eq!(house.runs(), std::slice::from_ref(&run), "shown, not removed");
    house.good("clean --older-than 0s --yes").await;
    assert!(house.runs().is_empty());
    assert!(house.files("buyer_orders", &run, "").is_empty());
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_plan_and_touches_nothing() {
    let house = House::with_rows(20).await;
    let exit = house
        .good("extract --start-date 2025-08-01 --end-date 2025-08-10 --sources buyer_orders --dry-run")
        .await;
    assert!(exit.stdout.contains("[2025-08-01 00:00, 2025-08-11 00:00) Asia/Kolkata"), "{}", exit.stdout);
    assert!(house.runs().is_empty());
    assert!(house.simulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_tested_one_line_each() {
    let house = House::with_rows(20).await;
    let exit = house.good("config test-connections").await;
    for name in ["redis", "postgres", "storage", "buyer_orders", "buyer_razorpay", "seller_tickets"] {
        assert!(
            exit.stdout.lines().any(|line| line.contains(name) && line.contains("ms")),
            "{}",
            exit.stdout
        );
    }
    let made =
        house.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'nstore'::regnamespace").await;
    assert_eq!(made, 0, "a look changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_runs_tell_what_is_there() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    house.good(&format!("extract {DAYS} --sources buyer_orders --upload")).await;
    let run = house.newest_run().await;
    let truth = truth(&house);
    let runs = house.good("runs").await;
    assert!(runs.stdout.contains(&run), "{}", runs.stdout);
    let status: Value =
        serde_json::from_str(&house.good(&format!("status {run} --json")).await.stdout).unwrap();
    assert_eq!(status["sources"][0]["status"]["rows"], truth.rows);
    assert_eq!(status["sources"][0]["status"]["loaded_rows"], truth.rows);
    let config = house.good("status --show-config").await;
    assert!(config.stdout.contains("sources/buyer_orders.yaml"), "{}", config.stdout);
    let storage = house.good("status --show-storage").await;
    assert!(storage.stdout.contains("buyer_orders"), "{}", storage.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_extracted_again_by_a_resume() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    house.good(&format!("extract {DAYS} --sources buyer_orders")).await;
    let run = house.newest_run().await;
    let file = house.files("buyer_orders", &run, ".csv").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let exit = house.run(&format!("export {run}")).await;
    assert_eq!(exit.code, Some(1), "{}", exit.stderr);
    assert!(exit.stderr.contains(&format!("nstore resume {run}")), "{}", exit.stderr);
    house.good(&format!("resume {run}")).await;
    house.good(&format!("export {run}")).await;
    let file = house.context.storage.dir.join("processed/buyer_orders").join(format!("{run}.csv"));
    let rows = csv::Reader::from_path(file).unwrap().into_records().map(Result::unwrap).count();
    assert_eq!(rows as u64, truth(&house).rows);
}

/// What a worker leaves that could not extract any chunk of a run.
async fn fail_all(storage: &Storage, run: &str) {
    let manifest = storage.manifest(&run.parse().unwrap()).await.unwrap().unwrap();
    let plan = &manifest.sources[0];
    for range in &plan.chunks {
        let chunk = Chunk { source: plan.source.clone(), run: manifest.run.clone(), range: *range };
        let grant = |nonce| GrantRef { worker: "w1".parse().unwrap(), nonce, attempt: 1 };
        let files = [("step.json", "{}".into()), ("page.html", "<p>".into())];
        // of the first try nothing but its bundle is left
        storage.put_bundle(&chunk, 1, &grant(1), &files).await.unwrap();
        let bundle = storage.put_bundle(&chunk, 1, &grant(2), &files).await.unwrap();
        let (class, error) = (FailureClass::Transient, "step 3: no grid".to_owned());
        let mut marker = Marker::discarded_by_coordinator(chunk, 1, class, error.clone(), chrono::Utc::now());
        marker.grant = grant(2);
        marker.outcome =
            Outcome::Discarded { class, error, attempts: 2, rejects: None, bundle: Some(bundle) };
        storage.create_marker(&marker).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_chunk_is_shown_with_its_bundle_and_both_go_with_the_run() {
    let house = House::with_rows(10).await;
    house.good(&format!("extract {DAYS} --sources buyer_orders --detach")).await;
    let run = house.newest_run().await;
    let storage = Storage::open(&house.context.storage.url).unwrap();
    fail_all(&storage, &run).await;

    let status = house.run(&format!("status {run}")).await;
    let folder = format!("file://{}/failures/buyer_orders/{run}/", house.context.storage.dir.display());
    assert!(status.stdout.contains(&format!("failure bundle: {folder}")), "{}", status.stdout);
    let status = house.run(&format!("status {run} --json")).await;
    let document: Value = serde_json::from_str(&status.stdout).unwrap();
    let bundle = document["sources"][0]["failed"][0]["bundle"].as_str().unwrap();
    assert!(bundle.starts_with(&folder) && bundle.ends_with("g1.w1-2"), "{bundle}");
    let step = std::path::Path::new(bundle.strip_prefix("file://").unwrap()).join("step.json");
    assert_eq!(std::fs::read(step).unwrap(), b"{}");

    let stored = house.good(&format!("status {run} --show-storage --json")).await;
    let stored: Value = serde_json::from_str(&stored.stdout).unwrap();
    let chunks = storage.manifest(&run.parse().unwrap()).await.unwrap().unwrap().sources[0].chunks.len();
    // two bundles of two files, and a marker
    assert_eq!(stored["storage"]["sources"]["buyer_orders"]["files"], chunks * 5);

    let left = house.good("clean --older-than 30d --grace 0s --yes").await;
    assert!(left.stdout.contains(&format!("removed 0 runs and {} files", chunks * 2)), "{}", left.stdout);
    assert!(std::fs::metadata(bundle.strip_prefix("file://").unwrap()).is_ok(), "the marker names it");
    house.good("clean --older-than 0s --yes").await;
    assert!(!house.context.storage.dir.join("failures/buyer_orders").join(&run).exists());
}
