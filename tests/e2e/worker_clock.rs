//! A worker whose clock is an hour ahead: its extractions are ordered like those of others, and its clock is reported.

use std::time::Duration;

use nstore_tests::{
    context::{Clock, Running},
    simulator::{Api, Options},
};

use crate::house::{House, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_tickets \
                   --chunk-sizes buyer_tickets:2 --upload";

fn fast_worker(house: &House, clock: &Clock) -> Running {
    let process = house.worker_process(2, Duration::from_secs(5));
    clock.env().into_iter().fold(process, |process, (name, value)| process.env(&name, value)).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_a_worker_orders_no_extractions_and_is_reported() {
    let house = House::with(Options { rows_per_day: 30, ..Options::default() }).await;
    let clock = Clock::new(3600);
    let worker = fast_worker(&house, &clock);
    // it replaces ranges: a later extraction takes the place of an earlier one
    assert!(house.good(RUN).await.stdout.contains("complete"));
    eventually(|| async {
        let shown = house.good("workers").await.stdout;
        shown.contains("s ahead of the clock of redis").then_some(())
    })
    .await;
    worker.kill9();

    let _worker = house.worker(2);
    // other chunk bounds cover a part of what was loaded
    let again = RUN.replace("buyer_tickets:2", "buyer_tickets:3").replace("2025-08-01", "2025-08-02");
    let shown = house.good(&again).await.stdout;
    assert!(shown.contains("complete") && !shown.contains("superseded"), "{shown}");
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-04").await;
    let ledger = house.number("SELECT count(*) FROM nstore.ledger WHERE state = 'superseded'").await;
    assert_eq!(ledger, 0);
}
