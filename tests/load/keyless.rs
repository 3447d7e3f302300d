//! Append without a key: days belong to one run.

use nstore::load::{ChunkLoad, LedgerState, LoadError};
use nstore_shared::chunk::UploadMode::{Append, ReplaceRange};

use crate::world::{ask, world};

#[tokio::test]
async fn the_same_days_are_refused_to_another_run() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    world.loader.preflight(&first).await.unwrap();
    world.loader.register(&first).await.unwrap();
    // claimed is enough: nothing needs to be loaded yet
    let second = ask("r2", Append).days("2025-08-03", 2).manifest();
    for refused in [world.loader.preflight(&second).await.map(drop), world.loader.register(&second).await] {
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
async fn reload_deletes_the_days_and_loads_them_anew() {
    let world = world().await;
    let first = ask("r1", Append).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;

    let second = ask("r2", Append).days("2025-08-02", 3).reload().manifest();
    let notes = &world.loader.preflight(&second).await.unwrap()[0].notes;
    assert!(notes.iter().any(|note| note.contains("2025-08-02 to 2025-08-03 of run r1")), "{notes:?}");
    world.loader.register(&second).await.unwrap();
    assert_eq!(world.rows().await, 10, "days of the other run are gone with the claim");
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
}

#[tokio::test]
async fn reload_needs_a_range_column() {
    let world = world().await;
    let run = ask("r1", Append).range_column(None).reload().manifest();
    let Err(LoadError::Target { problems, .. }) = world.loader.preflight(&run).await else { panic!() };
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
