//! What a chunk may be split into, and the load of parts of days in every mode.

use std::time::Duration;

use chrono::Days;
use nstore::load::{ChunkLoad, LoadCounts, LoadError, PreflightReport, ReplaceLoad};
use nstore_shared::{
    chunk::{
        Chunk, ChunkRange,
        UploadMode::{Append, Replace, ReplaceRange},
    },
    config::spec::{Bounds, ExtractSpec, TimeFormat},
    contract::ColumnType,
    storage::{
        halves::Indivisible,
        manifest::Manifest,
        marker::{GrantRef, MARKER_VERSION, Marker, Outcome},
    },
};

use crate::world::{Ask, World, ask, at, column, day, replaced, world};

/// Columns `id,at`, the window asked for by the second.
fn timed(ask: Ask) -> Manifest {
    let columns = vec![column("id", ColumnType::Bigint, true), column("at", ColumnType::Timestamptz, true)];
    by_the_second(ask.columns(columns).range_column(Some("at")).manifest())
}

fn by_the_second(mut manifest: Manifest) -> Manifest {
    let ExtractSpec::Api(api) = &mut manifest.sources[0].spec.extract else { panic!("an api") };
    api.window.format = TimeFormat::EpochS;
    manifest
}

/// One row for every third hour of a range.
fn rows(manifest: &Manifest, range: &ChunkRange) -> Vec<String> {
    let (start, end) = range.instants(manifest.sources[0].zone());
    let hours = (0..).map(|n| start + chrono::Duration::hours(3 * n)).take_while(|at| *at < end);
    hours.map(|at| format!("{},{}", at.timestamp(), at.to_rfc3339())).collect()
}

/// Splits a run's only chunk into days, and the first day into quarters, and commits all.
async fn commit_parts(world: &World, manifest: &Manifest) -> Vec<Marker> {
    let plan = &manifest.sources[0];
    let after_first_day = plan.chunks[0].instants(plan.zone()).0 + chrono::Duration::days(1);
    let mut open = plan.chunks.clone();
    let mut markers = Vec::new();
    while let Some(range) = open.pop() {
        let (start, end) = range.instants(plan.zone());
        let small = if start < after_first_day {
            end - start <= chrono::Duration::hours(6)
        } else {
            range.halves().is_none()
        };
        if small {
            markers.push(world.commit(manifest, &range.to_string(), &rows(manifest, &range)).await);
        } else {
            let halves = plan.halves(range).unwrap();
            world.split(manifest, range, halves).await;
            open.extend(halves);
        }
    }
    assert_eq!(markers.len(), 4 + 2);
    markers
}

impl World {
    async fn split(&self, manifest: &Manifest, range: ChunkRange, halves: [ChunkRange; 2]) {
        let (source, run) = (manifest.sources[0].source.clone(), manifest.run.clone());
        let marker = Marker {
            version: MARKER_VERSION,
            chunk: Chunk { source, run, range },
            generation: 1,
            grant: GrantRef { worker: "w1".parse().unwrap(), nonce: 1, attempt: 1 },
            started_at: manifest.created_at,
            finished_at: manifest.created_at,
            outcome: Outcome::Split { halves, answer: None },
        };
        self.storage.create_marker(&marker).await.unwrap();
    }

    /// The table holds each third hour of three days once.
    async fn assert_three_days(&self) {
        assert_eq!(self.rows().await, 24);
        assert_eq!(self.number("SELECT count(DISTINCT id) FROM orders").await, 24);
        assert_eq!(self.number("SELECT (max(id) - min(id))::bigint FROM orders").await, 23 * 3 * 3600);
    }
}

#[tokio::test]
async fn parts_of_days_load_once_in_every_mode_that_loads_chunks() {
    for (name, ask) in [
        ("keyed", ask("r1", Append).key(&["id"]).chunk_days(3)),
        ("keyless", ask("r1", Append).chunk_days(3)),
        ("range", ask("r1", ReplaceRange).chunk_days(3)),
    ] {
        let world = world().await;
        let run = timed(ask);
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
        world.loader.register(&run).await.unwrap();
        let markers = commit_parts(&world, &run).await;
        world.load_all(&run, &markers).await;
        world.assert_three_days().await;
        for marker in &markers {
            assert_eq!(world.load(&run, marker).await.unwrap(), ChunkLoad::Already, "{name}");
        }
        world.assert_three_days().await;
    }
}

