//! A user names dates and sources, and the rows are in PostgreSQL, each once.

use nstore_tests::simulator::{
    Api, Options,
    faults::{Fault, FaultKind},
};

use crate::house::{House, day};

const ALL: &str = "buyer_orders,buyer_tickets,buyer_razorpay,seller_orders,seller_tickets";
const MONTH: &str = "--start-date 2025-08-01 --end-date 2025-08-31";

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_all_sources_equals_the_truth() {
    let house = House::with_rows(60).await;
    let _worker = house.worker(8);
    house.good(&format!("extract {MONTH} --sources {ALL} --upload")).await;
    house.assert_equal(&Api::HTTP, "2025-08-01", "2025-08-31").await;
}

/// A source that Redis never heard of does not wait for workers of an earlier life.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_of_a_source_does_not_wait_out_a_lease() {
    let house = House::with_rows(10).await;
    let lease = std::time::Duration::from_secs(100);
    let _worker = house.worker_with_lease(2, lease);
    let started = std::time::Instant::now();
    house.good("extract --start-date 2025-08-01 --end-date 2025-08-02 --sources buyer_orders").await;
    assert!(started.elapsed() < lease);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_twice_doubles_nothing_in_any_mode() {
    let house = House::with_rows(30).await;
    let _worker = house.worker(4);
    let modes = "buyer_orders:append,buyer_tickets:replace,seller_orders:replace_range";
    let command = format!(
        "extract --start-date 2025-08-01 --end-date 2025-08-07 --upload \
         --sources buyer_orders,buyer_tickets,seller_orders --upload-mode {modes}"
    );
    for _ in 0..2 {
        house.good(&command).await;
        let apis = [Api::BuyerOrders, Api::BuyerTickets, Api::SellerOrders];
        house.assert_equal(&apis, "2025-08-01", "2025-08-07").await;
    }
    assert_eq!(house.runs().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_run() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    let command = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_orders --upload";
    house.good(&format!("{command} --idempotency-key daily")).await;
    house.simulator.clear_requests();
    house.good(&format!("{command} --idempotency-key daily")).await;
    assert!(house.simulator.requests().is_empty(), "nothing is extracted again");
    assert_eq!(house.runs().len(), 1);

    let other = "extract --start-date 2025-08-01 --end-date 2025-08-05 --sources buyer_orders --upload";
    let exit = house.run(&format!("{other} --idempotency-key daily")).await;
    assert_eq!(exit.code, Some(2), "{}", exit.stderr);
    assert!(exit.stderr.contains("same idempotency key"), "{}", exit.stderr);
}

/// Some of them find that PostgreSQL takes no more connections, and say so with code 4: as anybody would, they ask again.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_ask_at_once_with_one_key_get_one_run() {
    const TOGETHER: usize = 100;
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    let command = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_orders,seller_tickets \
                   --upload --detach --json --idempotency-key daily";
    let ask = || async {
        loop {
            let exit = house.run(command).await;
            if exit.code != Some(4) {
                break exit;
            }
        }
    };
    let exits = futures::future::join_all((0..TOGETHER).map(|_| ask())).await;
    let answers: Vec<serde_json::Value> = exits
        .iter()
        .map(|exit| serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("{}", exit.stderr)))
        .collect();
    assert!(answers.iter().all(|answer| answer["run"] == answers[0]["run"]), "{answers:?}");
    assert_eq!(house.runs().len(), 1);
    house.good(&format!("resume {}", house.runs()[0])).await;
    house.assert_equal(&[Api::BuyerOrders, Api::SellerTickets], "2025-08-01", "2025-08-04").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sequential_is_one_at_a_time_in_order_and_parallel_keeps_its_width() {
    let options =
        Options { rows_per_day: 20, latency: std::time::Duration::from_millis(20), ..Options::default() };
    let house = House::with(options).await;
    let _worker = house.worker(8);
    house
        .good(
            "extract --start-date 2025-08-01 --end-date 2025-08-20 --sources buyer_orders,seller_orders \
             --chunk-sizes buyer_orders:1,seller_orders:1 --parallel-workers 3 \
             --execution-mode buyer_orders:sequential,seller_orders:parallel",
        )
        .await;
    assert_eq!(house.simulator.max_in_flight(Api::BuyerOrders), 1);
    let parallel = house.simulator.max_in_flight(Api::SellerOrders);
    assert!((2..=3).contains(&parallel), "{parallel} in flight");
    let asked: Vec<String> = house
        .simulator
        .requests()
        .into_iter()
        .filter(|request| request.source == "buyer_orders")
        .map(|request| request.query)
        .collect();
    let mut sorted = asked.clone();
    sorted.sort();
    assert_eq!(asked, sorted, "in the order of the days");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_stumbles_is_asked_again_and_nothing_is_lost() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    for (source, kind, count) in [
        ("buyer_orders", FaultKind::RateLimit, 2),
        ("buyer_orders", FaultKind::HalfBody, 2),
        ("buyer_razorpay", FaultKind::ErrorBurst, 6),
        ("buyer_tickets", FaultKind::Abort, 3),
        ("seller_orders", FaultKind::BadJson, 1),
        ("seller_tickets", FaultKind::Slow, 2),
    ] {
        house.simulator.fault(Fault::new(source, kind).times(count));
    }
    house
        .good(&format!("extract --start-date 2025-08-01 --end-date 2025-08-10 --sources {ALL} --upload"))
        .await;
    house.assert_equal(&Api::HTTP, "2025-08-01", "2025-08-10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_fails_its_chunk_unless_the_mapping_allows_it() {
    let house = House::with_rows(20).await;
    let _worker = house.worker(4);
    let drift = || Fault::new("buyer_orders", FaultKind::Drift).on(day("2025-08-02"));
    let command = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_orders \
                   --chunk-sizes buyer_orders:1 --upload";
    house.simulator.fault(drift());
    let exit = house.run(command).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    let run = house.runs().pop().unwrap();
    let told = format!("{}{}", exit.stdout, exit.stderr);
    assert!(told.contains("2025-08-02..2025-08-02"), "{told}");
    assert!(told.contains(&format!("nstore retry {run}")), "{told}");
    assert_eq!(house.files("buyer_orders", &run, ".rejects.jsonl").len(), 1);

    house.good(&format!("retry {run}")).await;
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-04").await;

    house.edit("mappings/buyer_orders.yaml", "rejects: { allow: 0 }", "rejects: { allow: 1 }");
    house.execute("DELETE FROM buyer_orders").await;
    house.simulator.fault(drift());
    house.good(command).await;
    let truth = house.simulator.truth(Api::BuyerOrders, day("2025-08-01"), day("2025-08-04"));
    let rows = house.number("SELECT count(*) FROM buyer_orders").await;
    assert_eq!(rows, i64::try_from(truth.rows).unwrap() - 1, "one row is in the rejects file instead");
}
