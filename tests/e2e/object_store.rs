//! The same jobs with storage on S3.

use std::time::Duration;

use nstore_shared::storage::{Storage, paused::STOP_SEEN};
use nstore_tests::{
    context::{Exit, Fault, Proxy, S3, careless_store, own_s3, s3},
    simulator::{Api, Options},
};

use crate::house::{House, LONG, eventually};

/// With storage in the bucket of that server.
async fn on_s3(options: Options) -> (House, S3) {
    let (mut house, s3) = (House::with(options).await, own_s3().await);
    house.env.extend(s3.env());
    house.env.push(("NSTORE_STORAGE_URL".into(), s3.url("team/nstore")));
    (house, s3)
}

/// The run that a command says it started.
fn run_of(exit: &Exit) -> &str {
    let said = exit.stderr.lines().find_map(|line| line.strip_prefix("run "));
    said.unwrap_or_else(|| panic!("{}", exit.stderr)).split_whitespace().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_sources_go_through_s3_into_tables_that_equal_the_truth() {
    let (house, s3) = on_s3(Options { rows_per_day: 60, ..Options::default() }).await;
    let worker = house.worker(4);
    let names: Vec<&str> = Api::HTTP.iter().map(|api| api.name()).collect();
    let sizes: Vec<String> = names.iter().map(|name| format!("{name}:2")).collect();
    let days = "--start-date 2025-08-01 --end-date 2025-08-06";
    let (names, sizes) = (names.join(","), sizes.join(","));
    let extract = format!("extract {days} --sources {names} --chunk-sizes {sizes} --upload");
    let exit = house.good(&extract).await;
    house.assert_equal(&Api::HTTP, "2025-08-01", "2025-08-06").await;
    let run = run_of(&exit);

    let runs = house.good("runs").await.stdout;
    assert!(runs.contains(run), "{runs}");
    let shown = house.good("status --show-storage").await.stdout;
    assert!(shown.contains(&format!("storage at {}", s3.url("team/nstore"))), "{shown}");
    assert!(!shown.contains("free"), "a bucket has no end: {shown}");
    let tried = house.good("config test-connections").await.stdout;
    assert!(tried.contains("s3://"), "{tried}");
    let exported: serde_json::Value =
        serde_json::from_str(&house.good(&format!("export {run} --json")).await.stdout).unwrap();
    for (one, api) in exported.as_array().unwrap().iter().zip(Api::HTTP) {
        let truth = house.simulator.truth(api, "2025-08-01".parse().unwrap(), "2025-08-06".parse().unwrap());
        assert_eq!(one["rows"], truth.rows, "{one}");
        let file = format!("{}/processed/{}/{run}.csv", s3.url("team/nstore"), api.name());
        assert_eq!(one["file"].as_str(), Some(file.as_str()));
    }

    let cleaned = house.good("clean --older-than 0s --yes").await.stdout;
    assert!(cleaned.contains("removed 1 run"), "{cleaned}");
    assert!(house.good("runs").await.stdout.contains("no run in storage"));
    worker.sigterm();
    let ended = worker.wait_exit(LONG).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for said in [&exit.stdout, &exit.stderr, &ended.stderr, &tried] {
        assert!(!said.contains(&s3.writer.secret), "the secret key is nowhere shown: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_an_upload_loses_nothing_and_what_it_left_is_cleaned() {
    let latency = Duration::from_millis(20);
    let (house, s3) = on_s3(Options { rows_per_day: 4000, latency, ..Options::default() }).await;
    let victim = house.worker(1);
    let job = house
        .nstore(
            "extract --start-date 2025-08-01 --end-date 2025-08-16 --sources buyer_orders \
             --chunk-sizes buyer_orders:8 --upload",
        )
        .start();
    // parts of the first chunk are stored, and it is not finished
    eventually(|| async { (!s3.unfinished().await.is_empty()).then_some(()) }).await;
    victim.kill9();
    let _heir = house.worker(2);
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-16").await;

    assert_eq!(s3.unfinished().await.len(), 1, "what the killed worker left");
    let seen = house.good("clean").await.stdout;
    assert!(seen.contains("1 unfinished upload that killed workers left"), "{seen}");
    house.good("clean --yes").await;
    assert_eq!(s3.unfinished().await, Vec::<String>::new());
    let again = house.good("clean").await.stdout;
    assert!(again.contains("nothing to remove"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_s3_is_waited_for_and_told_in_few_lines() {
    let latency = Duration::from_millis(20);
    let mut house = House::with(Options { rows_per_day: 300, latency, ..Options::default() }).await;
    let s3 = own_s3().await;
    let proxy = Proxy::start(s3.address).await;
    house.env.extend(s3::env(proxy.address, &s3.writer));
    house.env.push(("NSTORE_STORAGE_URL".into(), s3.url("p")));
    let worker = house.worker(2);
    let job = house
        .nstore(
            "extract --start-date 2025-08-01 --end-date 2025-08-16 --sources buyer_orders,seller_orders \
             --chunk-sizes buyer_orders:1,seller_orders:1 --upload",
        )
        .start();
    let loaded = "SELECT count(*) FROM pg_tables WHERE schemaname = 'nstore' AND tablename = 'ledger'";
    eventually(|| async { (house.number(loaded).await > 0).then_some(()) }).await;
    eventually(|| async { (house.number("SELECT count(*) FROM nstore.ledger").await > 0).then_some(()) })
        .await;
    for fault in [Fault::Reset, Fault::status("503 Slow Down")] {
        proxy.harm("", usize::MAX, fault);
        // longer than requests are repeated
        tokio::time::sleep(Duration::from_secs(12)).await;
        proxy.heal();
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-16").await;
    let told = worker.stderr().lines().filter(|line| line.contains("storage")).count();
    assert!((1..=10).contains(&told), "{}", worker.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_which_nothing_is_safe_is_refused_by_all_who_write() {
    let mut house = House::with_rows(10).await;
    let keys = s3::Keys { id: "a".into(), secret: "b".into() };
    house.env.extend(s3::env(careless_store().await, &keys));
    house.env.push(("NSTORE_STORAGE_URL".into(), "s3://bucket/p".into()));
    let days = "--start-date 2025-08-01 --end-date 2025-08-02";
    for args in [format!("extract {days} --sources buyer_orders"), "serve".to_owned()] {
        let exit = house.run(&args).await;
        assert_eq!(exit.code, Some(4), "{args}: {}", exit.stderr);
        assert!(
            exit.stderr.contains("If-None-Match") && exit.stderr.contains("docs/storage.md"),
            "{}",
            exit.stderr
        );
    }
    let exit = house.worker(1).wait_exit(LONG).await;
    assert_eq!(exit.code, Some(4), "{}", exit.stderr);
    assert!(exit.stderr.contains("If-None-Match"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_lacks_is_said_with_what_to_do() {
    let s3 = own_s3().await;
    let wrong = s3::Keys { secret: "hunter2".into(), ..s3.writer.clone() };
    let cases = [
        (s3.url("p"), s3::env(s3.address, &wrong), 4, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (format!("s3://{}/p", s3.absent), s3.env(), 4, "NoSuchBucket", "there is no such bucket"),
        (s3.url("p"), s3.env().split_off(3), 2, "AWS_REGION", "docs/storage.md"),
        (
            "s3://AKIA:hunter2@bucket".to_owned(),
            s3.env(),
            2,
            "credentials have no place in it",
            "s3://bucket/prefix",
        ),
    ];
    for (url, env, code, said, next) in cases {
        let mut house = House::with_rows(10).await;
        house.env.extend(env);
        house.env.push(("NSTORE_STORAGE_URL".into(), url));
        let exit = house.run("runs").await;
        assert_eq!(exit.code, Some(code), "{said}: {}", exit.stderr);
        assert!(exit.stderr.contains(said) && exit.stderr.contains(next), "{}", exit.stderr);
        assert!(!exit.stderr.contains("hunter2"), "{}", exit.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_sends_three_requests_for_a_chunk_and_lists_nothing() {
    const CHUNKS: u32 = 31;
    const LOOPS: u32 = 4;
    /// At its start: what the store can do, and the manifest.
    const START: u32 = 12;
    let (mut house, s3) = on_s3(Options { rows_per_day: 20, ..Options::default() }).await;
    let line = Proxy::start(s3.address).await;
    let direct = house.env.clone();
    house.env.extend(s3::env(line.address, &s3.writer));
    line.harm("HTTP/1.1\r\n", usize::MAX, Fault::Delay(Duration::ZERO));
    let worker = house.worker(LOOPS);
    house.env = direct;
    let began = std::time::Instant::now();
    let days = "--start-date 2025-08-01 --end-date 2025-08-31";
    house.good(&format!("extract {days} --sources seller_orders --chunk-sizes seller_orders:1")).await;
    worker.sigterm();
    assert_eq!(worker.wait_exit(LONG).await.code, Some(0));
    // whether something stops the run: three documents, once in so long, by each loop at most
    let looks = u32::try_from(began.elapsed().as_millis() / STOP_SEEN.as_millis()).unwrap() + 1;
    let sent = u32::try_from(line.met()).unwrap();
    assert!(sent >= 3 * CHUNKS, "{sent}");
    assert!(sent <= 3 * CHUNKS + START + 3 * LOOPS * looks, "{sent} requests, {looks} looks");
}

/// A line to the store that counts what goes over it.
async fn counted(s3: &S3) -> Proxy {
    let line = Proxy::start(s3.address).await;
    line.harm("HTTP/1.1\r\n", usize::MAX, Fault::Delay(Duration::ZERO));
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_sends_three_requests_for_a_chunk_that_it_loads() {
    const CHUNKS: u32 = 31;
    /// Plan, days, claims, the end: whatever the number of chunks.
    const AROUND: u32 = 40;
    let (mut house, s3) = on_s3(Options { rows_per_day: 20, ..Options::default() }).await;
    let _worker = house.worker(4);
    let line = counted(&s3).await;
    house.env.extend(s3::env(line.address, &s3.writer));
    let began = std::time::Instant::now();
    let days = "--start-date 2025-08-01 --end-date 2025-08-31";
    house
        .good(&format!("extract {days} --sources seller_orders --chunk-sizes seller_orders:1 --upload"))
        .await;
    let sent = u32::try_from(line.met()).unwrap();
    // whether the run is cancelled, for each load: one in 200 ms at most
    let loads = u32::try_from(began.elapsed().as_millis() / 200).unwrap() + 2;
    assert!(sent >= 3 * CHUNKS, "{sent}");
    assert!(sent <= 3 * CHUNKS + AROUND + loads, "{sent} requests, {loads} loads");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_have_ended_cost_serve_no_requests() {
    let (mut house, s3) = on_s3(Options { rows_per_day: 20, ..Options::default() }).await;
    let worker = house.worker(4);
    for day in 1..=6 {
        let date = format!("2025-08-0{day}");
        house
            .good(&format!("extract --start-date {date} --end-date {date} --sources seller_orders --upload"))
            .await;
    }
    let line = counted(&s3).await;
    let direct = house.env.clone();
    house.env.extend(s3::env(line.address, &s3.writer));
    let _serve = house.nstore("serve").start();
    house.env = direct;
    let storage = Storage::open_with(&s3.url("team/nstore"), s3.env()).unwrap();
    eventually(|| async { (storage.ended().await.unwrap().len() == 6).then_some(()) }).await;
    // it looks for new runs every two seconds, and for marks once a minute
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = line.met();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let sent = line.met() - before;
    assert!((4..=8).contains(&sent), "{sent} requests in 10 s");
    drop(worker);
}
