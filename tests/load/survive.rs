//! Killed backends, killed servers, cancel in the middle: never a row twice, never one too few.

use std::{io::ErrorKind, time::Duration};

use nstore::{
    db::Db,
    load::{ChunkLoad, LoadError, Loader},
};
use nstore_shared::{chunk::UploadMode::Append, storage::StorageError};
use nstore_tests::context::{self, Fault, Proxy};

use crate::world::{World, ask, world};

/// Loads until it is loaded, as a caller does with what may pass.
async fn persist(
    world: &World,
    run: &nstore_shared::storage::manifest::Manifest,
    marker: &nstore_shared::storage::marker::Marker,
) -> u32 {
    for failures in 0..200 {
        match world.load(run, marker).await {
            Ok(ChunkLoad::Loaded(_) | ChunkLoad::Already) => return failures,
            Ok(ChunkLoad::Busy) => {}
            Err(e) if e.may_pass() => tokio::time::sleep(Duration::from_millis(100)).await,
            odd => panic!("{odd:?}"),
        }
    }
    panic!("never loaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_is_terminated_during_copy_leaves_exact_rows() {
    let world = world().await;
    let run = ask("r1", Append).days("2025-08-01", 4).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 30_000).await;
    let other = world.another_loader().await;
    let killer = tokio::spawn(async move {
        let mut killed = 0;
        // terminates whoever copies, some milliseconds into its work
        for round in 0..30u64 {
            tokio::time::sleep(Duration::from_millis(5 + round * 3)).await;
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                       WHERE datname = current_database() AND (query LIKE 'COPY%' OR query = 'COMMIT') AND state = 'active'";
            killed += world.number(sql).await;
        }
        (world, killed)
    });
    let plan = &run.sources[0];
    let mut failures = 0;
    for marker in &markers {
        loop {
            match other.load_chunk(&run, plan, marker).await {
                Ok(ChunkLoad::Loaded(_) | ChunkLoad::Already) => break,
                Ok(ChunkLoad::Busy) => {}
                Err(e) if e.may_pass() => failures += 1,
                odd => panic!("{odd:?}"),
            }
        }
    }
    let (world, killed) = killer.await.unwrap();
    assert!(killed > 0 && failures > 0, "{killed} killed, {failures} failures seen");
    assert_eq!(world.rows().await, 120_000);
    assert_eq!(world.number("SELECT count(DISTINCT id) FROM orders").await, 120_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_commits_whose_replies_are_lost_load_each_chunk_once() {
    let world = world().await;
    let server = world.url.split('/').nth(2).and_then(|authority| authority.rsplit('@').next()).unwrap();
    let line = Proxy::start(server.parse().unwrap()).await;
    let behind = Db::connect(&world.url.replace(server, &line.address.to_string()), "public").await.unwrap();
    let loader = Loader::new(behind, world.storage.clone());
    // no key of the table keeps a row from coming twice
    let run = ask("r1", Append).days("2025-08-01", 50).manifest();
    loader.register(&run).await.unwrap();
    for (at, marker) in world.commit_all(&run, 3).await.iter().enumerate() {
        line.harm("COMMIT", 1, Fault::DropReply);
        let mut failures = 0;
        loop {
            match loader.load_chunk(&run, &run.sources[0], marker).await {
                Ok(ChunkLoad::Already) => break,
                // the server has not yet seen that the connection is gone
                Ok(ChunkLoad::Busy) => {}
                Err(error) if error.may_pass() => failures += 1,
                odd => panic!("{odd:?}"),
            }
            assert!(failures < 100, "{} is not loaded", marker.chunk);
        }
        assert_eq!(line.met(), at + 1);
    }
    assert_eq!(world.rows().await, 150);
    assert_eq!(world.number("SELECT count(DISTINCT id) FROM orders").await, 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_during_copy_leaves_exact_rows() {
    let mut postgres = tokio::task::spawn_blocking(context::own_postgres).await.unwrap();
    let world = World::at(&postgres.url()).await;
    let run = ask("r1", Append).days("2025-08-01", 3).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 60_000).await;
    let load = async {
        let mut failures = 0;
        for marker in &markers {
            failures += persist(&world, &run, marker).await;
        }
        failures
    };
    let kill = async {
        let watcher = postgres.client().await;
        let copying = "SELECT count(*) > 0 FROM pg_stat_progress_copy WHERE tuples_processed > 0";
        while !watcher.query_one(copying, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::task::spawn_blocking(move || {
            postgres.server.kill();
            std::thread::sleep(Duration::from_millis(300));
            postgres.server.restart().unwrap();
            postgres
        })
        .await
        .unwrap()
    };
    let (failures, postgres) = tokio::join!(load, kill);
    assert!(failures > 0, "the kill came too late to be seen");
    let client = postgres.client().await;
    let rows: i64 = client.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get(0);
    assert_eq!(rows, 180_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_acknowledged_cancel_no_row_comes_in() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).days("2025-08-01", 30).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 20_000).await;
    let other = world.another_loader().await;
    let loading = tokio::spawn({
        let (run, other) = (run.clone(), other.clone());
        async move {
            let mut ends = Vec::new();
            for marker in &markers {
                ends.push(other.load_chunk(&run, &run.sources[0], marker).await);
            }
            ends
        }
    });
    // in the middle: some are loaded, many are not
    while world.loader.ledger(&run.run).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.storage.cancel(&run.run, "no more").await.unwrap();
    world.loader.cancel(&run.run).await.unwrap();
    let rows = world.rows().await;
    let ends = loading.await.unwrap();
    assert!(matches!(ends.last(), Some(Ok(ChunkLoad::Cancelled))), "{ends:?}");
    for end in &ends {
        assert!(matches!(end, Ok(ChunkLoad::Loaded(_) | ChunkLoad::Cancelled)), "{ends:?}");
    }
    assert_eq!(world.rows().await, rows);
    let loaded = ends.iter().filter(|end| matches!(end, Ok(ChunkLoad::Loaded(_)))).count();
    assert_eq!(rows, 20_000 * i64::try_from(loaded).unwrap());
    assert_eq!(world.loader.ledger(&run.run).await.unwrap().len(), loaded);
}

#[tokio::test]
async fn a_locked_table_is_busy_and_a_cancelled_run_does_not_wait_for_it() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    world.run_sql("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    assert_eq!(world.load(&run, &markers[0]).await.unwrap(), ChunkLoad::Busy);
    let (loader, waiting) = (world.loader.clone(), run.clone());
    let load = tokio::spawn({
        let marker = markers[1].clone();
        async move { loader.load_chunk(&waiting, &waiting.sources[0], &marker).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.storage.cancel(&run.run, "no more").await.unwrap();
    world.loader.cancel(&run.run).await.unwrap();
    assert_eq!(load.await.unwrap().unwrap(), ChunkLoad::Cancelled);
    world.run_sql("COMMIT").await;
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn with_postgres_away_a_cancel_is_not_acknowledged() {
    let mut postgres = tokio::task::spawn_blocking(context::own_postgres).await.unwrap();
    let world = World::at(&postgres.url()).await;
    let run = ask("r1", Append).manifest();
    world.loader.register(&run).await.unwrap();
    let postgres = tokio::task::spawn_blocking(move || {
        postgres.server.kill();
        postgres
    });
    let postgres = postgres.await.unwrap();
    world.storage.cancel(&run.run, "no more").await.unwrap();
    let refused = world.loader.cancel(&run.run).await;
    assert!(matches!(&refused, Err(LoadError::Db(e)) if e.may_pass()), "{refused:?}");
    drop(postgres);
}

#[tokio::test]
async fn storage_that_says_no_is_not_asked_again() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &["1,2025-08-01,x".into()]).await;
    // a file in the place of the run's folder: no later try finds the artifact
    let folder = world.artifact(&marker).parent().unwrap().to_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let refused = world.load(&run, &marker).await;
    let Err(e @ LoadError::Storage(StorageError::Store { .. })) = refused else { panic!("{refused:?}") };
    assert!(!e.may_pass(), "{e}");

    for (kind, passes) in [
        (ErrorKind::PermissionDenied, false),
        (ErrorKind::ReadOnlyFilesystem, false),
        (ErrorKind::StorageFull, true),
        (ErrorKind::TimedOut, true),
    ] {
        let e = LoadError::from(StorageError::Io { url: "file:///s".into(), source: kind.into() });
        assert_eq!(e.may_pass(), passes, "{kind}");
    }
}
