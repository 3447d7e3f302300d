//! `nstore workers`: who works, on what, and what each cannot do.

use std::time::Duration;

use chrono::TimeDelta;
use nstore_shared::{
    chunk::{Kind, SourceId},
    redis::{RedisError, clock, fleet::WorkerCard},
    storage::Storage,
};
use serde::Serialize;

use super::{
    access::{Access, Want},
    exit::Exit,
    follow, view,
};
use crate::{
    cli::{Global, WorkersArgs},
    run::{House, SourceHold},
};

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
    let seen = look(&access.house).await;
    let held = held(&access.house).await;
    access.close(None).await;
    let (seen, held) = (seen?, held?);
    if args.json {
        let on_hold = held.iter().map(|held| serde_json::json!(held)).collect::<Vec<_>>();
        view::print_json(&serde_json::json!({ "workers": seen, "on_hold": on_hold }));
    } else {
        let table = view::workers::table(&seen, global.local);
        let nstore = follow::commands(global);
        let lines = held.iter().map(|held| view::workers::hold(&held.source, &held.hold, &nstore));
        view::print(&std::iter::once(table).chain(lines).collect::<Vec<_>>().join("\n"));
    }
    Ok(Exit::Good)
}

/// A source that wants to be left alone for a while.
#[derive(Debug, Clone, Serialize)]
struct HeldSource {
    source: SourceId,
    #[serde(flatten)]
    hold: SourceHold,
}

/// The sources with open chunks of which nothing is granted for a while.
async fn held(house: &House) -> Result<Vec<HeldSource>, RedisError> {
    let (queue, mut found) = (house.redis.queue(), vec![]);
    for kind in [Kind::Api, Kind::Browser] {
        for source in queue.sources(kind).await? {
            if let Some(hold) = queue.held(&source).await? {
                found.push(HeldSource { source, hold: SourceHold::from(&hold) });
            }
        }
    }
    Ok(found)
}

/// What is said of a worker that looks at another storage than this nstore, where one does.
pub(super) fn elsewhere(card: &WorkerCard, storage: &Storage, identity: Option<&str>) -> Option<String> {
    card.is_elsewhere(identity).then(|| {
        format!(
            "looks at another storage ({}) than this nstore ({}): it finds no run from here; give both the same \
             NSTORE_STORAGE_URL",
            card.storage_url,
            storage.url()
        )
    })
}

async fn look(house: &House) -> anyhow::Result<Vec<Seen>> {
    let fleet = house.redis.fleet();
    let cards = fleet.workers().await?;
    let heard = fleet.heard(&cards).await?;
    let identity = house.storage.identity().await?;
    let seen = cards.into_iter().zip(heard).map(|(card, heard)| Seen {
        cannot: cannot(&card)
            .into_iter()
            .chain(elsewhere(&card, &house.storage, identity.as_deref()))
            .collect(),
        heard_ms_ago: heard.as_ref().map(Duration::as_millis).and_then(|ms| u64::try_from(ms).ok()),
        card,
    });
    Ok(seen.collect())
}

/// What a worker's host and build cannot do, and what is wrong with its clock: kinds that its build leaves out, sources whose secret its host lacks.
fn cannot(card: &WorkerCard) -> Vec<String> {
    let without = card.without.iter().map(|kind| {
        let made = match kind {
            Kind::Api => "without api sources",
            Kind::Browser => "without the feature `browser`",
        };
        format!("extracts no {kind} sources: it was built {made}")
    });
    let lacks = card.lacks.iter().map(|(source, why)| format!("leaves {source} alone: {why}"));
    let clock = card.clock_ahead_ms.and_then(|ahead| clock::remark(TimeDelta::milliseconds(ahead)));
    without.chain(lacks).chain(clock).collect()
}
