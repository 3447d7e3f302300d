//! `nstore clean`: removes stored runs that have ended, and files that nothing refers to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use nstore_shared::{
    chunk::{Chunk, RunId, SourceId},
    storage::{
        Storage,
        manifest::Manifest,
        outcomes::{Generations, leaves},
        upkeep::Usage,
    },
};

use super::{
    access::{self, Access, Want},
    exit::{Exit, Refusal},
    runs,
    runs::Stored,
    view,
};
use crate::{
    cli::{CleanArgs, Global},
    run::{
        House,
        garbage::{self, Garbage, Memory},
    },
};

/// Chunks that are closed at once.
const CLOSINGS: usize = 32;

/// What is to be done with one run.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It goes as a whole.
    Goes,
    /// It stays, for this reason.
    Stays(String),
    /// It is younger, or of other sources: not looked at.
    NotMeant,
}

/// What goes, for people and then for good.
#[derive(Debug, Default)]
struct Sweep {
    runs: Vec<(Manifest, Stored, u64)>,
    kept: Vec<(RunId, String)>,
    garbage: Garbage,
}

pub(super) async fn clean(global: &Global, args: &CleanArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifests = access::manifests(&storage).await?;
    let mut upload = false;
    for manifest in &manifests {
        upload |= is_loaded(&storage, manifest).await?;
    }
    let access = Access::open(global, Want { postgres: upload, beside: false, ..Want::default() }).await?;
    let swept = sweep(&access.house, args, manifests).await;
    access.close(None).await;
    view::print(&swept?);
    Ok(Exit::Good)
}

impl CleanArgs {
    /// A source is named, or none is.
    fn means(&self, source: &SourceId) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|name| name == source.as_str())
    }
}

async fn sweep(house: &House, args: &CleanArgs, manifests: Vec<Manifest>) -> anyhow::Result<String> {
    let known: BTreeSet<&str> = manifests
        .iter()
        .flat_map(|manifest| manifest.sources.iter().map(|plan| plan.source.as_str()))
        .collect();
    if let Some(unknown) = args.sources.iter().find(|name| !known.contains(name.as_str())) {
        let hint = format!("sources with runs: {}", known.into_iter().collect::<Vec<_>>().join(", "));
        return Err(Refusal::new(Exit::Usage, format!("no run has a source `{unknown}`"), hint).into());
    }
    let now = Utc::now();
    let found = look(house, args, manifests, now).await?;
    if args.yes {
        remove(house, &found).await?;
    }
    Ok(found.text(args.yes))
}

async fn look(
    house: &House,
    args: &CleanArgs,
    manifests: Vec<Manifest>,
    now: DateTime<Utc>,
) -> anyhow::Result<Sweep> {
    let mut found = Sweep::default();
    let older = now - args.older_than;
    for manifest in manifests {
        let run = manifest.run.clone();
        if let Err(error) = look_at(house, args, manifest, (now, older), &mut found).await {
            found.kept.push((run, access::unreadable(error)?));
        }
    }
    Ok(found)
}

/// Whether a run is loaded: as it was asked for, or by `nstore load` later.
async fn is_loaded(storage: &Storage, manifest: &Manifest) -> anyhow::Result<bool> {
    Ok(manifest.upload.enabled || storage.has_load(&manifest.run).await?)
}

/// Looks at one run, and notes what of it goes.
async fn look_at(
    house: &House,
    args: &CleanArgs,
    manifest: Manifest,
    (now, older): (DateTime<Utc>, DateTime<Utc>),
    found: &mut Sweep,
) -> anyhow::Result<()> {
    let stored = runs::look(&house.storage, house.loader.as_ref(), &manifest).await?;
    let loaded = loaded_chunks(house, &manifest).await?;
    match fate(&stored, &args.sources, older, loaded) {
        Fate::Goes => {
            let mut bytes = 0;
            for plan in &manifest.sources {
                bytes += house.storage.usage_of(&plan.source, &manifest.run).await?.bytes;
            }
            found.runs.push((manifest, stored, bytes));
            return Ok(());
        }
        Fate::Stays(reason) => found.kept.push((manifest.run.clone(), reason)),
        Fate::NotMeant => {}
    }
    for plan in manifest.sources.iter().filter(|plan| args.means(&plan.source)) {
        let (place, into) = ((&plan.source, &manifest.run), &mut found.garbage);
        let before = now - args.grace;
        garbage::look(&house.storage, place, stored.cancelled, before, &mut Memory::default(), into).await?;
    }
    Ok(())
}

/// Chunks of a run that the ledger holds; `None` when nothing of it was to be loaded.
async fn loaded_chunks(house: &House, manifest: &Manifest) -> anyhow::Result<Option<u64>> {
    match &house.loader {
        Some(loader) if is_loaded(&house.storage, manifest).await? => {
            Ok(Some(loader.ledger(&manifest.run).await?.len() as u64))
        }
        _ => Ok(None),
    }
}

