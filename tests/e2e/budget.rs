//! A source is asked no more often than its budget says, by all workers together.

use std::time::Duration;

use nstore_tests::{
    context::own_redis,
    simulator::{
        Api, Options,
        faults::{Fault, FaultKind},
    },
};
use rustix::process::Signal;

use crate::house::{House, LONG, eventually};

const SOURCES: [Api; 2] = [Api::BuyerOrders, Api::SellerOrders];
const RATE: usize = 5;
const BURST: usize = 2;

/// Two sources that share a budget, in chunks of a day.
async fn house() -> House {
    let latency = Duration::from_millis(20);
    let house = House::with(Options { rows_per_day: 20, latency, ..Options::default() }).await;
    for api in SOURCES {
        let budget = format!("budget: {{ key: market, rate: {RATE}/s, burst: {BURST} }}\nrecords:");
        house.edit(&format!("sources/{}.yaml", api.name()), "records:", &budget);
    }
    house
}

fn run(last: &str, more: &str) -> String {
    let names = SOURCES.map(Api::name);
    format!(
        "extract --start-date 2025-08-01 --end-date {last} --sources {} --chunk-sizes {}:1 {more}",
        names.join(","),
        names.join(":1,")
    )
}

/// When the two were asked, in milliseconds.
fn asked(house: &House) -> Vec<u64> {
    let mut times: Vec<u64> = house.simulator.requests().iter().map(|request| request.at_ms).collect();
    times.sort_unstable();
    times
}

/// No second has more requests than rate, burst and one.
fn assert_kept(house: &House) {
    let times = asked(house);
    let within = |from: &u64| times.iter().filter(|at| (*from..from + 1000).contains(*at)).count();
    let most = times.iter().map(within).max().unwrap();
    assert!(most <= RATE + BURST + 1, "{most} requests within a second: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_sources_that_share_a_budget_keep_to_it_together() {
    let house = house().await;
    let workers = [house.worker(4), house.worker(4)];
    let job = house.nstore(&run("2025-08-20", "--upload --parallel-workers 4")).start();
    eventually(|| async { (asked(&house).len() >= 10).then_some(()) }).await;
    // all of them have a slot, and miss it
    workers.iter().for_each(|worker| worker.signal(Signal::STOP));
    tokio::time::sleep(Duration::from_secs(2)).await;
    workers.iter().for_each(|worker| worker.signal(Signal::CONT));
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    let times = asked(&house);
    assert!(times.len() >= 40, "{} requests tell little", times.len());
    assert_kept(&house);
    let seconds = (times[times.len() - 1] - times[0]) / 1000;
    let least = (times.len() - BURST) / RATE;
    assert!(usize::try_from(seconds).unwrap() < least * 3, "what may be asked is asked: {seconds} s");
    house.assert_equal(&SOURCES, "2025-08-01", "2025-08-20").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_is_asked_and_all_goes_on_when_it_is_back() {
    let mut house = house().await;
    let mut own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    // the outage is shorter than its lease: it is the budget that holds requests back
    let _worker = house.worker_with_lease(4, Duration::from_secs(10));
    let job = house.nstore(&run("2025-08-15", "--upload")).start();
    eventually(|| async { (asked(&house).len() >= 5).then_some(()) }).await;
    own.server.kill();
    // a slot that was granted before is one
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = asked(&house).len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asked(&house).len(), before, "without its word no request leaves");
    own.server.restart().unwrap();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_kept(&house);
    house.assert_equal(&SOURCES, "2025-08-01", "2025-08-15").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_of_one_source_is_heeded_by_all_that_share_its_budget() {
    let house = house().await;
    let _workers = [house.worker(2), house.worker(2)];
    let patience = Duration::from_secs(3);
    let limit = Fault::new(SOURCES[0].name(), FaultKind::RateLimit).after(3);
    house.simulator.fault(Fault { retry_after: Some("3".into()), ..limit });
    house.good(&run("2025-08-08", "--upload")).await;
    let requests = house.simulator.requests();
    let limited = requests.iter().find(|request| request.status == 429).unwrap();
    // those that had their slot, a quarter of a second ahead, are not called back
    let heard = limited.at_ms + limited.ms + 600;
    let until = limited.at_ms + u64::try_from(patience.as_millis()).unwrap();
    let early: Vec<_> = requests.iter().filter(|other| (heard..until).contains(&other.at_ms)).collect();
    assert!(early.is_empty(), "{early:?}");
    house.assert_equal(&SOURCES, "2025-08-01", "2025-08-08").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_chunk_waits_for_its_budget_is_not_its_own_time() {
    let house = house().await;
    for api in SOURCES {
        let file = format!("sources/{}.yaml", api.name());
        house.edit(&file, "rate: 5/s, burst: 2", "rate: 1/s, burst: 1");
        house.edit(&file, "records:", "timeouts: { total: 1s, chunk: 2s }\nrecords:");
    }
    let _worker = house.worker(8);
    house.good(&run("2025-08-05", "--upload --parallel-workers 8")).await;
    // all began at once, and the last one waited for all others
    assert_eq!(asked(&house).len(), 10, "none was split, none was asked for again");
    house.assert_equal(&SOURCES, "2025-08-01", "2025-08-05").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_would_wait_too_long_for_its_first_request_is_given_back() {
    let house = house().await;
    for api in SOURCES {
        house.edit(&format!("sources/{}.yaml", api.name()), "rate: 5/s, burst: 2", "rate: 12/h");
    }
    let worker = house.worker(2);
    house.good(&run("2025-08-02", "--detach")).await;
    let run = house.newest_run().await;
    eventually(|| async {
        let status = house.good(&format!("status {run}")).await.stdout;
        status.contains("the budget `market` (12/h): it is used up").then_some(())
    })
    .await;
    eventually(|| async { (house.simulator.requests().len() == 1).then_some(()) }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.simulator.requests().len(), 1, "{}", worker.stderr());
    let list = house.good("discarded list").await.stdout;
    assert!(!list.contains(&run), "no try is counted: {list}");
}
