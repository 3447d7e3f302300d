//! Chunks that hold more than their source gives, or take longer than they may: their halves make the same table.

use std::{process::Command, time::Duration};

use nstore_tests::{
    context::own_redis,
    simulator::{
        Api, Options,
        caps::{Beyond, Cap},
    },
};
use serde_json::Value;

use crate::house::{House, LONG, eventually};

const DAYS: &str = "--start-date 2025-08-01 --end-date 2025-08-04";
const REFUSED: &str =
    "error_handlers: [{ when: { codes: [400], body_contains: too many records }, action: split_window }]";

/// Every day has 200 orders of buyers, 100 of sellers, 60 tickets of buyers, 40 payments, 30 tickets of sellers.
fn exact(caps: &[(Api, u64, Beyond)]) -> Options {
    let caps = caps.iter().map(|&(api, records, how)| Cap { api, records, how }).collect();
    Options { rows_per_day: 200, exact: true, caps, ..Options::default() }
}

/// Adds lines to a source's file.
fn add(house: &House, api: Api, lines: &str) {
    let mapping = format!("mapping: {}", api.name());
    house.edit(&format!("sources/{}.yaml", api.name()), &mapping, &format!("{mapping}\n{lines}"));
}

/// The ranges of a run's standing markers of a type.
fn ranges(house: &House, source: &str, run: &str, outcome: &str) -> Vec<String> {
    let markers =
        house.markers(source, run).into_iter().filter(|marker| marker["outcome"]["type"] == outcome);
    markers.map(|marker| marker["chunk"]["range"].as_str().unwrap().to_owned()).collect()
}

/// No chunk is both, and what the ledger holds are the stored leaves.
async fn assert_committed_or_split(house: &House, source: &str, run: &str) {
    let (committed, split) = (ranges(house, source, run, "committed"), ranges(house, source, run, "split"));
    assert!(!split.is_empty(), "{source} met no cap");
    assert!(split.iter().all(|range| !committed.contains(range)), "{committed:?} {split:?}");
    assert_eq!(committed.len(), split.len() + 1, "one chunk, each split adds one");
    let loaded = format!("SELECT count(*) FROM nstore.ledger WHERE run = '{run}' AND source = '{source}'");
    assert_eq!(house.number(&loaded).await, i64::try_from(committed.len()).unwrap());
    assert_eq!(house.files(source, run, ".csv").len(), committed.len(), "one artifact each");
}

