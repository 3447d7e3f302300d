//! Redis emptied or set back: by command and by itself it knows again what storage shows.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use nstore_tests::{
    context::{OwnRedis, own_redis, say},
    simulator::{Api, Options},
};
use serde_json::Value;

use crate::house::{House, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --upload";
const SOURCES: [&str; 2] = ["buyer_orders", "seller_orders"];
const CHUNKS: usize = 24;
/// Far below the minute after which storage and Redis are compared anyway.
const SOON: Duration = Duration::from_secs(20);

/// A marketplace whose answers take a while, and a Redis of its own.
async fn house() -> (House, OwnRedis) {
    let latency = Duration::from_millis(60);
    let mut house = House::with(Options { rows_per_day: 600, latency, ..Options::default() }).await;
    let own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    (house, own)
}

fn flush(own: &OwnRedis) {
    assert!(say(&own.url(), "FLUSHALL").starts_with("+OK"));
}

fn outcomes(house: &House, run: &str) -> usize {
    SOURCES.iter().map(|source| house.files(source, run, ".g1.json").len()).sum()
}

fn artifacts(house: &House, run: &str) -> usize {
    SOURCES.iter().map(|source| house.files(source, run, ".csv").len()).sum()
}

async fn assert_whole(house: &House) {
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-12").await;
}

async fn rebuilt(house: &House, args: &str) -> Value {
    serde_json::from_str(&house.good(&format!("rebuild {args} --json")).await.stdout).unwrap()
}

fn sum(answer: &Value, field: &str) -> u64 {
    let sources =
        answer["runs"].as_array().unwrap().iter().flat_map(|run| run["sources"].as_array().unwrap());
    sources.map(|source| source[field].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_rebuilt_by_command_and_workers_need_no_coordinator() {
    let (house, own) = house().await;
    let worker = house.worker(2);
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    eventually(|| async { (outcomes(&house, &run) >= 5).then_some(()) }).await;
    worker.kill9();
    drop(worker);
    // the one that was killed may have stored a file and no outcome
    let (before, stored) = (outcomes(&house, &run), artifacts(&house, &run));
    assert!(before < CHUNKS, "there must be something left to do");

    flush(&own);
    let answer = rebuilt(&house, "").await;
    assert_eq!(answer["runs"][0]["run"], run.as_str());
    assert_eq!((sum(&answer, "chunks"), sum(&answer, "ended")), (CHUNKS as u64, before as u64));
    assert_eq!(
        (sum(&answer, "reported"), sum(&answer, "enqueued")),
        (before as u64, (CHUNKS - before) as u64)
    );
    let again = rebuilt(&house, "").await;
    assert_eq!((sum(&again, "reported"), sum(&again, "enqueued")), (0, 0), "it knew all of it");

    let _worker = house.worker(4);
    eventually(|| async { (outcomes(&house, &run) == CHUNKS).then_some(()) }).await;
    let fresh = artifacts(&house, &run) - stored;
    assert_eq!(fresh, CHUNKS - before, "nothing that had ended was extracted again");
    house.good(&format!("resume {run}")).await;
    assert_whole(&house).await;

    assert_eq!(rebuilt(&house, "").await["runs"], serde_json::json!([]), "no run is open");
    flush(&own);
    let named = rebuilt(&house, &run).await;
    assert_eq!((sum(&named, "reported"), sum(&named, "loaded")), (CHUNKS as u64, CHUNKS as u64));
    let exit = house.run("rebuild nobody-knows-it").await;
    assert_eq!(exit.code, Some(2), "{}", exit.stderr);
    assert!(exit.stderr.contains("no run `nobody-knows-it`"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_does_not_come_back_by_a_rebuild() {
    let (house, own) = house().await;
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    house.good(&format!("cancel {run}")).await;
    flush(&own);
    assert_eq!(rebuilt(&house, "").await["runs"], serde_json::json!([]));
    let named = rebuilt(&house, &run).await;
    assert_eq!((&named["runs"][0]["cancelled"], sum(&named, "enqueued")), (&Value::Bool(true), 0));
    let _worker = house.worker(4);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((outcomes(&house, &run), house.simulator.requests().len()), (0, 0), "nobody works on it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_noticed_at_once_although_workers_tell_it_what_they_hold() {
    let (house, own) = house().await;
    let _worker = house.worker(4);
    let mut job = house.nstore(RUN).start();
    let run = house.newest_run().await;
    eventually(|| async { (outcomes(&house, &run) >= 4).then_some(()) }).await;
    flush(&own);
    let flushed = Instant::now();
    job.wait_for("redis knew less of", LONG).await;
    let noticed = flushed.elapsed();
    assert!(noticed < Duration::from_secs(5), "noticed after {noticed:?}");
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert!(flushed.elapsed() < SOON, "went on after {:?}", flushed.elapsed());
    assert_whole(&house).await;
    assert_eq!(house.number("SELECT count(*) FROM nstore.ledger").await, CHUNKS as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_waited_for_and_told_in_few_lines() {
    let (house, own) = house().await;
    house.good(&format!("{RUN} --detach")).await;
    assert!(say(&own.url(), "CONFIG SET maxmemory 1").starts_with("+OK"));
    let mut worker = house.worker(4);
    worker.wait_for("redis does not answer", LONG).await;
    let mut serve = house.nstore("serve").start();
    serve.wait_for("cannot be followed yet", LONG).await;
    // reads go on, and fail no call
    tokio::time::sleep(Duration::from_secs(5)).await;
    let about = |text: &str| worker.stderr().lines().filter(|line| line.contains(text)).count();
    assert_eq!((about("redis does not answer"), about("redis answers again")), (1, 0), "{}", worker.stderr());
    assert!(say(&own.url(), "CONFIG SET maxmemory 0").starts_with("+OK"));
    let freed = Instant::now();
    serve.wait_for("run ended", LONG).await;
    assert!(freed.elapsed() < SOON, "went on after {:?}", freed.elapsed());
    assert_whole(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_set_back_hears_of_all_that_ended_since() {
    let (house, mut own) = house().await;
    let always = || say(&own.url(), "CONFIG SET appendfsync always");
    always();
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    // as it was before any worker came
    let (data, kept) = (own.server.dir().join("appendonlydir"), own.server.dir().join("kept"));
    copy(&data, &kept);
    let _worker = house.worker(4);
    let job = house.nstore(&format!("resume {run}")).start();
    eventually(|| async { (outcomes(&house, &run) >= 6).then_some(()) }).await;
    own.server.kill();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    own.server.restart().unwrap();
    let restarted = Instant::now();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert!(restarted.elapsed() < SOON, "went on after {:?}", restarted.elapsed());
    assert_whole(&house).await;
    assert_eq!(house.number("SELECT count(*) FROM nstore.ledger").await, CHUNKS as i64);
    assert_eq!(outcomes(&house, &run), CHUNKS, "one outcome each, of the first generation");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
}
