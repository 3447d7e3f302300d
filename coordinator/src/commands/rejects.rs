//! `nstore rejects`: rows that did not fit their mapping, from the files that markers name.

use nstore_shared::{
    chunk::Chunk,
    storage::{
        Storage,
        marker::{Marker, Outcome},
        rejects::Reject,
    },
};
use serde::Serialize;

use super::{
    access,
    exit::{Exit, Refusal},
    view,
};
use crate::{
    cli::{Global, Narrow, RejectsArgs, RejectsVerb},
    run::letters::{self, Filter},
};

/// So many rows of each chunk are listed.
const FIRST: usize = 3;

/// A chunk that has some.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rejected {
    /// As other verbs take it.
    pub(super) chunk: String,
    /// The same as people read it.
    #[serde(skip)]
    pub(super) name: String,
    /// Where they lie, as a URL.
    pub(super) file: String,
    /// How many.
    pub(super) rejected: u64,
    /// There were too many: the chunk failed for good.
    pub(super) discarded: bool,
    /// The file is not there any more.
    pub(super) gone: bool,
    /// The first ones.
    pub(super) first: Vec<First>,
}

/// One row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct First {
    pub(super) reason: String,
    pub(super) record: String,
}

pub(super) async fn rejects(global: &Global, args: &RejectsArgs) -> anyhow::Result<Exit> {
    match &args.verb {
        RejectsVerb::List { narrow, json } => list(global, narrow, *json).await,
        RejectsVerb::Show { chunk, json } => show(global, chunk, *json).await,
    }
}

async fn list(global: &Global, narrow: &Narrow, json: bool) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let filter = Filter { sources: narrow.sources.clone(), runs: narrow.runs.clone(), ..Filter::default() };
    let mut found = Vec::new();
    for manifest in letters::manifests(&storage, &filter).await? {
        for plan in manifest.sources.iter().filter(|plan| filter.means_source(&manifest.run, &plan.source)) {
            let mut markers: Vec<Marker> = match storage.standing(&plan.source, &manifest.run).await {
                Ok(standing) => standing.into_values().collect(),
                Err(error) => {
                    filter.pass_over(&manifest.run, error)?;
                    continue;
                }
            };
            markers.sort_by_key(|marker| (marker.chunk.range.order(), marker.chunk.range));
            for marker in markers {
                found.extend(look(&storage, &marker).await?);
            }
        }
    }
    if json {
        view::print_json(&found);
    } else {
        view::print(&view::letters::rejects(&found));
    }
    Ok(Exit::Good)
}

/// The rejected rows of a chunk, counted, and the first ones; `None` for a chunk without any.
async fn look(storage: &Storage, marker: &Marker) -> anyhow::Result<Option<Rejected>> {
    let Some(name) = marker.rejects() else { return Ok(None) };
    let counted = marker.committed().map(|committed| committed.quality.rejected);
    let mut found = Rejected {
        chunk: marker.chunk.to_string(),
        name: marker.chunk.inclusive(),
        file: storage.url_beside(&marker.chunk, name),
        rejected: counted.unwrap_or(0),
        discarded: matches!(marker.outcome, Outcome::Discarded { .. }),
        gone: false,
        first: vec![],
    };
    let Some(mut rejects) = storage.rejects(&marker.chunk, name).await? else {
        found.gone = true;
        return Ok(Some(found));
    };
    while found.first.len() < FIRST
        && let Some(Reject { reason, record }) = rejects.next().await?
    {
        found.first.push(First { reason, record });
    }
    if counted.is_none() {
        found.rejected = found.first.len() as u64;
        while rejects.line().await?.is_some() {
            found.rejected += 1;
        }
    }
    Ok(Some(found))
}

async fn show(global: &Global, chunk: &Chunk, json: bool) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    access::manifest(&storage, &chunk.run).await?;
    let refused = |text: String| {
        Refusal::new(Exit::Usage, text, "`nstore rejects list` shows the chunks with rejected rows")
    };
    let marker = storage.standing_of(chunk).await?;
    let marker = marker.ok_or_else(|| refused(format!("chunk {} has no outcome", chunk.inclusive())))?;
    let name = marker
        .rejects()
        .ok_or_else(|| refused(format!("no row of chunk {} was rejected", chunk.inclusive())))?;
    let rejects = storage.rejects(chunk, name).await?;
    let gone = || {
        let text = format!("the file {} is gone", storage.url_beside(chunk, name));
        Refusal::new(Exit::Failed, text, "it was removed by other hands; its rows are not loaded anyway")
    };
    let mut rejects = rejects.ok_or_else(gone)?;
    if json {
        while let Some(line) = rejects.line().await? {
            view::print(&String::from_utf8_lossy(&line));
        }
        return Ok(Exit::Good);
    }
    while let Some(Reject { reason, record }) = rejects.next().await? {
        view::print(&format!("{reason}\n  {record}"));
    }
    Ok(Exit::Good)
}
