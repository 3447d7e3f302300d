//! The clock of Redis is set back by an hour in the middle of a run: it goes on at once, and that is said.

use std::time::{Duration, Instant};

use nstore_tests::{
    context::{Clock, own_redis_with_clock},
    simulator::{
        Api, Options,
        faults::{Fault, FaultKind},
    },
};

use crate::house::{House, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --upload";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_at_once_when_the_clock_of_redis_is_set_back() {
    let latency = Duration::from_millis(100);
    let mut house = House::with(Options { rows_per_day: 100, latency, ..Options::default() }).await;
    let clock = Clock::new(3600);
    let own = own_redis_with_clock(true, &clock);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    // leases of one that dies, tries that wait, and a hold lie in the hour that comes again
    let failing = Fault::new("buyer_orders", FaultKind::ErrorBurst).times(4);
    house.simulator.fault(failing);
    let (dying, _worker) = (house.worker(2), house.worker(2));
    let mut job = house.nstore(RUN).start();
    let run = house.newest_run().await;
    eventually(|| async { (house.files("seller_orders", &run, ".g1.json").len() >= 2).then_some(()) }).await;
    dying.kill9();
    clock.set(0);
    let set = Instant::now();
    job.wait_for("the clock of redis was set back by", LONG).await;
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert!(set.elapsed() < Duration::from_secs(30), "went on after {:?}", set.elapsed());
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-12").await;
}
