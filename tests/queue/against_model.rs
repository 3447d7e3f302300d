//! Random histories agree with the naive queue.

use nstore_tests::{
    context,
    histories::{play, stage::Stage},
};
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::runtime::Runtime;

/// Overruled by `PROPTEST_CASES`.
const HISTORIES: u32 = 24;

#[test]
fn random_histories_agree_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = context::redis();
    histories_agree(&runtime, HISTORIES, &redis.url, &redis.prefix);
}

/// Plays so many histories (or `PROPTEST_CASES`), each on a source of its own there.
pub(crate) fn histories_agree(runtime: &Runtime, cases: u32, url: &str, prefix: &str) {
    let mut config =
        ProptestConfig { max_shrink_time: 60_000, failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let played = TestRunner::new(config).run(&play::histories(), |steps| {
        let played = async { play::play(Stage::at(url, prefix).await, &steps).await };
        runtime.block_on(played).map_err(|broken| TestCaseError::fail(broken.to_string()))
    });
    if let Err(differs) = played {
        panic!("{differs}");
    }
}