#[tokio::test]
async fn a_day_stays_with_the_run_that_loads_a_part_of_it_until_a_reload() {
    let world = world().await;
    let first = timed(ask("r1", Append).chunk_days(3));
    world.loader.register(&first).await.unwrap();
    let markers = commit_parts(&world, &first).await;
    // one quarter of a day is loaded, the rest of the run never comes
    world.load_all(&first, &markers[5..]).await;
    world.storage.cancel(&first.run, "no more").await.unwrap();
    world.loader.cancel(&first.run).await.unwrap();
    let second = timed(ask("r2", Append).chunk_days(3).created_at(1));
    assert!(matches!(world.loader.register(&second).await, Err(LoadError::DaysHeld { .. })));
    let reload = timed(ask("r3", Append).chunk_days(3).reload().created_at(2));
    world.loader.register(&reload).await.unwrap();
    let markers = commit_parts(&world, &reload).await;
    world.load_all(&reload, &markers).await;
    world.assert_three_days().await;
}

#[tokio::test]
async fn a_replace_waits_for_every_part() {
    let world = world().await;
    let run = timed(ask("r1", Replace).key(&["id"]).chunk_days(3));
    world.loader.register(&run).await.unwrap();
    let markers = commit_parts(&world, &run).await;
    let missing = world.replace(&run, &markers[1..]).await;
    assert!(matches!(missing, Err(LoadError::Incomplete { .. })), "{missing:?}");
    assert_eq!(world.rows().await, 0);
    assert_eq!(world.replace(&run, &markers).await.unwrap(), replaced(24));
    world.assert_three_days().await;
    // as whole days anew, over the parts
    let again = timed(ask("r2", Replace).key(&["id"]).created_at(1));
    world.loader.register(&again).await.unwrap();
    let mut whole = Vec::new();
    for range in &again.sources[0].chunks {
        whole.push(world.commit_at(&again, &range.to_string(), &rows(&again, range), at(3)).await);
    }
    let stay = LoadCounts { skipped: 24, ..LoadCounts::default() };
    assert_eq!(world.replace(&again, &whole).await.unwrap(), ReplaceLoad::Loaded(stay));
    world.assert_three_days().await;
}

#[test]
fn a_day_is_split_only_where_window_and_table_tell_times() {
    let first = day("2025-08-01");
    let of_days = |days| ChunkRange::days(first, first + Days::new(days)).unwrap();
    let halves = |manifest: &Manifest, range| manifest.sources[0].halves(range);
    let dates = ask("r1", Append).key(&["id"]).manifest();
    assert!(halves(&dates, of_days(2)).is_ok());
    assert_eq!(halves(&dates, of_days(1)), Err(Indivisible::Window), "the spec of the tests asks by dates");

    let half = |ask: Ask| halves(&by_the_second(ask.manifest()), of_days(1));
    assert!(half(ask("r1", Append).key(&["id"])).is_ok(), "a date that nothing is deleted by does no harm");
    assert!(half(ask("r1", Replace).key(&["id"])).is_ok());
    assert_eq!(half(ask("r1", ReplaceRange).key(&["id"])), Err(Indivisible::DateColumn));
    assert_eq!(half(ask("r1", Append)), Err(Indivisible::DateColumn), "a reload would delete by it");
    let mut unknown = by_the_second(ask("r1", Append).key(&["id"]).manifest());
    let ExtractSpec::Api(api) = &mut unknown.sources[0].spec.extract else { panic!("an api") };
    api.window.bounds = Bounds::Unknown;
    assert_eq!(halves(&unknown, of_days(1)), Err(Indivisible::DateColumn), "rows of both halves look alike");

    let mut hourly = timed(ask("r1", ReplaceRange));
    let ExtractSpec::Api(api) = &mut hourly.sources[0].spec.extract else { panic!("an api") };
    api.window.granularity = Duration::from_secs(3600);
    let mut range = of_days(1);
    let mut cuts = 0;
    let last = loop {
        match halves(&hourly, range) {
            Ok([first, _]) => (range, cuts) = (first, cuts + 1),
            Err(why) => break why,
        }
    };
    assert_eq!((last, cuts), (Indivisible::Shortest, 4), "24, 12, 6, 3 hours, then one");
    let parents = hourly.sources[0].parents(range);
    assert_eq!((parents.len(), parents[3].range), (4, of_days(1)), "{parents:?}");
    assert_eq!(hourly.sources[0].parents(of_days(1)), []);
    let (start, end) = range.instants(chrono_tz::UTC);
    assert_eq!(end - start, chrono::Duration::hours(1));
}
