//! `nstore discarded`: chunks that failed for good, looked at, run again, or let be.

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, ChunkRange, Generation, RunId, SourceId, WorkerId},
    retry::FailureClass,
    storage::{
        Storage,
        marker::{Dropped, Marker, Outcome, Void},
    },
};
use serde::Serialize;
use serde_json::json;

use super::{
    access::{self, Access, Want},
    exit::{Exit, Refusal},
    follow, view,
};
use crate::{
    cli::{DiscardedArgs, DiscardedVerb, Global, LettersArgs, NarrowLetters},
    run::letters::{self, Filter, Handled, Letter},
};

/// A dead letter as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    /// As other verbs take it.
    pub(super) chunk: String,
    /// The same as people read it.
    #[serde(skip)]
    pub(super) name: String,
    pub(super) source: SourceId,
    pub(super) run: RunId,
    pub(super) range: ChunkRange,
    pub(super) generation: Generation,
    pub(super) class: FailureClass,
    pub(super) error: String,
    /// Tries that failed.
    pub(super) attempts: u32,
    /// The failure bundle of the last try, as a URL.
    pub(super) bundle: Option<String>,
    /// The file that keeps its rejected rows, as a URL.
    pub(super) rejects: Option<String>,
    pub(super) worker: WorkerId,
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
    pub(super) dropped: bool,
}

pub(super) async fn discarded(global: &Global, args: &DiscardedArgs) -> anyhow::Result<Exit> {
    match &args.verb {
        DiscardedVerb::List { narrow, all, json } => list(global, narrow, *all, *json).await,
        DiscardedVerb::Show { chunk, json } => show(global, chunk, *json).await,
        DiscardedVerb::Retry(letters) => retry(global, letters).await,
        DiscardedVerb::Drop { letters, reason } => let_be(global, letters, reason).await,
    }
}

async fn list(global: &Global, narrow: &NarrowLetters, all: bool, json: bool) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let found = letters::find(&storage, &filter(narrow, &[])).await?;
    let hidden = found.iter().filter(|letter| letter.dropped && !all).count() as u64;
    let shown: Vec<Shown> = found
        .into_iter()
        .filter(|letter| all || !letter.dropped)
        .filter_map(|letter| shown(&storage, letter))
        .collect();
    if json {
        view::print_json(&shown);
    } else {
        view::print(&view::letters::table(&shown, hidden));
    }
    Ok(Exit::Good)
}

async fn show(global: &Global, chunk: &Chunk, json: bool) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    access::manifest(&storage, &chunk.run).await?;
    let filter = Filter { chunks: vec![chunk.clone()], ..Filter::default() };
    let letter = letters::find(&storage, &filter).await?.pop().and_then(|letter| shown(&storage, letter));
    let voids = storage.voids(chunk).await?;
    let Some(letter) = letter else { return Err(no_letter(&storage, chunk, &voids).await?.into()) };
    let dropped = storage.dropped(chunk, letter.generation).await?;
    if json {
        view::print_json(&document(&letter, dropped.as_ref(), &voids));
    } else {
        view::print(&view::letters::whole(&letter, dropped.as_ref(), &voids, &follow::commands(global)));
    }
    Ok(Exit::Good)
}

fn document(letter: &Shown, dropped: Option<&Dropped>, voids: &[Void]) -> serde_json::Value {
    let mut document = json!(letter);
    document["dropped"] = json!(dropped);
    document["earlier"] = json!(voids);
    document
}

/// Why a chunk is not to be shown: it stands otherwise, runs, or is none.
async fn no_letter(storage: &Storage, chunk: &Chunk, voids: &[Void]) -> anyhow::Result<Refusal> {
    let stands = match storage.standing_of(chunk).await?.map(|marker| marker.outcome) {
        Some(Outcome::Committed(_)) => "its rows are stored",
        Some(Outcome::Split { .. }) => "it was split, and its halves stand for it",
        _ if voids.is_empty() => "it has no outcome",
        _ => "it is to be extracted again",
    };
    let hint = "`nstore discarded list` shows those there are";
    Ok(Refusal::new(Exit::Usage, format!("chunk {} is not discarded: {stands}", chunk.inclusive()), hint))
}

