//! `nstore workers`: who works, on what, and what each cannot do.

use std::time::Duration;

use nstore_shared::{chunk::Kind, redis::fleet::WorkerCard};
use serde::Serialize;

use super::{
    access::{Access, Want},
    exit::Exit,
    view,
};
use crate::cli::{Global, WorkersArgs};

/// A worker, and when it was heard.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Seen {
    #[serde(flatten)]
    pub(super) card: WorkerCard,
    /// Milliseconds since its last heartbeat, where that is known.
    pub(super) heard_ms_ago: Option<u64>,
    /// What it cannot do, in words.
    pub(super) cannot: Vec<String>,
}

pub(super) async fn workers(global: &Global, args: &WorkersArgs) -> anyhow::Result<Exit> {
    let access = Access::open(global, Want { beside: true, ..Want::default() }).await?;
    let seen = look(&access).await;
    access.close(None).await;
    let seen = seen?;
    if args.json {
        view::print_json(&serde_json::json!({ "workers": seen }));
    } else {
        view::print(&view::workers::table(&seen, global.local));
    }
    Ok(Exit::Good)
}

async fn look(access: &Access) -> anyhow::Result<Vec<Seen>> {
    let fleet = access.house.redis.fleet();
    let cards = fleet.workers().await?;
    let heard = fleet.heard(&cards).await?;
    let seen = cards.into_iter().zip(heard).map(|(card, heard)| Seen {
        cannot: cannot(&card),
        heard_ms_ago: heard.as_ref().map(Duration::as_millis).and_then(|ms| u64::try_from(ms).ok()),
        card,
    });
    Ok(seen.collect())
}

/// What a worker cannot do: kinds that its build leaves out, sources whose secret its host lacks.
fn cannot(card: &WorkerCard) -> Vec<String> {
    let without = card.without.iter().map(|kind| {
        let made = match kind {
            Kind::Api => "without api sources",
            Kind::Browser => "without the feature `browser`",
        };
        format!("extracts no {kind} sources: it was built {made}")
    });
    let lacks = card.lacks.iter().map(|(source, why)| format!("leaves {source} alone: {why}"));
    without.chain(lacks).collect()
}
