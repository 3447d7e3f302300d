//! The workers that live: what is shown of them, and how one is let go.

use std::time::Duration;

use nstore_tests::{
    context::{Process, Running},
    simulator::{Api, Options},
};
use serde_json::Value;

use crate::house::{House, LEASE, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-10 --sources buyer_orders --upload \
                   --chunk-sizes buyer_orders:1";

async fn slow_house() -> House {
    let latency = Duration::from_millis(150);
    House::with(Options { rows_per_day: 800, latency, ..Options::default() }).await
}

async fn workers(house: &House) -> Vec<Value> {
    let listed = house.good("workers --json").await;
    let document: Value = serde_json::from_str(&listed.stdout).unwrap();
    document["workers"].as_array().unwrap().clone()
}

/// The names of the workers, once there are so many.
async fn names(house: &House, count: usize) -> Vec<String> {
    let name = |worker: &Value| worker["id"].as_str().unwrap().to_owned();
    eventually(|| async {
        let names: Vec<String> = workers(house).await.iter().map(name).collect();
        (names.len() == count).then_some(names)
    })
    .await
}

/// The name that a worker gives itself in its log.
async fn name_of(worker: &mut Running) -> String {
    let log = worker.wait_for("started", LONG).await;
    let line = log.lines().find(|line| line.contains("started")).unwrap();
    let name = line.split("worker=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    name.trim_matches('"').to_owned()
}

/// A worker of another build, on a host with other secrets.
fn other_worker(house: &House, binary: &str, without: &str) -> Running {
    let mut process: Process = house.context.process(binary).args(["--kind", "api", "--lease", "1s"]);
    for (name, value) in house.simulator.env().into_iter().filter(|(name, _)| name != without) {
        process = process.env(&name, value);
    }
    process.start()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_with_what_they_do_and_cannot_do() {
    let house = slow_house().await;
    assert!(house.good("workers").await.stdout.contains("start nstore-worker --kind api"));
    let mut bare = other_worker(&house, "nstore-worker", "NSTORE_SECRET_BUYER_ORDERS_TOKEN");
    let bare_name = name_of(&mut bare).await;
    let job = house.nstore(RUN).start();
    bare.wait_for("this host lacks the secret", LONG).await;
    let mut api_only = other_worker(&house, "nstore-worker-api", "");
    let api_name = name_of(&mut api_only).await;
    assert_eq!(names(&house, 2).await.len(), 2);
    let of = |all: &[Value], name: &str| all.iter().find(|worker| worker["id"] == name).cloned();
    let (bare_seen, api_seen) = eventually(|| async {
        let all = workers(&house).await;
        let (bare, api) = (of(&all, &bare_name)?, of(&all, &api_name)?);
        let busy = api["holds"].as_array().unwrap().iter().any(|chunk| chunk["rows"].as_u64() > Some(0));
        (busy && !bare["lacks"].as_array().unwrap().is_empty()).then_some((bare, api))
    })
    .await;
    let cannot = |worker: &Value| worker["cannot"].as_array().unwrap().clone();
    let lacks = cannot(&bare_seen);
    assert_eq!(lacks.len(), 1, "{lacks:?}");
    assert!(lacks[0].as_str().unwrap().starts_with("leaves buyer_orders alone"), "{lacks:?}");
    assert!(lacks[0].as_str().unwrap().contains("NSTORE_SECRET_BUYER_ORDERS_TOKEN"), "{lacks:?}");
    assert_eq!(bare_seen["holds"].as_array().unwrap().len(), 0);
    assert_eq!(
        cannot(&api_seen),
        ["extracts no browser sources: it was built without the feature `browser`"]
    );
    assert_eq!((&api_seen["kind"], &api_seen["slots"]), (&Value::from("api"), &Value::from(4)));
    assert_eq!(api_seen["version"], env!("CARGO_PKG_VERSION"));
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(api_seen["host"], hostname.trim());
    assert!(api_seen["heard_ms_ago"].as_u64().unwrap() <= 1000, "{api_seen}");
    assert_eq!(api_seen["holds"][0]["source"], "buyer_orders");
    let table = house.good("workers").await.stdout;
    for name in [&bare_name, &api_name] {
        assert_eq!(table.matches(name.as_str()).count(), 1, "{table}");
    }
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    // one that ends well is gone at once; one that is killed is once its lease has lapsed
    api_only.sigterm();
    assert_eq!(api_only.wait_exit(LONG).await.code, Some(0));
    assert_eq!(names(&house, 1).await, [bare_name]);
    bare.kill9();
    assert!(names(&house, 0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_what_it_has_and_the_run_goes_on_without_it() {
    let house = slow_house().await;
    let mut first = house.worker(2);
    let name = name_of(&mut first).await;
    let job = house.nstore(RUN).start();
    first.wait_for("claimed", LONG).await;
    let drained = house.good(&format!("drain {name} --wait")).await;
    assert!(drained.stdout.contains(&format!("worker {name} has ended")), "{}", drained.stdout);
    let exit = first.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let about = |text: &str| exit.stderr.lines().filter(|line| line.contains(text)).count();
    assert_eq!(about("asked to drain"), 1, "{}", exit.stderr);
    assert_eq!(about("claimed source="), about("committed"), "what it had is finished:\n{}", exit.stderr);
    assert!((1..10).contains(&about("committed")), "{}", exit.stderr);
    // nobody is left, so nothing more happens until another one comes
    let heir = house.worker(2);
    let ended = job.wait_exit(LONG).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-10").await;
    let run = house.newest_run().await;
    for marker in house.markers("buyer_orders", &run) {
        assert_eq!(marker["grant"]["attempt"], 1, "{marker}");
    }
    drop(heir);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_drain_is_told_apart() {
    let house = House::with_rows(10).await;
    let unknown = house.run("drain nobody-1-abcdef").await;
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("no worker `nobody-1-abcdef` lives"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("nstore workers"), "{}", unknown.stderr);

    let mut frozen = house.worker(1);
    let name = name_of(&mut frozen).await;
    names(&house, 1).await;
    frozen.signal(rustix::process::Signal::STOP);
    let asked = house.good(&format!("drain {name}")).await;
    assert!(asked.stdout.contains("is asked to drain"), "{}", asked.stdout);
    tokio::time::sleep(LEASE + LEASE / 2).await;
    let lost = house.run(&format!("drain {name} --wait")).await;
    assert_eq!(lost.code, Some(1), "{}", lost.stderr);
    assert!(lost.stderr.contains("is not heard any more"), "{}", lost.stderr);
    // when it comes back it hears of it
    frozen.signal(rustix::process::Signal::CONT);
    assert_eq!(frozen.wait_exit(LONG).await.code, Some(0));

    let local = house.run("--local drain x").await;
    assert_eq!(local.code, Some(2), "{}", local.stderr);
}
