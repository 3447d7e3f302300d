//! Redis loses single keys while a run goes on, or is let evict: the run comes to its end, and `rebuild` repairs it.

use std::time::Duration;

use nstore_tests::{
    context::{OwnRedis, own_redis, say},
    simulator::{Api, Options},
};
use serde_json::Value;

use crate::house::{House, LONG, day, eventually};

const SOURCES: &str = "buyer_orders,seller_orders";
const DAYS: u64 = 6;
const CHUNKS: i64 = 12;

/// Kinds of keys of a source and of the fleet; those of chunks and claim loops stand for one each.
const KINDS: [&str; 14] = [
    ":meta",
    ":slots",
    ":turns",
    ":seqs",
    ":extended",
    ":run:",
    ":all:",
    ":a:",
    ":later:",
    ":hints:",
    ":c:",
    ":n:",
    "open:api",
    "news:api",
];

/// A marketplace with a Redis of its own; one of the sources is sequential.
async fn house() -> (House, OwnRedis) {
    let latency = Duration::from_millis(100);
    let mut house = House::with(Options { rows_per_day: 60, latency, ..Options::default() }).await;
    house.edit("sources/seller_orders.yaml", "execution: auto", "execution: sequential");
    let own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    (house, own)
}

/// The n-th block of days, as an upload of both sources.
fn extract(block: u64) -> (String, String) {
    let first = day("2025-01-01") + chrono::Days::new(block * DAYS);
    let last = first + chrono::Days::new(DAYS - 1);
    let sizes = SOURCES.split(',').map(|source| format!("{source}:1")).collect::<Vec<_>>().join(",");
    let extract = format!(
        "extract --start-date {first} --end-date {last} --sources {SOURCES} --chunk-sizes {sizes} \
         --parallel-workers 2 --upload"
    );
    (extract, last.to_string())
}

/// The keys in Redis of a kind, of one source.
fn keys(own: &OwnRedis, kind: &str, source: &str) -> Vec<String> {
    let answer = say(&own.url(), "KEYS *");
    let keys = answer.lines().filter(|line| line.contains(kind) && !line.starts_with(['*', '$']));
    keys.filter(|key| !kind.starts_with(':') || key.contains(source)).map(str::to_owned).collect()
}

/// Loses a key of this kind of one source, where there is one; answers whether there was.
fn lose(own: &OwnRedis, kind: &str, source: &str) -> bool {
    let found = keys(own, kind, source);
    let Some(key) = found.last() else { return false };
    say(&own.url(), &format!("DEL {key}"));
    true
}

async fn ledger(house: &House, run: &str) -> i64 {
    house.number(&format!("SELECT count(*) FROM nstore.ledger WHERE run = '{run}'")).await
}

/// Runs block after block, loses such keys in the middle of each, and compares the tables with the truth in the end.
async fn blocks(lost: &[Vec<&str>]) {
    let (house, own) = house().await;
    let _worker = house.worker(4);
    let mut last_day = String::new();
    for (block, kinds) in lost.iter().enumerate() {
        let (args, last) = extract(block as u64);
        let known = house.runs();
        let job = house.nstore(&args).start();
        let run = eventually(|| async { house.runs().into_iter().find(|run| !known.contains(run)) }).await;
        let stored = |source| house.files(source, &run, ".g1.json").len();
        eventually(|| async { (stored("seller_orders") >= 1 && stored("buyer_orders") >= 1).then_some(()) })
            .await;
        for kind in kinds {
            let source = if block % 2 == 0 { "seller_orders" } else { "buyer_orders" };
            lose(&own, kind, source);
        }
        let exit = job.wait_exit(LONG).await;
        assert_eq!(exit.code, Some(0), "without {kinds:?}: {}\n{}", exit.stdout, exit.stderr);
        assert!(!exit.stderr.contains("expected, not"), "without {kinds:?}: {}", exit.stderr);
        assert_eq!(ledger(&house, &run).await, CHUNKS, "without {kinds:?}");
        last_day = last;
    }
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-01-01", &last_day).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_loss_of_each_key_of_its_source() {
    // for the sequential source, and the parallel one
    let twice: Vec<Vec<&str>> = KINDS.iter().flat_map(|kind| [vec![*kind], vec![*kind]]).collect();
    blocks(&twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_survives_the_loss_of_pairs_of_keys() {
    let mut pairs: Vec<Vec<&str>> = vec![];
    for (at, first) in KINDS.iter().enumerate() {
        pairs.extend(KINDS[at + 1..].iter().map(|second| vec![*first, *second]));
    }
    let mut rng = fastrand::Rng::with_seed(17);
    rng.shuffle(&mut pairs);
    pairs.truncate(12);
    blocks(&pairs).await;
}

async fn rebuilt(house: &House, run: &str) -> Value {
    serde_json::from_str(&house.good(&format!("rebuild {run} --json")).await.stdout).unwrap()
}

fn of_sources<'a>(answer: &'a Value, field: &'a str) -> impl Iterator<Item = &'a Value> {
    answer["runs"][0]["sources"].as_array().unwrap().iter().map(move |source| &source[field])
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_repairs_a_source_whole_whichever_key_is_lost() {
    let (house, own) = house().await;
    let worker = house.worker(4);
    house.good(&format!("{} --detach", extract(0).0)).await;
    let run = house.newest_run().await;
    eventually(|| async { (house.files("buyer_orders", &run, ".g1.json").len() >= 2).then_some(()) }).await;
    worker.kill9();
    drop(worker);
    rebuilt(&house, &run).await;
    // what a source needs; the rest costs nothing or is told by workers
    for kind in [":meta", ":turns", ":seqs", ":run:", ":all:", ":a:", ":hints:"] {
        let source = if kind == ":seqs" { "seller_orders" } else { "buyer_orders" };
        assert!(lose(&own, kind, source), "there is no {kind}");
        let answer = rebuilt(&house, &run).await;
        let told = of_sources(&answer, "damage").any(|damage| !damage.is_null())
            || of_sources(&answer, "reported").chain(of_sources(&answer, "enqueued")).any(|n| n != 0);
        assert!(told, "without {kind}: {answer}");
        let again = house.good(&format!("rebuild {run}")).await.stdout;
        assert!(again.ends_with("redis knew all of it\n"), "without {kind}: {again}");
    }
    let _worker = house.worker(4);
    house.good(&format!("resume {run}")).await;
    assert_eq!(ledger(&house, &run).await, CHUNKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_lets_redis_evict_is_said_by_all_while_they_run() {
    let (house, own) = house().await;
    let mut serve = house.nstore("serve").start();
    let mut worker = house.worker(1);
    worker.wait_for("started", LONG).await;
    serve.wait_for("serving", LONG).await;
    house.good("pause --source buyer_orders").await;
    let mut job = house.nstore(&extract(0).0).start();
    job.wait_for("paused", LONG).await;
    say(&own.url(), "CONFIG SET maxmemory-policy allkeys-lru");
    for running in [&mut worker, &mut serve, &mut job] {
        running.wait_for("maxmemory-policy is allkeys-lru", LONG).await;
    }
    let status = house.run("status").await;
    assert!(status.stdout.contains("maxmemory-policy is allkeys-lru"), "{}", status.stdout);
    say(&own.url(), "CONFIG SET maxmemory-policy noeviction");
    for running in [&mut worker, &mut serve, &mut job] {
        running.wait_for("redis can be used without losses again", LONG).await;
    }
    house.good("unpause --source buyer_orders").await;
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
}
