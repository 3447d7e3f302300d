//! Daily life: the shipped sources day after day, and one source that stops alone.

use chrono::Days;
use nstore_tests::simulator::{Api, Options};

use crate::house::{House, day};

const ALL: &str =
    "buyer_orders,buyer_tickets,buyer_razorpay,seller_orders,seller_tickets,network_observability";

#[tokio::test(flavor = "multi_thread")]
async fn all_shipped_sources_work_on_ten_days_in_a_row() {
    let house = House::with(Options { rows_per_day: 40, ..Options::default() }).await;
    let _api = house.worker(4);
    let _browser = house.browser_worker(1).start();
    for passed in 0..10 {
        let today = day("2025-08-01") + Days::new(passed);
        // as cron does it, and a second time on some days
        for _ in 0..=u64::from(passed % 5 == 4) {
            house
                .good(&format!("extract --start-date {today} --end-date {today} --sources {ALL} --upload"))
                .await;
        }
    }
    house.assert_equal(&Api::ALL, "2025-08-01", "2025-08-10").await;
    let lost =
        "SELECT count(*) FROM nstore.ledger WHERE state = 'loaded' AND changed_rows + rejected_rows > 0";
    assert_eq!(house.number(lost).await, 0);
    let proven = "SELECT count(*) FROM nstore.ledger WHERE evidence IS NOT NULL";
    assert!(house.number(proven).await > 0);
}

/// A replace that would drop days stops before its source is asked; the others run.
#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_lacks_days_stops_that_source_only() {
    let house = House::with_rows(30).await;
    let _worker = house.worker(4);
    house.edit("sources/buyer_tickets.yaml", "upload: replace_range", "upload: replace");
    let command = "extract --sources buyer_orders,buyer_tickets --upload";
    house.good(&format!("{command} --start-date 2025-08-01 --end-date 2025-08-03")).await;
    house.simulator.clear_requests();

    let exit = house.run(&format!("{command} --start-date 2025-08-04 --end-date 2025-08-05")).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    let told = format!("{}\n{}", exit.stdout, exit.stderr);
    for word in ["buyer_tickets is not extracted", "would erase 3 days", "--allow-shrink", "replace_range"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(house.simulator.requests().iter().all(|request| request.source == "buyer_orders"));
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-05").await;
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-03").await;

    // the run has ended: it is told the same later, and nothing of it is open
    let run = house.runs().pop().unwrap();
    let status = house.run(&format!("status {run} --json")).await;
    let report: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(report["verdict"], "partial", "{}", status.stdout);
    let tickets =
        report["sources"].as_array().unwrap().iter().find(|s| s["status"]["source"] == "buyer_tickets");
    assert!(tickets.unwrap()["blocked"].as_str().unwrap().contains("--allow-shrink"), "{}", status.stdout);

    // the same key asks for the same, whatever was refused
    let keyed = format!("{command} --start-date 2025-08-04 --end-date 2025-08-05 --idempotency-key k");
    for _ in 0..2 {
        assert_eq!(house.run(&keyed).await.code, Some(3));
    }
    let exit = house.run(&format!("{keyed} --fail-fast")).await;
    assert_eq!(exit.code, Some(2), "{}", exit.stderr);
}

/// A table that stops fitting while the rows are extracted: the run ends, `status` says why, and `load` goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_refused_later_ends_the_run_until_it_is_asked_for() {
    let house = House::with_rows(30).await;
    let _worker = house.worker(4);
    house.edit("sources/buyer_tickets.yaml", "upload: replace_range", "upload: replace");
    let command = "extract --sources buyer_tickets --upload";
    let exit = house.good(&format!("{command} --start-date 2025-08-01 --end-date 2025-08-02 --detach")).await;
    let first = exit.stdout.trim().to_owned();
    house.execute("CREATE TABLE notes (ticket text REFERENCES buyer_tickets ON DELETE CASCADE)").await;
    let exit = house.run(&format!("resume {first}")).await;
    let told = format!("{}\n{}", exit.stdout, exit.stderr);
    assert_eq!(exit.code, Some(3), "{told}");
    assert!(told.contains("ON DELETE CASCADE") && told.contains("notes"), "{told}");
    let status = house.run(&format!("status {first} --json")).await;
    let report: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_ne!(report["verdict"], "open", "{}", status.stdout);
    assert!(status.stdout.contains("ON DELETE CASCADE"), "{}", status.stdout);

    house.execute("DROP TABLE notes").await;
    house.good(&format!("load {first}")).await;
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_load_will_meet_is_printed_before_it_and_by_a_dry_run() {
    let house = House::with_rows(10).await;
    let _worker = house.worker(2);
    let command = "extract --start-date 2025-08-01 --end-date 2025-08-01 --sources buyer_orders --upload";
    let dry = house.good(&format!("{command} --dry-run")).await;
    assert!(
        dry.stderr.contains("buyer_orders: table public.buyer_orders: it will be made"),
        "{}",
        dry.stderr
    );
    assert_eq!(house.number("SELECT count(*) FROM pg_class WHERE relname = 'buyer_orders'").await, 0);
    assert!(house.simulator.requests().is_empty());

    let exit = house.good(command).await;
    let note = exit.stderr.find("it will be made from the mapping").unwrap();
    assert!(note < exit.stderr.find("\nrun ").unwrap(), "before the run: {}", exit.stderr);
    house.execute("CREATE TABLE notes (id text REFERENCES buyer_orders ON DELETE CASCADE)").await;
    let dry = house.good(&format!("{command} --dry-run --upload-mode buyer_orders:replace_range")).await;
    assert!(
        dry.stderr.contains("would not be extracted") && dry.stderr.contains("CASCADE"),
        "{}",
        dry.stderr
    );
}
