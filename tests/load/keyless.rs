//! Append without a key: days belong to one run.

use nstore::load::{ChunkLoad, LedgerState, LoadError, PreflightReport};
use nstore_shared::chunk::UploadMode::{Append, ReplaceRange};

use crate::world::{ask, world};

#[tokio::test]
async fn the_same_days_are_refused_to_another_run() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    world.loader.preflight(&first).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&first).await.unwrap();
    // claimed is enough: nothing needs to be loaded yet
    let second = ask("r2", Append).days("2025-08-03", 2).manifest();
    for refused in [
        world.loader.preflight(&second).await.and_then(PreflightReport::into_result).map(drop),
        world.loader.register(&second).await,
    ] {
        let Err(LoadError::DaysHeld { run, days, reloadable: true, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((run.as_str(), days.as_str()), ("r1", "2025-08-03"));
    }
    assert_eq!(world.number("SELECT count(*) FROM nstore.days WHERE run = 'r2'").await, 0);
    // and an unregistered run loads nothing
    let marker = world.commit(&second, "2025-08-04_2025-08-05", &["1,2025-08-04,x".into()]).await;
    let refused = world.load(&second, &marker).await;
    assert!(matches!(refused, Err(LoadError::Unregistered { .. })), "{refused:?}");

    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;
    assert_eq!(world.load(&first, &markers[0]).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.rows().await, 30);
}

#[tokio::test]
async fn one_of_two_runs_gets_the_days_when_both_ask_at_once() {
    let world = world().await;
    let other = world.another_loader().await;
    let (a, b) = (ask("ra", Append).manifest(), ask("rb", Append).manifest());
    let both = tokio::join!(world.loader.register(&a), other.register(&b));
    let refused = [both.0, both.1].into_iter().filter(Result::is_err).count();
    assert_eq!(refused, 1);
    assert_eq!(world.number("SELECT count(DISTINCT run) FROM nstore.days").await, 1);
}

#[tokio::test]
async fn days_that_any_mode_loaded_are_held() {
    let world = world().await;
    let first = ask("r1", ReplaceRange).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;
    let second = ask("r2", Append).manifest();
    let refused = world.loader.register(&second).await;
    assert!(matches!(refused, Err(LoadError::DaysHeld { .. })), "{refused:?}");
}

#[tokio::test]
async fn reload_replaces_the_days_as_they_load_anew() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;

    let second = ask("r2", Append).days("2025-08-02", 3).reload().created_at(1).manifest();
    let notes =
        &world.loader.preflight(&second).await.and_then(PreflightReport::into_result).unwrap()[0].notes;
    assert!(notes.iter().any(|note| note.contains("2025-08-02 to 2025-08-03 of run r1")), "{notes:?}");
    world.loader.register(&second).await.unwrap();
    assert_eq!(world.rows().await, 30, "rows of the other run stay until theirs come in");
    world.loader.register(&second).await.unwrap();
    let markers2 = world.commit_all(&second, 12).await;
    world.load_all(&second, &markers2).await;
    world.loader.register(&second).await.unwrap();
    assert_eq!(world.rows().await, 10 + 36);
    let states: Vec<_> = world.loader.ledger(&first.run).await.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [LedgerState::Loaded, LedgerState::Replaced, LedgerState::Replaced]);
    // the first run is resumed: nothing of it comes in again
    for marker in &markers {
        assert_eq!(world.load(&first, marker).await.unwrap(), ChunkLoad::Already);
    }
    assert_eq!(world.rows().await, 46);
    // nor does a second load of a chunk delete its own rows
    assert_eq!(world.load(&second, &markers2[0]).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.rows().await, 46);
}

#[tokio::test]
async fn a_reload_takes_days_from_older_runs_only() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    let second = ask("r2", Append).reload().created_at(1).manifest();
    let third = ask("r3", Append).reload().created_at(2).manifest();
    for (run, per_day) in [(&first, 3), (&second, 4)] {
        world.loader.register(run).await.unwrap();
        let markers = world.commit_all(run, per_day).await;
        world.load_all(run, &markers).await;
    }
    world.loader.register(&third).await.unwrap();
    let markers = world.commit_all(&third, 5).await;
    // claimed is enough, and so is loaded
    for (marker, rows) in markers.iter().zip([12, 13, 14]) {
        assert_eq!(world.rows().await, rows);
        for refused in [
            world.loader.preflight(&second).await.and_then(PreflightReport::into_result).map(drop),
            world.loader.register(&second).await,
        ] {
            let Err(e @ LoadError::DaysHeld { reloadable: false, .. }) = refused else {
                panic!("{refused:?}")
            };
            assert!(e.to_string().contains("run r3 holds 2025-08-01 to 2025-08-03"), "{e}");
        }
        world.load_all(&third, std::slice::from_ref(marker)).await;
    }
    assert_eq!(world.rows().await, 15);
    world.loader.register(&third).await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM nstore.days WHERE run = 'r3'").await, 3);
}

