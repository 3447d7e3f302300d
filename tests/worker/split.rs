//! Splits without a coordinator, and those who come too late for one.

use chrono::Utc;
use nstore_shared::{
    chunk::ChunkState,
    redis::queue::Fact,
    storage::{
        Created,
        marker::{GrantRef, MARKER_VERSION, Marker, Outcome},
    },
};
use nstore_tests::simulator::{
    Options,
    faults::{Fault, FaultKind},
};

use crate::house::{House, LEASE, LIMIT, chunk};

const SOURCE: &str = "seller_orders";

#[tokio::test(flavor = "multi_thread")]
async fn workers_alone_split_a_chunk_and_extract_its_halves() {
    let house = House::new(Options { rows_per_day: 200, exact: true, ..Options::default() }).await;
    let mut source = house.source(SOURCE);
    let nstore_shared::config::spec::ExtractSpec::Api(api) = &mut source.spec.extract else {
        panic!("an api")
    };
    api.limits.max_records = Some(60);
    let run = house.run_of(SOURCE, source, 2).await;
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 4).await;
    worker.end().await;
    let progress = house.progress(&run).await;
    assert_eq!(progress.chunks[&ChunkState::Split], 2, "{progress:?}");
    assert_eq!(progress.done.rows, 200, "each of the days has a hundred");
    assert_eq!(house.files(&run).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_after_its_chunk_was_split_commits_nothing() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault { delay_ms: 1500, ..Fault::new(SOURCE, FaultKind::Slow) });
    let mut zombie = house.process().start();
    zombie.wait_for("claimed", LIMIT).await;
    zombie.signal(rustix::process::Signal::STOP);
    let range = run.chunks[0];
    let step = chrono::Duration::seconds(1);
    let halves = range.cut(chrono_tz::Asia::Kolkata, step, |_| true).unwrap();
    let split = Marker {
        version: MARKER_VERSION,
        chunk: chunk(&run, range),
        generation: 1,
        grant: GrantRef { worker: "another".parse().unwrap(), nonce: 1, attempt: 1 },
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: Outcome::Split { halves, answer: None },
    };
    assert_eq!(house.storage.create_marker(&split).await.unwrap(), Created::Mine);
    // its fact does not arrive: only storage knows
    tokio::time::sleep(LEASE * 2).await;
    zombie.signal(rustix::process::Signal::CONT);
    // its chunk is granted again, and it finds what stands
    house.wait_for(&run, ChunkState::Completed, 2).await;
    assert_eq!(house.marker(&run, range).await, Some(split.clone()));
    let files = house.files(&run).await;
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|name| !name.starts_with(&range.to_string())), "{files:?}");
    let fact = Fact {
        chunk: split.chunk,
        generation: 1,
        state: ChunkState::Split,
        by: None,
        tally: Default::default(),
        error: None,
    };
    assert!(!house.queue.report(&fact).await.unwrap(), "it is known by now");
}