#[tokio::test(flavor = "multi_thread")]
async fn halves_make_the_truth_in_every_upload_mode() {
    let house = House::with(exact(&[
        // whole days, then parts of a day
        (Api::BuyerOrders, 450, Beyond::Refused),
        (Api::SellerOrders, 60, Beyond::Refused),
        (Api::BuyerTickets, 40, Beyond::CutOff),
        (Api::BuyerRazorpay, 30, Beyond::CutOff),
        (Api::SellerTickets, 20, Beyond::Refused),
    ]))
    .await;
    for api in [Api::BuyerOrders, Api::SellerOrders, Api::SellerTickets] {
        add(&house, api, REFUSED);
    }
    add(&house, Api::BuyerTickets, "limits: { max_records: 40 }");
    add(&house, Api::BuyerRazorpay, "limits: { max_records: 30 }");
    let _worker = house.worker(4);
    let each = Api::HTTP.map(|api| format!("{}:4", api.name())).join(",");
    let names = Api::HTTP.map(Api::name).join(",");
    let run = format!(
        "extract {DAYS} --sources {names} --chunk-sizes {each} --upload --upload-mode seller_tickets:replace_range"
    );
    // append skips what is there, the others put anew what is there
    for _ in 0..2 {
        house.good(&run).await;
        house.assert_equal(&Api::HTTP, "2025-08-01", "2025-08-04").await;
        let id = house.runs().pop().unwrap();
        for api in Api::HTTP {
            assert_committed_or_split(&house, api.name(), &id).await;
        }
        let status: Value =
            serde_json::from_str(&house.good(&format!("status {id} --json")).await.stdout).unwrap();
        assert_eq!(status["verdict"], "complete");
    }
    let parts = ranges(&house, "seller_orders", &house.runs().pop().unwrap(), "committed");
    assert!(parts.contains(&"20250731t183000z_20250801t063000z".to_owned()), "{parts:?}");
    let days = ranges(&house, "buyer_orders", &house.runs().pop().unwrap(), "committed");
    assert_eq!(days, ["2025-08-01_2025-08-03", "2025-08-03_2025-08-05"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyless_append_claims_days_and_loads_and_reloads_their_parts() {
    let house = House::with(exact(&[(Api::SellerOrders, 60, Beyond::Refused)])).await;
    add(&house, Api::SellerOrders, REFUSED);
    house.edit("mappings/seller_orders.yaml", "key: [order_id]\n", "");
    let _worker = house.worker(4);
    let run = format!("extract {DAYS} --sources seller_orders --chunk-sizes seller_orders:4 --upload");
    house.good(&run).await;
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-04").await;
    assert_committed_or_split(&house, "seller_orders", &house.runs().pop().unwrap()).await;
    assert_eq!(house.run(&run).await.code, Some(2), "the days are held");
    house.good(&format!("{run} --reload")).await;
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-04").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequential_source_works_its_halves_off_in_order() {
    let house = House::with(exact(&[(Api::SellerOrders, 60, Beyond::Refused)])).await;
    add(&house, Api::SellerOrders, REFUSED);
    let _worker = house.worker(4);
    let run = format!(
        "extract {DAYS} --sources seller_orders --chunk-sizes seller_orders:2 \
         --execution-mode seller_orders:sequential --upload"
    );
    house.good(&run).await;
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-04").await;
    let start = |query: &str| -> i64 {
        let since = query.split('&').find_map(|pair| pair.strip_prefix("since_ms="));
        since.unwrap().parse().unwrap()
    };
    let requests = house.simulator.requests();
    let starts: Vec<i64> = requests.iter().filter(|r| r.status == 200).map(|r| start(&r.query)).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    assert_eq!(house.simulator.max_in_flight(Api::SellerOrders), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_takes_too_long_or_answers_too_much_is_split_and_finished_halves_stay() {
    let options = Options { latency: Duration::from_millis(100), ..exact(&[]) };
    let house = House::with(options).await;
    // 6 days are 24 pages, a day is 4
    house.edit("sources/buyer_orders.yaml", "size: 500", "size: 50");
    add(&house, Api::BuyerOrders, "timeouts: { total: 1s, chunk: 1500ms }");
    // a record has some 400 bytes
    add(&house, Api::SellerOrders, "limits: { max_body: 36KiB }");
    let _worker = house.worker(4);
    let run = "extract --start-date 2025-08-01 --end-date 2025-08-06 --sources buyer_orders,seller_orders \
               --chunk-sizes buyer_orders:6,seller_orders:6 --upload";
    house.good(run).await;
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-06").await;
    for source in ["buyer_orders", "seller_orders"] {
        assert_committed_or_split(&house, source, &house.runs().pop().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_split_fails_loudly_and_at_once() {
    let house = House::with(exact(&[(Api::BuyerOrders, 150, Beyond::Refused)])).await;
    add(&house, Api::BuyerOrders, REFUSED);
    let _worker = house.worker(4);
    let exit = house
        .run(&format!("extract {DAYS} --sources buyer_orders --chunk-sizes buyer_orders:2 --upload"))
        .await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, exit.stderr);
    let run = house.runs().pop().unwrap();
    let markers = house.markers("buyer_orders", &run);
    let discarded: Vec<&Value> = markers.iter().filter(|m| m["outcome"]["type"] == "discarded").collect();
    assert_eq!(discarded.len(), 4, "each day, once: {markers:?}");
    for marker in discarded {
        let error = marker["outcome"]["error"].as_str().unwrap();
        assert!(error.contains("too many records") && error.contains("not split: it is one day"), "{error}");
        assert_eq!(marker["outcome"]["attempts"], 1);
    }
    let status = house.run(&format!("status {run}")).await;
    assert!(status.stdout.contains("not split: it is one day"), "{}", status.stdout);
    assert_eq!(house.simulator.requests().len(), 6, "nothing is asked twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_emptied_after_a_split_brings_no_chunk_back() {
    let options = Options {
        latency: Duration::from_millis(60),
        ..exact(&[(Api::SellerOrders, 60, Beyond::Refused), (Api::BuyerTickets, 40, Beyond::CutOff)])
    };
    let mut house = House::with(options).await;
    let own = own_redis(true);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    add(&house, Api::SellerOrders, REFUSED);
    add(&house, Api::BuyerTickets, "limits: { max_records: 40 }");
    let _worker = house.worker(2);
    let job = house
        .nstore(&format!(
            "extract {DAYS} --sources seller_orders,buyer_tickets --chunk-sizes seller_orders:4,buyer_tickets:4 --upload"
        ))
        .start();
    let run = house.newest_run().await;
    for splits in [1, 3] {
        eventually(|| async {
            (ranges(&house, "seller_orders", &run, "split").len() >= splits).then_some(())
        })
        .await;
        let flushed = Command::new("redis-cli").args(["-u", &own.url(), "FLUSHALL"]).output().unwrap();
        assert!(flushed.status.success());
    }
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::SellerOrders, Api::BuyerTickets], "2025-08-01", "2025-08-04").await;
    for source in ["seller_orders", "buyer_tickets"] {
        assert_committed_or_split(&house, source, &run).await;
    }
}
