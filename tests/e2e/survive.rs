//! What dies in the middle of a job: afterwards the tables equal the truth.

use std::time::Duration;

use nstore_tests::{
    context::{own_postgres, own_redis},
    simulator::{Api, Options},
};

use crate::house::{House, LEASE, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:2,seller_orders:2 --upload";
const APIS: [Api; 2] = [Api::BuyerOrders, Api::SellerOrders];

async fn slow_house() -> House {
    let latency = Duration::from_millis(30);
    House::with(Options { rows_per_day: 800, latency, ..Options::default() }).await
}

async fn assert_whole(house: &House) {
    house.assert_equal(&APIS, "2025-08-01", "2025-08-12").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_replaced_within_a_lease_and_a_second() {
    let house = slow_house().await;
    let victim = house.worker(2);
    // one chunk of each source at a time: the victim holds all there is
    let job = house.nstore(&format!("{RUN} --parallel-workers 1")).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    let mut heir = house.worker(2);
    heir.wait_for("started", LONG).await;
    victim.kill9();
    let killed = std::time::Instant::now();
    let before = house.simulator.requests().len();
    eventually(|| async { (house.simulator.requests().len() > before).then_some(()) }).await;
    let pause = killed.elapsed();
    assert!(pause < LEASE + Duration::from_secs(1), "took over after {pause:?}");
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
    drop(heir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_is_finished_by_resume_and_nothing_is_done_twice() {
    let house = slow_house().await;
    let _worker = house.worker(4);
    let job = house.nstore(RUN).start();
    let run = house.newest_run().await;
    let some_loaded = "SELECT count(*) FROM pg_tables WHERE schemaname = 'nstore' AND tablename = 'ledger'";
    eventually(|| async {
        let there = house.number(some_loaded).await > 0;
        (there && house.number("SELECT count(*) FROM nstore.ledger").await > 0).then_some(())
    })
    .await;
    job.kill9();
    house.good(&format!("resume {run}")).await;
    assert_whole(&house).await;
    for source in ["buyer_orders", "seller_orders"] {
        assert_eq!(house.files(source, &run, ".csv").len(), 6, "one artifact per chunk of {source}");
    }
    assert_eq!(house.number("SELECT count(*) FROM nstore.ledger").await, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_follow_a_run_disturb_nobody_who_works_on_it() {
    let house = slow_house().await;
    let worker = house.worker(4);
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    let followers: Vec<_> = (0..2).map(|_| house.nstore("serve").start()).collect();
    house.good(&format!("resume {run}")).await;
    assert_whole(&house).await;
    assert!(!worker.stderr().contains("lost: another worker"), "{}", worker.stderr());
    let mut asked: Vec<_> = house.simulator.requests().into_iter().map(|request| request.query).collect();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all, "no page is asked for twice");
    drop(followers);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_watch_alone_and_says_how_to_go_on() {
    let house = slow_house().await;
    let _worker = house.worker(4);
    let job = house.nstore(RUN).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    let run = house.newest_run().await;
    job.sigint();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    for verb in ["status", "resume", "cancel"] {
        assert!(exit.stderr.contains(&format!("nstore {verb} {run}")), "{verb}: {}", exit.stderr);
    }
    // the workers go on
    let markers = |source| house.files(source, &run, ".g1.json").len();
    eventually(|| async { (markers("buyer_orders") + markers("seller_orders") == 12).then_some(()) }).await;
    house.good(&format!("resume {run}")).await;
    assert_whole(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_killed_during_the_load_is_waited_for() {
    let mut house = slow_house().await;
    let mut own = own_postgres();
    house.env.push(("NSTORE_POSTGRES_URL".into(), own.url()));
    house.context.postgres.url = own.url();
    let _worker = house.worker(4);
    let job = house.nstore(RUN).start();
    house.newest_run().await;
    eventually(|| async {
        let there = house.number("SELECT count(*) FROM pg_tables WHERE tablename = 'ledger'").await > 0;
        (there && house.number("SELECT count(*) FROM nstore.ledger").await > 0).then_some(())
    })
    .await;
    own.server.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    own.server.restart().unwrap();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_redis_loses_and_doubles_nothing() {
    let mut house = slow_house().await;
    let mut own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    let _worker = house.worker(4);
    let job = house.nstore(RUN).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    own.server.kill();
    tokio::time::sleep(LEASE).await;
    own.server.restart().unwrap();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_everything_is_filled_again_from_storage() {
    let mut house = slow_house().await;
    let own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    let _worker = house.worker(4);
    let job = house.nstore(RUN).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    let flushed =
        std::process::Command::new("redis-cli").args(["-u", &own.url(), "FLUSHALL"]).output().unwrap();
    assert!(flushed.status.success());
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_file_with_a_flipped_bit_is_extracted_again_and_never_loaded() {
    let house = House::with_rows(60).await;
    let _worker = house.worker(4);
    house.good(&format!("{RUN} --detach")).await;
    let run = house.newest_run().await;
    let stored = |ending: &str| house.files("buyer_orders", &run, ending);
    eventually(|| async { (stored(".g1.json").len() == 6).then_some(()) }).await;
    let victim = stored(".csv").swap_remove(2);
    let mut bytes = std::fs::read(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&victim, bytes).unwrap();

    house.good(&format!("resume {run}")).await;
    assert_whole(&house).await;
    assert_eq!(stored(".g1.void.json").len(), 1, "its outcome was voided");
    assert_eq!(stored(".g2.json").len(), 1, "and it was extracted again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_finishes_or_gives_back_what_it_has() {
    let house = slow_house().await;
    let leaving = house.worker(4);
    let job = house.nstore(RUN).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    let _staying = house.worker(4);
    leaving.sigterm();
    let exit = leaving.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
}