/// Whether a run goes. Pure.
fn fate(stored: &Stored, sources: &[String], older: DateTime<Utc>, loaded: Option<u64>) -> Fate {
    let named = |source: &String| sources.is_empty() || sources.contains(source);
    if stored.created_at >= older || !stored.sources.iter().any(named) {
        return Fate::NotMeant;
    }
    if let Some(other) = stored.sources.iter().find(|source| !named(source)) {
        return Fate::Stays(format!("it holds {other} too"));
    }
    if stored.cancelled {
        return Fate::Goes;
    }
    let open = stored.chunks - stored.committed - stored.discarded;
    match loaded {
        _ if open > 0 => Fate::Stays(format!("{open} of its chunks have not ended: resume or cancel it")),
        Some(loaded) if loaded < stored.committed => {
            let waiting = stored.committed - loaded;
            Fate::Stays(format!("{waiting} of its chunks are not loaded: load or cancel it"))
        }
        _ => Fate::Goes,
    }
}

async fn remove(house: &House, found: &Sweep) -> anyhow::Result<()> {
    for (manifest, stored, _) in &found.runs {
        // should this be interrupted, no one extracts again what is gone already, and the next clean goes on
        house.storage.cancel(&manifest.run, "cleaned").await?;
        if stored.cancelled {
            close_open_chunks(&house.storage, manifest).await?;
        }
        for plan in &manifest.sources {
            house.redis.queue().forget(&plan.source, &manifest.run).await?;
        }
        for plan in &manifest.sources {
            house.storage.remove_source(&plan.source, &manifest.run).await?;
        }
        house.storage.remove_run(&manifest.run).await?;
    }
    Ok(garbage::remove(&house.storage, &found.garbage).await?)
}

async fn close_open_chunks(storage: &Storage, manifest: &Manifest) -> anyhow::Result<()> {
    for plan in &manifest.sources {
        let known = storage.generations(&plan.source, &manifest.run).await?;
        let standing = storage.standing(&plan.source, &manifest.run).await?;
        let open = leaves(&plan.chunks, &standing).into_iter().filter(|(_, marker)| marker.is_none());
        let closings: Vec<_> = open
            .map(|(range, _)| {
                let chunk = Chunk { source: plan.source.clone(), run: manifest.run.clone(), range };
                let generation = known.get(&range).map_or(1, Generations::wanted);
                // whatever outcome stands then, no later one comes
                async move { garbage::close(storage, &chunk, generation).await }
            })
            .collect();
        futures::stream::iter(closings).buffer_unordered(CLOSINGS).try_for_each(async |_| Ok(())).await?;
    }
    Ok(())
}

impl Sweep {
    fn text(&self, done: bool) -> String {
        let mut lines = Vec::new();
        for (manifest, stored, bytes) in &self.runs {
            let days = format!("{} to {}", manifest.start_date, manifest.end_date);
            let (state, size) = (stored.state.label(), view::quantity::bytes(*bytes));
            lines.push(format!("{}  {days}  {}  {state}  {size}", stored.run, stored.sources.join(",")));
        }
        for (run, reason) in &self.kept {
            lines.push(format!("{run}  stays: {reason}"));
        }
        let Usage { files, bytes } = self.garbage.usage();
        let bytes = bytes + self.runs.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
        let uploads = match self.garbage.uploads.len() as u64 {
            0 => String::new(),
            count => {
                format!("; {} that killed workers left", view::quantity::count(count, "unfinished upload"))
            }
        };
        let what = format!(
            "{} and {} that nothing refers to, {}{uploads}",
            view::quantity::count(self.runs.len() as u64, "run"),
            view::quantity::count(files, "file"),
            view::quantity::bytes(bytes)
        );
        let nothing = self.runs.is_empty() && self.garbage.is_empty();
        lines.push(match (done, nothing) {
            (_, true) => "nothing to remove".into(),
            (true, false) => format!("removed {what}"),
            (false, false) => format!("would remove {what}; add --yes to do it"),
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored {
            state: crate::run::RunState::PartlyExtracted,
            verdict: crate::run::Verdict::Partial,
            loaded: None,
            unproven: 0,
            run: "r".parse().unwrap(),
            created_at: "2025-08-01T00:00:00Z".parse().unwrap(),
            start_date: "2025-07-01".parse().unwrap(),
            end_date: "2025-07-31".parse().unwrap(),
            sources: vec!["a".into(), "b".into()],
            upload: true,
            cancelled: false,
            paused: false,
            chunks: 4,
            committed: 3,
            discarded: 1,
            rows: 100,
        }
    }

    #[test]
    fn a_run_goes_only_when_nothing_of_it_is_needed() {
        let older = "2025-08-02T00:00:00Z".parse().unwrap();
        let both = ["a".to_owned(), "b".to_owned()];
        assert_eq!(fate(&stored(), &[], older, Some(3)), Fate::Goes);
        assert_eq!(fate(&stored(), &both, older, None), Fate::Goes);
        assert_eq!(fate(&stored(), &["c".into()], older, None), Fate::NotMeant);
        assert_eq!(fate(&stored(), &[], stored().created_at, None), Fate::NotMeant);
        assert_eq!(fate(&stored(), &["a".into()], older, None), Fate::Stays("it holds b too".into()));
        let unloaded = "1 of its chunks are not loaded: load or cancel it";
        assert_eq!(fate(&stored(), &[], older, Some(2)), Fate::Stays(unloaded.into()));
        let open = Stored { discarded: 0, ..stored() };
        let reason = "1 of its chunks have not ended: resume or cancel it";
        assert_eq!(fate(&open, &[], older, None), Fate::Stays(reason.into()));
        assert_eq!(fate(&Stored { cancelled: true, ..open }, &[], older, Some(0)), Fate::Goes);
    }
}
