//! Redis loses everything while workers live.

use nstore_tests::{context, histories::losses};

#[tokio::test]
async fn what_a_living_worker_holds_stays_its_own_whatever_redis_loses() {
    let own = context::own_redis(false);
    losses::play(&own.url(), 1).await.unwrap();
}
