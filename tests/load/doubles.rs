//! Rows never come twice, nor back: whatever mode, run, chunk size or installation brings them.

use nstore::load::{ChunkLoad, LedgerState, LoadError, PreflightReport};
use nstore_shared::{
    chunk::UploadMode::{self, Append, Replace, ReplaceRange},
    storage::manifest::Manifest,
};

use crate::world::{World, ask, at, fill, world};

/// What the load of a run's chunks, or of its whole table, ends with.
async fn load(world: &World, run: &Manifest, per_day: u32) -> Result<(), LoadError> {
    let markers = world.commit_all(run, per_day).await;
    if run.sources[0].upload_mode == Replace {
        return world.replace(run, &markers).await.map(drop);
    }
    for marker in &markers {
        assert!(matches!(world.load(run, marker).await?, ChunkLoad::Loaded(_)));
    }
    Ok(())
}

fn deleting(run: &str, mode: UploadMode) -> Manifest {
    ask(run, mode).created_at(1).manifest()
}

#[tokio::test]
async fn a_load_that_deletes_waits_for_an_append_that_has_claimed_its_days() {
    for mode in [ReplaceRange, Replace] {
        let world = world().await;
        let append = ask("r1", Append).days("2025-08-02", 5).manifest();
        world.loader.register(&append).await.unwrap();
        let run = deleting("r2", mode);
        let refused = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap_err();
        let LoadError::DaysClaimed { run: holder, days, .. } = &refused else { panic!("{mode}: {refused}") };
        let claimed = if mode == Replace { "2025-08-02 to 2025-08-06" } else { "2025-08-02 to 2025-08-03" };
        assert_eq!((holder.as_str(), days.as_str()), ("r1", claimed));
        assert!(matches!(world.loader.register(&run).await, Err(LoadError::DaysClaimed { .. })), "{mode}");

        // in part is not enough
        let markers = world.commit_all(&append, 4).await;
        world.load_all(&append, &markers[..1]).await;
        assert!(matches!(world.loader.register(&run).await, Err(LoadError::DaysClaimed { .. })), "{mode}");
        world.load_all(&append, &markers[1..]).await;
        let run = Manifest { upload: ask("r2", mode).allow_shrink().manifest().upload, ..run };
        world.loader.register(&run).await.unwrap();
        load(&world, &run, 3).await.unwrap();
        let kept = if mode == Replace { 0 } else { 3 * 4 };
        assert_eq!(world.rows().await, 3 * 3 + kept, "{mode}");
        // the days of the append that stay are still its own
        let again = ask("r3", Append).days("2025-08-06", 1).created_at(2).manifest();
        assert_eq!(world.loader.register(&again).await.is_ok(), mode == Replace, "{mode}");
    }
}

#[tokio::test]
async fn an_append_goes_on_when_days_that_it_has_loaded_are_replaced() {
    let world = world().await;
    let append = ask("r1", Append).manifest();
    world.loader.register(&append).await.unwrap();
    let markers = world.commit_all(&append, 4).await;
    world.load_all(&append, &markers[..1]).await;
    let run = ask("r2", ReplaceRange).days("2025-08-01", 1).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    load(&world, &run, 3).await.unwrap();
    // whoever takes it up again begins like this
    world.loader.preflight(&append).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&append).await.unwrap();
    assert_eq!(world.load(&append, &markers[0]).await.unwrap(), ChunkLoad::Already);
    world.load_all(&append, &markers[1..]).await;
    assert_eq!(world.rows().await, 3 + 4 + 4);
}

