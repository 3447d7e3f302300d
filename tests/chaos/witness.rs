//! What was seen on the way, and what storage and the ledger tell of it: outcomes that changed, files that were
//! damaged, older data over newer.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::storage::marker::{Void, VoidReason};
use tokio::sync::Mutex;

use crate::{
    oracle::{Findings, rows},
    world::World,
};

/// Of loads that overlap in a table whose ranges are replaced, the newest extraction is the one that came last: what
/// inserted a ledger row later holds the higher transaction, as the target is locked before.
const OLDER_OVER_NEWER: &str = "SELECT older.source || '/' || older.run || '/' || older.chunk FROM nstore.ledger older \
     JOIN nstore.ledger newer ON newer.target = older.target AND newer.source = older.source \
     AND newer.range_start < older.range_end AND newer.range_end > older.range_start \
     WHERE older.mode = 'replace_range' AND newer.mode = 'replace_range' \
     AND older.state = 'loaded' AND newer.state = 'loaded' AND older.extracted_at < newer.extracted_at \
     AND older.xmin::text::bigint > newer.xmin::text::bigint";

/// What is remembered of a world.
#[derive(Default)]
pub(crate) struct Witness {
    /// Markers, by their keys.
    seen: Mutex<BTreeMap<String, String>>,
    /// Chunks whose files were damaged by our hand.
    damaged: Mutex<BTreeSet<String>>,
}

impl Witness {
    /// Remembers the outcomes that stand by now.
    pub(crate) async fn look(&self, world: &World) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().await;
        for key in world.keys().await {
            if is_marker(&key) && !seen.contains_key(&key) {
                let text = world.text(&key).await?;
                seen.insert(key, text);
            }
        }
        Ok(())
    }

    /// Notes that we damage this artifact.
    pub(crate) async fn damage(&self, artifact: &str) {
        self.damaged.lock().await.insert(chunk_of(artifact));
    }

    /// I2: an outcome that was once seen stays.
    pub(crate) async fn outcomes(&self, world: &World, found: &mut Findings) {
        for (key, then) in self.seen.lock().await.iter() {
            match world.text(key).await {
                Ok(now) if now == *then => {}
                Ok(now) => found.broken("I2", format!("{key} was\n{then}\nand is\n{now}")),
                Err(error) => found.broken("I2", format!("{key} was seen, and now: {error}")),
            }
        }
    }

    /// I10: what a marker names is there, as it was written, unless our hand changed it.
    pub(crate) async fn damages(&self, world: &World, found: &mut Findings) -> anyhow::Result<()> {
        let damaged = self.damaged.lock().await;
        for key in world.keys().await {
            if !key.starts_with("chunks/") || !key.ends_with(".void.json") {
                continue;
            }
            let void: Void = serde_json::from_str(&world.text(&key).await?)?;
            if void.reason == VoidReason::Damaged && !damaged.contains(&chunk_of(&key)) {
                found.broken("I10", format!("{key}: {}", void.detail));
            }
        }
        Ok(())
    }
}

/// I11: of extractions that overlap in a table, the newest one stands.
pub(crate) async fn newest(world: &World, found: &mut Findings) -> anyhow::Result<()> {
    for mut row in rows(world, OLDER_OVER_NEWER).await? {
        found.broken("I11", format!("{} was loaded over newer data", row.swap_remove(0)));
    }
    Ok(())
}

fn is_marker(key: &str) -> bool {
    let side = [".void.json", ".dropped.json"].iter().any(|ending| key.ends_with(ending));
    key.starts_with("chunks/") && key.ends_with(".json") && !side
}

/// `source/run/range` of a file that belongs to a chunk.
fn chunk_of(key: &str) -> String {
    let path = key.strip_prefix("chunks/").unwrap_or(key);
    path.split(".g").next().unwrap_or(path).to_owned()
}