async fn retry(global: &Global, args: &LettersArgs) -> anyhow::Result<Exit> {
    let filter = meant(args)?;
    let storage = access::storage(global)?;
    // what does not exist is said before any service is asked
    letters::manifests(&storage, &filter).await?;
    let want = Want { postgres_if_there: true, beside: true, ..Want::default() };
    let access = Access::open(global, want).await?;
    let handled = letters::retry(&access.house, &filter).await;
    access.close(None).await;
    let handled = handled?;
    if args.json {
        view::print_json(&told("retried", &handled));
    } else {
        let next = format!("`nstore serve` loads them, or {} resume RUN", follow::commands(global));
        view::print(&said(&handled, "run again", &next));
    }
    Ok(Exit::Good)
}

async fn let_be(global: &Global, args: &LettersArgs, reason: &str) -> anyhow::Result<Exit> {
    let filter = meant(args)?;
    let handled = letters::let_be(&access::storage(global)?, &filter, reason).await?;
    if args.json {
        view::print_json(&told("dropped", &handled));
    } else {
        view::print(&said(&handled, "dropped", "`nstore discarded list --all` still shows them"));
    }
    Ok(Exit::Good)
}

fn filter(narrow: &NarrowLetters, chunks: &[Chunk]) -> Filter {
    Filter {
        sources: narrow.narrow.sources.clone(),
        runs: narrow.narrow.runs.clone(),
        classes: narrow.classes.clone(),
        chunks: chunks.to_vec(),
    }
}

/// To do something with all there are, one has to say so.
fn meant(args: &LettersArgs) -> Result<Filter, Refusal> {
    let filter = filter(&args.narrow, &args.chunks);
    if filter == Filter::default() && !args.all {
        let hint =
            "name chunks as `nstore discarded list` shows them, or --run, --source or --class; or all: --all";
        return Err(Refusal::new(Exit::Usage, "it is not said which discarded chunks are meant", hint));
    }
    Ok(filter)
}

fn told(what: &str, handled: &Handled) -> serde_json::Value {
    let chunks: Vec<String> = handled.chunks.iter().map(ToString::to_string).collect();
    json!({ what: chunks, "left_dropped": handled.dropped, "left_cancelled": handled.cancelled })
}

fn said(handled: &Handled, done: &str, next: &str) -> String {
    let mut lines = vec![match handled.chunks.len() as u64 {
        0 => format!("no chunk is {done}"),
        1 => format!("1 chunk is {done}; {next}"),
        count => format!("{} are {done}; {next}", view::quantity::count(count, "chunk")),
    }];
    for (count, why) in [(handled.dropped, "dropped before"), (handled.cancelled, "of cancelled runs")] {
        if count > 0 {
            lines.push(format!("left as they are: {} {why}", view::quantity::count(count, "chunk")));
        }
    }
    lines.join("\n")
}

fn shown(storage: &Storage, letter: Letter) -> Option<Shown> {
    let Letter { marker, dropped } = letter;
    let rejects = marker.rejects().map(|name| storage.url_beside(&marker.chunk, name));
    let Marker { chunk, generation, grant, started_at, finished_at, outcome, .. } = marker;
    let Outcome::Discarded { class, error, attempts, bundle, .. } = outcome else { return None };
    Some(Shown {
        chunk: chunk.to_string(),
        name: chunk.inclusive(),
        source: chunk.source,
        run: chunk.run,
        range: chunk.range,
        generation,
        class,
        error,
        attempts,
        bundle: bundle.as_deref().map(|key| storage.url_of(key)),
        rejects,
        worker: grant.worker,
        started_at,
        finished_at,
        dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_with_all_by_accident() {
        let args = |all| LettersArgs { chunks: vec![], narrow: NarrowLetters::default(), all, json: false };
        assert_eq!(meant(&args(false)).unwrap_err().exit, Exit::Usage);
        assert_eq!(meant(&args(true)).unwrap(), Filter::default());
        let narrow = NarrowLetters { classes: vec![FailureClass::Data], ..NarrowLetters::default() };
        let filter = meant(&LettersArgs { narrow, ..args(false) }).unwrap();
        assert_eq!(filter.classes, [FailureClass::Data]);
    }

    #[test]
    fn what_was_done_and_what_was_left_is_said() {
        let chunk: Chunk = "a/r1/2025-08-01_2025-08-02".parse().unwrap();
        let mut handled = Handled { chunks: vec![chunk], ..Handled::default() };
        assert_eq!(said(&handled, "dropped", "so"), "1 chunk is dropped; so");
        handled.dropped = 2;
        assert_eq!(
            said(&handled, "run again", "so").lines().last(),
            Some("left as they are: 2 chunks dropped before")
        );
        assert_eq!(said(&Handled::default(), "dropped", "so"), "no chunk is dropped");
        assert_eq!(told("retried", &handled)["retried"][0], "a/r1/2025-08-01_2025-08-02");
    }
}