#[tokio::test]
async fn a_cancelled_append_holds_nobody_up() {
    let world = world().await;
    let append = ask("r1", Append).chunk_days(3).manifest();
    world.loader.register(&append).await.unwrap();
    world.storage.cancel(&append.run, "no more").await.unwrap();
    world.loader.cancel(&append.run).await.unwrap();
    let run = deleting("r2", ReplaceRange);
    world.loader.register(&run).await.unwrap();
    load(&world, &run, 2).await.unwrap();
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn an_append_keeps_away_from_days_that_a_load_is_about_to_delete() {
    for mode in [ReplaceRange, Replace] {
        let world = world().await;
        let run = deleting("r1", mode);
        world.loader.register(&run).await.unwrap();
        let append = ask("r2", Append).manifest();
        let refused = world.loader.register(&append).await;
        assert!(matches!(&refused, Err(LoadError::DaysHeld { run, .. }) if run == "r1"), "{refused:?}");
        // other loads that delete are not in the way
        world.loader.register(&deleting("r3", mode)).await.unwrap();

        // an append that got past the claim is met when loading, whoever comes first
        world.run_sql("DELETE FROM nstore.days").await;
        world.loader.register(&append).await.unwrap();
        let refused = load(&world, &run, 3).await;
        assert!(matches!(&refused, Err(LoadError::DaysClaimed { .. })), "{mode}: {refused:?}");
        load(&world, &append, 4).await.unwrap();
        load(&world, &run, 3).await.unwrap();
        assert_eq!(world.rows().await, 9, "{mode}");
    }
}

#[tokio::test]
async fn an_append_that_held_the_days_of_a_load_that_deleted_is_refused_or_superseded() {
    for (extracted, superseded) in [(at(0), true), (at(2), false)] {
        let world = world().await;
        let append = ask("r1", Append).manifest();
        world.loader.register(&append).await.unwrap();
        let mut markers = Vec::new();
        for range in &append.sources[0].chunks {
            markers.push(world.commit_at(&append, &range.to_string(), &fill(range, 4, "x"), extracted).await);
        }
        // as if it had registered in the middle of the other's load
        world.run_sql("DELETE FROM nstore.days").await;
        let run = deleting("r2", ReplaceRange);
        world.loader.register(&run).await.unwrap();
        load(&world, &run, 3).await.unwrap();
        world.run_sql("UPDATE nstore.days SET run = 'r1', deletes = false").await;
        for marker in &markers {
            match world.load(&append, marker).await.unwrap() {
                ChunkLoad::Superseded => assert!(superseded),
                ChunkLoad::Refused { error, .. } => {
                    assert!(!superseded && error.contains("run r2") && error.contains("--reload"), "{error}");
                }
                odd => panic!("{odd:?}"),
            }
        }
        assert_eq!(world.rows().await, 9);
    }
}

#[tokio::test]
async fn an_older_append_with_a_key_brings_nothing_back_that_a_newer_load_took_away() {
    let world = world().await;
    let append = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&append).await.unwrap();
    let markers = world.commit_all(&append, 10).await;
    let newer = ask("r2", ReplaceRange).key(&["id"]).days("2025-08-01", 2).created_at(1).manifest();
    world.loader.register(&newer).await.unwrap();
    load(&world, &newer, 6).await.unwrap();
    assert_eq!(world.load(&append, &markers[0]).await.unwrap(), ChunkLoad::Superseded);
    assert_eq!(world.load(&append, &markers[0]).await.unwrap(), ChunkLoad::Already);
    world.load_all(&append, &markers[2..]).await;
    assert_eq!(world.rows().await, 12 + 10);
    let ledger = world.loader.ledger(&append.run).await.unwrap();
    assert_eq!(ledger.iter().filter(|row| row.state == LedgerState::Superseded).count(), 1);
}