#[tokio::test]
async fn a_reload_leaves_days_alone_that_it_loaded_and_others_hold_by_now() {
    let world = world().await;
    let older = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&older).await.unwrap();
    let reload = ask("r2", Append).reload().created_at(1).manifest();
    world.loader.register(&reload).await.unwrap();
    let markers = world.commit_all(&reload, 4).await;
    world.load_all(&reload, &markers[..1]).await;
    // a late chunk of the older run brings other rows of that day
    let late = world.commit(&older, "2025-08-01_2025-08-02", &["1,2025-08-01,late".into()]).await;
    world.load_all(&older, &[late]).await;
    let refused = world.loader.register(&reload).await;
    assert!(matches!(&refused, Err(LoadError::DaysHeld { run, .. }) if run == "r1"), "{refused:?}");
    assert_eq!(world.rows().await, 5);
}

#[tokio::test]
async fn a_reload_that_fails_or_is_cancelled_destroys_nothing() {
    let world = world().await;
    let first = ask("r1", Append).chunk_days(3).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;

    // cancelled before its first load: all is as before
    let second = ask("r2", Append).reload().created_at(1).manifest();
    world.loader.register(&second).await.unwrap();
    world.storage.cancel(&second.run, "no more").await.unwrap();
    world.loader.cancel(&second.run).await.unwrap();
    assert_eq!(world.rows().await, 30);
    let append = ask("r3", Append).created_at(2).manifest();
    let refused = world.loader.register(&append).await;
    assert!(matches!(&refused, Err(LoadError::DaysHeld { run, .. }) if run == "r1"), "{refused:?}");
    world.loader.register(&first).await.unwrap();

    // cancelled between two loads: the rest of the other run's chunk stays held, and can be taken
    let third = ask("r4", Append).reload().created_at(3).manifest();
    world.loader.register(&third).await.unwrap();
    let bad = world.commit(&third, "2025-08-02_2025-08-03", &["x,2025-08-02,x".into()]).await;
    assert!(matches!(world.load(&third, &bad).await.unwrap(), ChunkLoad::Refused { .. }));
    assert_eq!(world.rows().await, 30);
    let good = world.commit(&third, "2025-08-01_2025-08-02", &["1,2025-08-01,x".into()]).await;
    world.load_all(&third, &[good]).await;
    world.storage.cancel(&third.run, "no more").await.unwrap();
    world.loader.cancel(&third.run).await.unwrap();
    assert_eq!(world.rows().await, 21);
    for day in ["2025-08-01", "2025-08-02", "2025-08-03"] {
        let append = ask("r5", Append).days(day, 1).created_at(4).manifest();
        let refused = world.loader.register(&append).await;
        assert!(matches!(refused, Err(LoadError::DaysHeld { .. })), "{day}: {refused:?}");
    }
    let last = ask("r6", Append).reload().created_at(5).manifest();
    world.loader.register(&last).await.unwrap();
    let markers = world.commit_all(&last, 2).await;
    world.load_all(&last, &markers).await;
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn a_reload_of_one_day_leaves_the_rest_of_a_chunk_held() {
    let world = world().await;
    let first = ask("r1", ReplaceRange).chunk_days(3).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;
    let second = ask("r2", Append).days("2025-08-02", 1).reload().created_at(1).manifest();
    world.loader.register(&second).await.unwrap();
    let markers = world.commit_all(&second, 4).await;
    world.load_all(&second, &markers).await;
    assert_eq!(world.rows().await, 24);
    let third = ask("r3", Append).days("2025-08-03", 1).created_at(2).manifest();
    let refused = world.loader.register(&third).await;
    assert!(matches!(&refused, Err(LoadError::DaysHeld { run, .. }) if run == "r1"), "{refused:?}");
}

#[tokio::test]
async fn a_reload_is_superseded_by_what_was_extracted_after_it() {
    let world = world().await;
    let reload = ask("r1", Append).reload().manifest();
    world.loader.register(&reload).await.unwrap();
    let mine = world.commit_all(&reload, 4).await;
    let newer = ask("r2", ReplaceRange).days("2025-08-01", 1).created_at(1).manifest();
    world.loader.register(&newer).await.unwrap();
    let markers = world.commit_all(&newer, 7).await;
    world.load_all(&newer, &markers).await;
    assert_eq!(world.load(&reload, &mine[0]).await.unwrap(), ChunkLoad::Superseded);
    world.load_all(&reload, &mine[1..]).await;
    assert_eq!(world.rows().await, 15);
}

#[tokio::test]
async fn reload_needs_a_range_column() {
    let world = world().await;
    let run = ask("r1", Append).range_column(None).reload().manifest();
    let Err(LoadError::Target { problems, .. }) =
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(problems[0].contains("--reload needs a range_column"), "{problems:?}");
}

#[tokio::test]
async fn cancel_gives_back_days_that_led_to_no_load() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers[..1]).await;
    world.storage.cancel(&first.run, "no more").await.unwrap();
    world.loader.cancel(&first.run).await.unwrap();
    assert_eq!(world.load(&first, &markers[1]).await.unwrap(), ChunkLoad::Cancelled);
    assert!(matches!(world.loader.register(&first).await, Err(LoadError::Cancelled { .. })));
    let free = ask("r2", Append).days("2025-08-02", 2).manifest();
    world.loader.register(&free).await.unwrap();
    let held = ask("r3", Append).days("2025-08-01", 1).manifest();
    assert!(matches!(world.loader.register(&held).await, Err(LoadError::DaysHeld { .. })));
}
