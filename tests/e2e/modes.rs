//! Upload modes against what is in the table already.

use nstore_tests::simulator::{
    Api,
    faults::{Fault, FaultKind},
};

use crate::house::{House, day};

const REPLACE: &str = "extract --sources buyer_tickets --chunk-sizes buyer_tickets:2 --upload \
                       --upload-mode buyer_tickets:replace";

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_with_a_failing_chunk_leaves_the_old_rows() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    house.good(&format!("{REPLACE} --start-date 2025-08-01 --end-date 2025-08-06")).await;
    house.simulator.fault(Fault::new("buyer_tickets", FaultKind::Drift).on(day("2025-08-08")));
    let exit = house.run(&format!("{REPLACE} --start-date 2025-08-01 --end-date 2025-08-10")).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-06").await;

    let run = house.runs().pop().unwrap();
    house.good(&format!("retry {run}")).await;
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_on_a_replaced_table_is_still_right() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    house.good(&format!("{REPLACE} --start-date 2025-08-01 --end-date 2025-08-06")).await;
    house.execute("CREATE VIEW tickets_seen AS SELECT * FROM buyer_tickets").await;
    house.good(&format!("{REPLACE} --start-date 2025-08-01 --end-date 2025-08-10")).await;
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-10").await;
    let (seen, stored) = (
        house.number("SELECT count(*) FROM tickets_seen").await,
        house.number("SELECT count(*) FROM buyer_tickets").await,
    );
    assert_eq!(seen, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_that_lacks_days_is_refused_unless_it_may_shrink() {
    let house = House::with_rows(40).await;
    let _worker = house.worker(4);
    house.good(&format!("{REPLACE} --start-date 2025-08-01 --end-date 2025-08-06")).await;
    let shrink = format!("{REPLACE} --start-date 2025-08-05 --end-date 2025-08-06");
    let exit = house.run(&shrink).await;
    assert_eq!(exit.code, Some(2), "{}\n{}", exit.stdout, exit.stderr);
    assert!(
        exit.stderr.contains("--allow-shrink") && exit.stderr.contains("replace_range"),
        "{}",
        exit.stderr
    );
    house.assert_equal(&[Api::BuyerTickets], "2025-08-01", "2025-08-06").await;
    house.good(&format!("{shrink} --allow-shrink")).await;
    house.assert_equal(&[Api::BuyerTickets], "2025-08-05", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_a_keyless_append_loaded_are_refused_to_a_second_run() {
    let house = House::with_rows(30).await;
    let _worker = house.worker(4);
    house.edit("mappings/seller_orders.yaml", "key: [order_id]\n", "");
    let append = "extract --sources seller_orders --chunk-sizes seller_orders:2 --upload";
    house.good(&format!("{append} --start-date 2025-08-01 --end-date 2025-08-04")).await;
    let first = house.runs().pop().unwrap();
    let again = format!("{append} --start-date 2025-08-03 --end-date 2025-08-08");
    let exit = house.run(&again).await;
    assert_eq!(exit.code, Some(2), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains(&first) && exit.stderr.contains("--reload"), "{}", exit.stderr);
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-04").await;

    house.good(&format!("{again} --reload")).await;
    house.assert_equal(&[Api::SellerOrders], "2025-08-01", "2025-08-08").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_other_hands_is_matched_by_name_or_refused_before_anything_is_extracted() {
    let house = House::with_rows(30).await;
    let _worker = house.worker(4);
    let append = "extract --start-date 2025-08-01 --end-date 2025-08-03 --sources seller_tickets --upload";
    house.execute("CREATE TABLE seller_tickets (ticket_id bigint[] PRIMARY KEY, mine text NOT NULL)").await;
    let exit = house.run(append).await;
    assert_eq!(exit.code, Some(2), "{}\n{}", exit.stdout, exit.stderr);
    for column in ["ticket_id", "mine"] {
        assert!(exit.stderr.contains(column), "{}", exit.stderr);
    }
    assert!(house.simulator.requests().is_empty(), "nothing is extracted before the table fits");

    house.execute("DROP TABLE seller_tickets").await;
    house.good(append).await;
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-03").await;
    house
        .execute(
            "ALTER TABLE seller_tickets ADD COLUMN seen_at timestamptz DEFAULT now();
             CREATE INDEX ON seller_tickets (seen_at)",
        )
        .await;
    house.good(&append.replace("08-03", "08-05")).await;
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-05").await;

    house.execute("ALTER TABLE seller_tickets RENAME TO away; CREATE TABLE seller_tickets (LIKE away INCLUDING ALL)").await;
    let exit = house.run(append).await;
    assert_eq!(exit.code, Some(2), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("nstore forget seller_tickets"), "{}", exit.stderr);
    house.good("forget seller_tickets").await;
    house.good(append).await;
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-03").await;
}
