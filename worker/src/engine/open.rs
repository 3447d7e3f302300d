//! Which sources are open: asked for five times a second, for all claim loops at once.

use std::{sync::Arc, time::Duration};

use nstore_shared::chunk::{Kind, SourceId};
use tokio::sync::watch;

use super::{bench::Bench, stop::Stop};

/// A new source is seen within this time.
const EVERY: Duration = Duration::from_millis(200);

/// Keeps `open` up to date until the worker drains.
pub(super) async fn keep(bench: Arc<Bench>, kind: Kind, open: watch::Sender<Vec<SourceId>>, stop: Stop) {
    loop {
        let seen = bench.redis.insist(stop.draining(), || bench.queue.sources(kind)).await;
        if let Some(now) = seen {
            open.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
        }
        if !stop.sleep(EVERY).await {
            // the claim loops end by themselves; a closed channel would cut their last reports short
            open.closed().await;
            return;
        }
    }
}
