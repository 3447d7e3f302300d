//! Bounds that both belong, over rows that are finer than the step of the bounds.

use nstore_tests::simulator::Api;

use crate::house::House;

/// The last row of each day lies 999 ms into its last second, which the API does not give for a `to` of that second.
#[tokio::test(flavor = "multi_thread")]
async fn no_row_of_the_last_second_of_a_chunk_is_lost() {
    let house = House::with_rows(200).await;
    let _worker = house.worker(4);
    let run = house
        .good(
            "extract --start-date 2025-08-01 --end-date 2025-08-06 --sources seller_tickets \
             --chunk-sizes seller_tickets:1 --upload",
        )
        .await;
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-06").await;
    // the chunks meet in rows that were asked for on purpose: nobody needs to know of them
    for said in [&run.stdout, &run.stderr] {
        assert!(!said.contains("outside"), "{said}");
    }
}
