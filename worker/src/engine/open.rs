//! Which sources are open, and which of them have news: asked for five times a second, for all claim loops at once.

use std::{sync::Arc, time::Duration};

use nstore_shared::{
    chunk::{Kind, SourceId},
    redis::RedisError,
};
use tokio::sync::watch;

use super::{bench::Bench, stop::Stop};

/// A new source, and a new run, is seen within this time.
const EVERY: Duration = Duration::from_millis(200);

/// A source that may have work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) source: SourceId,
    /// Another text as soon as further chunks have come in.
    pub(super) news: String,
}

/// Keeps `open` up to date until the worker drains.
pub(super) async fn keep(bench: Arc<Bench>, kind: Kind, open: watch::Sender<Vec<Open>>, stop: Stop) {
    loop {
        let seen = bench.redis.insist(stop.draining(), || look(&bench, kind)).await;
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

async fn look(bench: &Bench, kind: Kind) -> Result<Vec<Open>, RedisError> {
    let sources = bench.queue.sources(kind).await?;
    let news = bench.queue.news(kind, &sources).await?;
    Ok(sources.into_iter().zip(news).map(|(source, news)| Open { source, news }).collect())
}
