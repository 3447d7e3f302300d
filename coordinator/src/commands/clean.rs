//! `nstore clean`: removes stored runs that have ended, and files that nothing refers to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use nstore_shared::{
    chunk::{Chunk, Generation, RunId},
    retry::FailureClass,
    storage::{
        Storage,
        failures::StoredBundle,
        manifest::Manifest,
        marker::{Marker, Outcome},
        outcomes::{Generations, leaves},
        unfinished::Unfinished,
        upkeep::StoredArtifact,
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
    run::House,
};

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
    orphans: Vec<(Chunk, StoredArtifact)>,
    bundles: Vec<StoredBundle>,
    uploads: Vec<Unfinished>,
}

pub(super) async fn clean(global: &Global, args: &CleanArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let manifests = manifests(&storage).await?;
    let upload = manifests.iter().any(|manifest| manifest.upload.enabled);
    let access = Access::open(global, Want { postgres: upload, beside: false, ..Want::default() }).await?;
    let swept = sweep(&access.house, args, manifests).await;
    access.close(None).await;
    view::print(&swept?);
    Ok(Exit::Good)
}

async fn manifests(storage: &Storage) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for run in storage.runs().await? {
        manifests.extend(storage.manifest(&run).await?);
    }
    Ok(manifests)
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
        let stored = runs::look(&house.storage, &manifest).await?;
        let loaded = loaded_chunks(house, &manifest).await?;
        match fate(&stored, &args.sources, older, loaded) {
            Fate::Goes => {
                let mut bytes = 0;
                for plan in &manifest.sources {
                    bytes += house.storage.usage_of(&plan.source, &manifest.run).await?.bytes;
                }
                found.runs.push((manifest, stored, bytes));
                continue;
            }
            Fate::Stays(reason) => found.kept.push((manifest.run.clone(), reason)),
            Fate::NotMeant => {}
        }
        orphans(&house.storage, &manifest, args, now, &mut found).await?;
    }
    Ok(found)
}

