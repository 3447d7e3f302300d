//! What a chunk comes to: rows and marker, a discard, another try, or only a report.

use std::time::Duration;

use chrono::Utc;
use futures::TryStreamExt as _;
use nstore_shared::{
    chunk::ChunkState,
    retry::FailureClass,
    storage::marker::{GrantRef, MARKER_VERSION, Marker, Outcome},
};
use nstore_tests::simulator::{
    Api, Options,
    faults::{Fault, FaultKind},
};
use sha2::{Digest as _, Sha256};

use crate::house::{House, chunk, day};

const SOURCE: &str = "buyer_orders";

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_says_exactly_what_its_artifact_holds() {
    let house = House::new(Options { rows_per_day: 700, ..Options::default() }).await;
    let run = house.run(SOURCE, 3).await;
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 3).await;
    let mut rows = 0;
    for range in &run.chunks {
        let (marker, committed) = house.committed(&run, *range).await;
        let artifact = house.storage.read_artifact(&marker.chunk, &committed.artifact.name).await.unwrap();
        let pieces: Vec<_> = artifact.expect("the artifact").try_collect().await.unwrap();
        let bytes = pieces.concat();
        assert_eq!(bytes.len() as u64, committed.artifact.bytes);
        assert_eq!(hex::encode(Sha256::digest(&bytes)), committed.artifact.sha256);
        let mut csv = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>(), committed.columns);
        assert_eq!(csv.records().map(Result::unwrap).count() as u64, committed.rows);
        assert_eq!(marker.grant.attempt, 1);
        assert!(!committed.evidence.is_empty() && committed.pages > 0);
        rows += committed.rows;
    }
    assert_eq!(rows, house.simulator.truth(Api::BuyerOrders, day("2025-08-01"), day("2025-08-03")).rows);
    assert_eq!(house.progress(&run).await.done.rows, rows);
    assert_eq!(house.files(&run).await.len(), 3);
    worker.end().await;
    assert_eq!(house.redis.fleet().workers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_stands_is_only_reported() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    let stands = Marker {
        version: MARKER_VERSION,
        chunk: chunk(&run, run.chunks[0]),
        generation: 1,
        grant: GrantRef { worker: "another".parse().unwrap(), nonce: 1, attempt: 1 },
        started_at: Utc::now(),
        finished_at: Utc::now(),
        outcome: Outcome::Discarded {
            class: FailureClass::Data,
            error: "an old error".into(),
            attempts: 1,
            rejects: None,
            bundle: None,
        },
    };
    house.storage.create_marker(&stands).await.unwrap();
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Discarded, 1).await;
    worker.end().await;
    assert_eq!(house.simulator.requests(), []);
    assert_eq!(house.marker(&run, run.chunks[0]).await, Some(stands));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_and_leaves_no_file() {
    let house = House::new(Options { rows_per_day: 2000, ..Options::default() }).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::HalfBody).after(1));
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 1).await;
    worker.end().await;
    let (marker, committed) = house.committed(&run, run.chunks[0]).await;
    assert_eq!(marker.grant.attempt, 2);
    assert_eq!(house.files(&run).await, [committed.artifact.name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failed_try_discards_the_chunk_and_the_others_go_on() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 2).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::ErrorBurst).times(100).on(day("2025-08-02")));
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Discarded, 1).await;
    house.wait_for(&run, ChunkState::Completed, 1).await;
    worker.end().await;
    let attempts = house.source(SOURCE).spec.chunk_attempts;
    let marker = house.marker(&run, run.chunks[1]).await.unwrap();
    let Outcome::Discarded { class, attempts: tried, .. } = marker.outcome else { panic!("{marker:?}") };
    assert_eq!((class, tried), (FailureClass::Transient, attempts));
    assert_eq!(house.files(&run).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_discard_the_chunk_at_once_and_are_kept() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Drift).times(100));
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Discarded, 1).await;
    worker.end().await;
    let marker = house.marker(&run, run.chunks[0]).await.unwrap();
    let Outcome::Discarded { class, attempts, rejects, error, .. } = marker.outcome else {
        panic!("{marker:?}")
    };
    assert_eq!((class, attempts), (FailureClass::Data, 1), "{error}");
    assert_eq!(house.files(&run).await, [rejects.expect("a file of rejects")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_secret_is_final_and_shown_nowhere() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    house.simulator.fault(Fault::new(SOURCE, FaultKind::Auth).times(100));
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Discarded, 1).await;
    worker.end().await;
    let marker = house.marker(&run, run.chunks[0]).await.unwrap();
    let Outcome::Discarded { class, error, .. } = &marker.outcome else { panic!("{marker:?}") };
    assert_eq!(*class, FailureClass::Auth);
    assert!(!error.contains("demo-buyer-orders-token"), "{error}");
    assert_eq!(house.simulator.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_counts_no_try() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    let limit = Fault { retry_after: Some("1".into()), ..Fault::new(SOURCE, FaultKind::RateLimit) };
    house.simulator.fault(limit);
    let worker = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 1).await;
    worker.end().await;
    assert_eq!(house.committed(&run, run.chunks[0]).await.0.grant.attempt, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_the_secret_leaves_the_source_to_others() {
    let house = House::new(Options::default()).await;
    let run = house.run(SOURCE, 1).await;
    let mut bare = house.config();
    bare.secrets = nstore_shared::config::secrets::Secrets::of([]);
    let bare = house.worker(bare);
    // it says so in its card once it has met the source
    let start = std::time::Instant::now();
    loop {
        let cards = house.redis.fleet().workers().await.unwrap();
        if let Some((source, reason)) = cards.iter().find_map(|card| card.lacks.first()) {
            assert_eq!(source.as_str(), SOURCE);
            assert!(reason.contains("NSTORE_SECRET_BUYER_ORDERS_TOKEN"), "{reason}");
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{cards:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.wait_for(&run, ChunkState::Available, 1).await;
    let able = house.worker(house.config());
    house.wait_for(&run, ChunkState::Completed, 1).await;
    bare.end().await;
    able.end().await;
    assert_eq!(house.committed(&run, run.chunks[0]).await.0.grant.attempt, 1);
}
