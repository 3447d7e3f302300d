//! Splits that change nothing come to an end; those that help go as far as they must.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    Router,
    extract::Query,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use nstore_shared::{
    chunk::ChunkState,
    config::{
        Source,
        spec::{Auth, ErrorAction, ErrorHandler, ExtractSpec},
    },
    redis::queue::Progress,
    retry::FailureClass,
    storage::{halves::MAX_SPLIT_DEPTH, marker::Outcome},
};
use nstore_tests::simulator::Options;
use serde::Deserialize;
use serde_json::json;

use crate::house::{House, Run};

const SOURCE: &str = "seller_orders";
const HOUR_MS: u64 = 3_600_000;
/// The first of August in the source's zone.
const FIRST_MS: u64 = 1_753_986_600_000;

#[derive(Deserialize)]
struct Asked {
    since_ms: u64,
    until_ms: u64,
}

/// A source that answers each request in the same way; it ends with the test.
async fn source(house: &House, answer: fn(&Asked) -> Response) -> Source {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router =
        Router::new().route("/seller/orders", get(move |Query(asked)| async move { answer(&asked) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut source = house.source(SOURCE);
    source.spec.chunk_attempts = 1;
    let ExtractSpec::Api(api) = &mut source.spec.extract else { panic!("an api") };
    api.base_url = format!("http://{address}");
    api.auth = Auth::None;
    api.limits.max_records = Some(60);
    api.error_handlers = vec![ErrorHandler {
        codes: vec![400],
        body_contains: None,
        json: None,
        action: ErrorAction::SplitWindow,
    }];
    source
}

fn too_wide() -> Response {
    (StatusCode::BAD_REQUEST, "window too wide").into_response()
}

/// A day of that source, worked off by four loops; answers what became of it and its parts.
async fn worked_off(house: &House, source: Source) -> (Run, Progress) {
    let run = house.run_of(SOURCE, source, 1).await;
    let mut config = house.config();
    config.concurrency = 4;
    let worker = house.worker(config);
    let count = |progress: &Progress, state| progress.chunks.get(&state).copied().unwrap_or(0);
    let open = [ChunkState::Available, ChunkState::Running, ChunkState::Retryable];
    house.wait(&run, "ended", |progress| open.iter().all(|state| count(progress, *state) == 0)).await;
    worker.end().await;
    let progress = house.progress(&run).await;
    (run, progress)
}

/// The errors of all discarded parts, which are for somebody who corrects the source's file.
async fn errors(house: &House, run: &Run) -> Vec<String> {
    let standing = house.storage.standing(&run.source, &run.run).await.unwrap();
    let errors = standing.into_values().filter_map(|marker| match marker.outcome {
        Outcome::Discarded { class, error, .. } => {
            assert_eq!(class, FailureClass::Config, "{error}");
            Some(error)
        }
        _ => None,
    });
    errors.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ignores_its_window_ends_a_split_at_once() {
    let house = House::new(Options::default()).await;
    let answer = |_: &Asked| {
        let order = |id| json!({ "order_id": id, "created_ms": 1_754_000_000_000_u64 });
        let orders: Vec<_> = (0..250).map(order).collect();
        axum::Json(json!({ "result": { "orders": orders, "total": 5000 } })).into_response()
    };
    let source = source(&house, answer).await;
    let (run, progress) = worked_off(&house, source).await;
    let parts: u64 = progress.chunks.values().sum();
    assert!(parts <= 15, "{progress:?}");
    let errors = errors(&house, &run).await;
    assert!(errors.iter().any(|error| error.contains("seems to ignore the window")), "{errors:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_every_window_ends_a_split_after_a_few_halvings() {
    let house = House::new(Options::default()).await;
    let source = source(&house, |_| too_wide()).await;
    let (run, progress) = worked_off(&house, source).await;
    let parts: u64 = progress.chunks.values().sum();
    assert!(parts <= 127, "{progress:?}");
    assert_eq!(progress.chunks.get(&ChunkState::Completed), None, "{progress:?}");
    let errors = errors(&house, &run).await;
    assert!(errors.iter().all(|error| error.contains("condition of `split_window`")), "{errors:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_gives_three_hours_at_a_time_is_read_to_its_end() {
    let house = House::new(Options::default()).await;
    let answer = |asked: &Asked| {
        if asked.until_ms - asked.since_ms > 3 * HOUR_MS {
            return too_wide();
        }
        axum::Json(json!({ "result": { "orders": [], "total": 0 } })).into_response()
    };
    let source = source(&house, answer).await;
    let (run, progress) = worked_off(&house, source).await;
    assert_eq!(errors(&house, &run).await, Vec::<String>::new());
    assert_eq!(progress.chunks[&ChunkState::Completed], 8, "{progress:?}");
    assert_eq!(progress.chunks[&ChunkState::Split], 7, "{progress:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_chunk_is_halved_a_bounded_number_of_times() {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let house = House::new(Options::default()).await;
    let answer = |asked: &Asked| {
        // all lies in the first second, and no answer is like another
        let total = match asked.since_ms {
            FIRST_MS => 5000 + ASKED.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        axum::Json(json!({ "result": { "orders": [], "total": total } })).into_response()
    };
    let source = source(&house, answer).await;
    let (run, progress) = worked_off(&house, source).await;
    let depth = u64::from(MAX_SPLIT_DEPTH);
    assert_eq!(progress.chunks[&ChunkState::Split], depth, "{progress:?}");
    assert_eq!(progress.chunks[&ChunkState::Completed], depth, "{progress:?}");
    let errors = errors(&house, &run).await;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("was halved 12 times"), "{errors:#?}");
}