/// Chunks of a run that the ledger holds; `None` when nothing of it was to be loaded.
async fn loaded_chunks(house: &House, manifest: &Manifest) -> anyhow::Result<Option<u64>> {
    match &house.loader {
        Some(loader) if manifest.upload.enabled => Ok(Some(loader.ledger(&manifest.run).await?.len() as u64)),
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

/// Files and failure bundles that no standing marker names, and uploads that nobody finishes any more, older than the
/// grace time.
async fn orphans(
    storage: &Storage,
    manifest: &Manifest,
    args: &CleanArgs,
    now: DateTime<Utc>,
    found: &mut Sweep,
) -> anyhow::Result<()> {
    for plan in &manifest.sources {
        if !args.sources.is_empty() && !args.sources.iter().any(|name| name == plan.source.as_str()) {
            continue;
        }
        let generations = storage.generations(&plan.source, &manifest.run).await?;
        let standing = storage.standing(&plan.source, &manifest.run).await?;
        for artifact in storage.artifacts(&plan.source, &manifest.run).await? {
            let range = artifact.range;
            let goes = |known| unneeded(artifact.generation, &artifact.name, known, standing.get(&range));
            if artifact.modified < now - args.grace && generations.get(&range).is_some_and(goes) {
                let (source, run) = (plan.source.clone(), manifest.run.clone());
                found.orphans.push((Chunk { source, run, range }, artifact));
            }
        }
        for bundle in storage.bundles(&plan.source, &manifest.run).await? {
            let range = bundle.range;
            let goes = |known| unneeded(bundle.generation, &bundle.key, known, standing.get(&range));
            if bundle.modified < now - args.grace && generations.get(&range).is_some_and(goes) {
                found.bundles.push(bundle);
            }
        }
        let uploads = storage.unfinished(&plan.source, &manifest.run).await?;
        found.uploads.extend(uploads.into_iter().filter(|upload| upload.began < now - args.grace));
    }
    Ok(())
}

/// Whether nothing can ever refer to an artifact or bundle of that name: its generation has another outcome, or is
/// voided and a later one stands.
fn unneeded(generation: Generation, name: &str, known: &Generations, standing: Option<&Marker>) -> bool {
    let Some(standing) = standing else { return false };
    if standing.generation > generation {
        return known.voided.contains(&generation);
    }
    standing.generation == generation && !names(standing, name)
}

fn names(marker: &Marker, name: &str) -> bool {
    match &marker.outcome {
        Outcome::Committed(chunk) => {
            chunk.artifact.name == name
                || chunk.quality.rejects.as_ref().is_some_and(|rejects| rejects.name == name)
        }
        Outcome::Discarded { rejects, bundle, .. } => {
            rejects.as_deref() == Some(name) || bundle.as_deref() == Some(name)
        }
        Outcome::Split { .. } => false,
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
    for (chunk, artifact) in &found.orphans {
        house.storage.delete_artifact(chunk, &artifact.name).await?;
    }
    for bundle in &found.bundles {
        house.storage.delete_bundle(bundle).await?;
    }
    for upload in &found.uploads {
        house.storage.abort(upload).await?;
    }
    Ok(())
}

/// A worker that is cut off may still end a chunk of a cancelled run: an outcome that stands already refuses it.
async fn close_open_chunks(storage: &Storage, manifest: &Manifest) -> anyhow::Result<()> {
    for plan in &manifest.sources {
        let standing = storage.standing(&plan.source, &manifest.run).await?;
        let open = leaves(&plan.chunks, &standing).into_iter().filter(|(_, marker)| marker.is_none());
        for (range, _) in open {
            let chunk = Chunk { source: plan.source.clone(), run: manifest.run.clone(), range };
            storage.create_marker(&closed(storage, chunk).await?).await?;
        }
    }
    Ok(())
}

async fn closed(storage: &Storage, chunk: Chunk) -> anyhow::Result<Marker> {
    let generation = storage.generations_of(&chunk).await?.wanted();
    let (class, error) = (FailureClass::Config, "its run was cancelled and cleaned".to_owned());
    Ok(Marker::discarded_by_coordinator(chunk, generation, class, error, Utc::now()))
}

impl Sweep {
    fn text(&self, done: bool) -> String {
        let mut lines = Vec::new();
        for (manifest, stored, bytes) in &self.runs {
            let days = format!("{} to {}", manifest.start_date, manifest.end_date);
            let (state, size) = (stored.state(), view::quantity::bytes(*bytes));
            lines.push(format!("{}  {days}  {}  {state}  {size}", stored.run, stored.sources.join(",")));
        }
        for (run, reason) in &self.kept {
            lines.push(format!("{run}  stays: {reason}"));
        }
        let bytes: u64 = self.runs.iter().map(|(_, _, bytes)| bytes).sum::<u64>()
            + self.orphans.iter().map(|(_, artifact)| artifact.bytes).sum::<u64>()
            + self.bundles.iter().map(|bundle| bundle.usage.bytes).sum::<u64>();
        let files =
            self.orphans.len() as u64 + self.bundles.iter().map(|bundle| bundle.usage.files).sum::<u64>();
        let uploads = match self.uploads.len() as u64 {
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
        let nothing = self.runs.is_empty() && files == 0 && self.uploads.is_empty();
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
    use nstore_shared::{
        chunk::ChunkRange,
        storage::marker::{GrantRef, MARKER_VERSION},
    };

    use super::*;

    fn stored() -> Stored {
        Stored {
            run: "r".parse().unwrap(),
            created_at: "2025-08-01T00:00:00Z".parse().unwrap(),
            start_date: "2025-07-01".parse().unwrap(),
            end_date: "2025-07-31".parse().unwrap(),
            sources: vec!["a".into(), "b".into()],
            upload: true,
            cancelled: false,
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

    #[test]
    fn a_file_is_unneeded_only_when_a_standing_outcome_names_another() {
        const RANGE: &str = "2025-08-01_2025-08-02";
        let range: ChunkRange = RANGE.parse().unwrap();
        let marker = |generation| Marker {
            version: MARKER_VERSION,
            chunk: Chunk { source: "s".parse().unwrap(), run: "r".parse().unwrap(), range },
            generation,
            grant: GrantRef { worker: "w".parse().unwrap(), nonce: 1, attempt: 1 },
            started_at: Utc::now(),
            finished_at: Utc::now(),
            outcome: Outcome::Discarded {
                class: FailureClass::Data,
                error: "e".into(),
                attempts: 1,
                rejects: Some("2025-08-01_2025-08-02.g1.w-1.csv".into()),
                bundle: Some("failures/s/r/2025-08-01_2025-08-02.g1.w-1".into()),
            },
        };
        let first = Generations { marked: [1].into(), voided: [].into() };
        let voided = Generations { marked: [1, 2].into(), voided: [1].into() };
        for name in [
            |g, nonce| format!("{RANGE}.g{g}.w-{nonce}.csv"),
            |g, nonce| format!("failures/s/r/{RANGE}.g{g}.w-{nonce}"),
        ] {
            let goes =
                |g, nonce, known, standing: Option<&Marker>| unneeded(g, &name(g, nonce), known, standing);
            assert!(!goes(1, 1, &first, Some(&marker(1))), "the outcome names it");
            assert!(goes(1, 2, &first, Some(&marker(1))), "the outcome names another");
            assert!(!goes(2, 1, &first, Some(&marker(1))), "someone works on the next");
            assert!(!goes(1, 2, &first, None), "nothing stands");
            assert!(goes(1, 1, &voided, Some(&marker(2))), "voided, and a later one stands");
        }
    }
}