#[tokio::test]
async fn chunks_of_other_bounds_are_known_by_what_they_cover() {
    let halves = ["20250731t183000z_20250802t063000z", "20250802t063000z_20250803t183000z"];
    let whole = "2025-08-01_2025-08-04";
    let run = ask("r1", Append).chunk_days(3).manifest();
    let rows = fill(&run.sources[0].chunks[0], 2, "x");
    // halves are loaded, then the store is set back to before the split
    let world = world().await;
    world.loader.register(&run).await.unwrap();
    let first = world.commit(&run, halves[0], &rows[..3]).await;
    world.load_all(&run, &[first]).await;
    let all = world.commit(&run, whole, &rows).await;
    let ChunkLoad::Refused { error, .. } = world.load(&run, &all).await.unwrap() else { panic!() };
    assert!(error.contains("double") && error.contains("2025-07-31 18:30:00 UTC"), "{error}");
    let second = world.commit(&run, halves[1], &rows[3..]).await;
    world.load_all(&run, &[second]).await;
    assert_eq!(world.load(&run, &all).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn a_half_of_a_chunk_that_is_loaded_is_there() {
    let world = world().await;
    let run = ask("r1", Append).chunk_days(3).manifest();
    world.loader.register(&run).await.unwrap();
    let rows = fill(&run.sources[0].chunks[0], 2, "x");
    let all = world.commit(&run, "2025-08-01_2025-08-04", &rows).await;
    world.load_all(&run, &[all]).await;
    let half = world.commit(&run, "2025-08-01_2025-08-02", &rows[..2]).await;
    assert_eq!(world.load(&run, &half).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn a_run_that_has_loaded_keeps_its_plan_and_its_installation() {
    let world = world().await;
    let run = ask("r1", Append).manifest();
    world.loader.register(&run).await.unwrap();
    world.loader.register(&run).await.unwrap();
    load(&world, &run, 2).await.unwrap();
    let other = ask("r1", Append).chunk_days(3).manifest();
    let refused = world.loader.register(&other).await.unwrap_err();
    assert!(matches!(refused, LoadError::OtherPlan { .. }) && !refused.may_pass(), "{refused}");

    let elsewhere = World::at(&world.url).await;
    let refused = elsewhere.loader.register(&run).await.unwrap_err();
    assert!(matches!(refused, LoadError::OtherInstallation { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("another idempotency key"));
    // what was forgotten is no obstacle
    world.loader.forget("orders").await.unwrap();
    elsewhere.loader.register(&other).await.unwrap();
}

#[tokio::test]
async fn the_ledger_itself_refuses_overlaps_where_no_key_does() {
    let world = world().await;
    let (one, two) = (ask("r1", Append).manifest(), ask("r2", Append).chunk_days(2).created_at(1).manifest());
    world.loader.register(&one).await.unwrap();
    // a claim that was taken by hand, while the other one loads
    let markers = world.commit_all(&one, 4).await;
    world.run_sql("DELETE FROM nstore.days").await;
    world.loader.register(&two).await.unwrap();
    let others = world.commit_all(&two, 4).await;
    world.run_sql("UPDATE nstore.days SET run = 'r1'").await;
    world.load_all(&one, &markers).await;
    world.run_sql("UPDATE nstore.days SET run = 'r2'").await;
    for marker in &others {
        let ChunkLoad::Refused { error, .. } = world.load(&two, marker).await.unwrap() else { panic!() };
        assert!(error.contains("run r1"), "{error}");
    }
    assert_eq!(world.rows().await, 12);
    let overlap = world
        .sql
        .execute("UPDATE nstore.ledger SET span = (SELECT span FROM nstore.ledger LIMIT 1)", &[])
        .await;
    assert_eq!(overlap.unwrap_err().code().unwrap().code(), "23P01");
}

#[tokio::test]
async fn what_an_older_nstore_has_loaded_is_known_after_an_update() {
    let world = world().await;
    let run = ask("r1", Append).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 4).await;
    world.load_all(&run, &markers[..2]).await;
    // as the third version of the schema was
    world
        .run_sql(
            "ALTER TABLE nstore.ledger DROP CONSTRAINT ledger_keyless_spans, DROP COLUMN span, DROP COLUMN keyless;
             DROP FUNCTION nstore.span;
             ALTER TABLE nstore.targets DROP COLUMN number;
             ALTER TABLE nstore.runs DROP COLUMN installation, DROP COLUMN plan, DROP COLUMN cancelled_at;
             ALTER TABLE nstore.days DROP COLUMN deletes;
             CREATE INDEX ON nstore.ledger (target, source, range_end);
             DELETE FROM nstore.migrations WHERE version = 4",
        )
        .await;
    let world = World { loader: world.another_loader().await, ..world };
    world.loader.register(&run).await.unwrap();
    assert_eq!(world.load(&run, &markers[0]).await.unwrap(), ChunkLoad::Already);
    world.load_all(&run, &markers[2..]).await;
    let other = ask("r2", Append).created_at(1).manifest();
    assert!(matches!(world.loader.register(&other).await, Err(LoadError::DaysHeld { .. })));
    assert_eq!(world.rows().await, 12);
}
