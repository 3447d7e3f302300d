//! A worker that lives on while a run is removed and asked for again under the same name.

use nstore_shared::{
    chunk::ChunkState,
    config::spec::{ExtractSpec, Paginator},
};
use nstore_tests::simulator::Options;

use crate::house::House;

const SOURCE: &str = "seller_orders";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_follows_the_plan_that_its_grant_names() {
    let house = House::new(Options::default()).await;
    let first = house.run(SOURCE, 3).await;
    let worker = house.worker(house.config());
    house.wait_for(&first, ChunkState::Completed, 3).await;
    // as `clean` does
    house.queue.forget(&first.source, &first.run).await.unwrap();
    house.storage.remove_source(&first.source, &first.run).await.unwrap();
    house.storage.remove_run(&first.run).await.unwrap();

    let mut source = house.source(SOURCE);
    let ExtractSpec::Api(api) = &mut source.spec.extract else { panic!("an api") };
    let Paginator::Offset { limit, .. } = &mut api.paginator else { panic!("by offset") };
    *limit = 100;
    let asked = house.simulator.requests().len();
    let second = house.run_named(first.run, SOURCE, source, 3).await;
    house.wait_for(&second, ChunkState::Completed, 3).await;
    worker.end().await;
    let requests = house.simulator.requests().split_off(asked);
    assert!(requests.len() >= 3);
    for request in requests {
        assert!(request.query.contains("limit=100"), "the plan of before: {request:?}");
    }
}
