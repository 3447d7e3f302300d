//! Runs that are asked for again under the same key with another plan.

use crate::house::House;

const KEYED: &str = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_orders \
                     --chunk-sizes buyer_orders:1 --idempotency-key nightly";

#[tokio::test(flavor = "multi_thread")]
async fn a_living_worker_follows_the_plan_of_a_run_that_was_cleaned_and_asked_for_again() {
    let house = House::with_rows(60).await;
    let _worker = house.worker(2);
    house.good(KEYED).await;
    let cleaned = house.good("clean --older-than 0s --yes").await.stdout;
    assert!(cleaned.contains("removed 1 run"), "{cleaned}");
    house.edit("sources/buyer_orders.yaml", "size: 500", "size: 200");
    let before = house.simulator.requests().len();

    house.good(KEYED).await;
    let asked = house.simulator.requests().split_off(before);
    assert_eq!(asked.len(), 4);
    for request in asked {
        assert!(request.query.contains("per_page=200"), "the source's file of before: {request:?}");
    }
}
