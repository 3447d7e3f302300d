//! What idle workers ask of Redis does not grow with the sources that were ever used.

use std::time::Duration;

use nstore_shared::{
    chunk::{ChunkState, Kind},
    redis::queue::{Fact, Tally},
};
use nstore_tests::{
    context::{OwnRedis, own_redis, say},
    histories::stage::Stage,
    simulator::Api,
};

use crate::house::{House, LEASE, LONG, eventually};

/// Sources whose only run has ended.
const ENDED: usize = 50;
/// How long commands are counted.
const WHILE: Duration = Duration::from_secs(3);
/// Commands a second of one idle worker: five looks at the list, three heartbeats a lease.
const MOST: u64 = 40;

fn commands(own: &OwnRedis) -> u64 {
    let info = say(&own.url(), "INFO stats");
    let count = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
    count.trim().parse().unwrap()
}

/// Commands a second.
async fn rate(own: &OwnRedis) -> u64 {
    let before = commands(own);
    tokio::time::sleep(WHILE).await;
    (commands(own) - before) / WHILE.as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_workers_ask_as_little_after_fifty_sources_as_after_none() {
    let mut house = House::with_rows(20).await;
    let own = own_redis(false);
    house.env.push(("NSTORE_REDIS_URL".into(), own.url()));
    let prefix = house.context.redis.prefix.clone();
    let mut worker = house.worker_with_lease(8, LEASE);
    worker.wait_for("started", LONG).await;
    let none = rate(&own).await;

    let mut stages = vec![];
    for _ in 0..ENDED {
        let stage = Stage::at(&own.url(), &prefix).await;
        let run = stage.parallel("run", 4, 1);
        stage.enqueue(&run, 0..0).await;
        let done = Fact {
            chunk: stage.chunk(&run.run, 0),
            generation: 1,
            state: ChunkState::Completed,
            by: None,
            tally: Tally::default(),
            error: None,
        };
        assert!(stage.queue.report(&done).await.unwrap());
        stages.push(stage);
    }
    let stage = &stages[0];
    eventually(|| async { stage.queue.sources(Kind::Api).await.unwrap().is_empty().then_some(()) }).await;
    // the claim loops hear of that with the next look at the list
    rate(&own).await;
    let many = rate(&own).await;
    assert!(none <= MOST && many <= MOST, "{none} commands a second, and {many} after {ENDED} ended sources");

    // and work is found as ever
    let run = "extract --start-date 2025-08-01 --end-date 2025-08-04 --sources buyer_orders --upload";
    house.good(run).await;
    eventually(|| async { stage.queue.sources(Kind::Api).await.unwrap().is_empty().then_some(()) }).await;
    house.good(&run.replace("08-04", "08-08")).await;
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-08").await;
}
