//! `replace_range`: each chunk's own range, and older data never over newer.

use nstore::load::{ChunkLoad, LedgerState, LoadError, PreflightReport};
use nstore_shared::{chunk::UploadMode::ReplaceRange, contract::ColumnType, storage::marker::VoidReason};

use crate::world::{ask, at, column, fill, world};

#[tokio::test]
async fn a_range_is_replaced_and_its_neighbours_stay() {
    let world = world().await;
    let first = ask("r1", ReplaceRange).key(&["id"]).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;

    let second = ask("r2", ReplaceRange).key(&["id"]).days("2025-08-02", 1).created_at(1).manifest();
    world.loader.preflight(&second).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&second).await.unwrap();
    let markers = world.commit_all(&second, 4).await;
    world.load_all(&second, &markers).await;
    assert_eq!(world.load(&second, &markers[0]).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE day = '2025-08-02'").await, 4);
    assert_eq!(world.rows().await, 24);
}

#[tokio::test]
async fn bounds_are_days_of_the_sources_zone() {
    let world = world().await;
    let columns = vec![column("id", ColumnType::Bigint, true), column("at", ColumnType::Timestamptz, true)];
    // midnight in Kolkata is 18:30 UTC of the day before
    world
        .run_sql(
            "CREATE TABLE orders (id bigint, at timestamptz);
             INSERT INTO orders VALUES (1, '2025-07-31 18:29:59.999Z'), (2, '2025-07-31 18:30Z'),
                                       (3, '2025-08-01 18:29:59.999Z'), (4, '2025-08-01 18:30Z')",
        )
        .await;
    let run = ask("r1", ReplaceRange).range_column(Some("at")).columns(columns).manifest();
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&run).await.unwrap();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &["9,2025-08-01T00:00:00Z".into()]).await;
    world.load_all(&run, &[marker]).await;
    let ids = world.text("SELECT id::text FROM orders ORDER BY id").await;
    assert_eq!(ids, ["1", "4", "9"].map(|id| Some(id.to_owned())));
    // half a day, after a split
    let half =
        world.commit(&run, "20250801t183000z_20250802t063000z", &["10,2025-08-02T00:00:00Z".into()]).await;
    world.load_all(&run, &[half]).await;
    assert_eq!(world.text("SELECT id::text FROM orders ORDER BY id").await.len(), 3);
}

#[tokio::test]
async fn older_data_never_overwrites_newer() {
    let world = world().await;
    let newer = ask("new", ReplaceRange).days("2025-08-01", 3).manifest();
    world.loader.register(&newer).await.unwrap();
    for range in &newer.sources[0].chunks {
        let rows = fill(range, 5, "new");
        let marker = world.commit_at(&newer, &range.to_string(), &rows, at(10)).await;
        world.load_all(&newer, &[marker]).await;
    }
    // one chunk over two days that are covered, one over a covered and a new day
    let older = ask("old", ReplaceRange).days("2025-08-02", 4).chunk_days(2).manifest();
    world.loader.register(&older).await.unwrap();
    let ranges: Vec<String> = older.sources[0].chunks.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["2025-08-02_2025-08-04", "2025-08-04_2025-08-06"]);
    let covered =
        world.commit_at(&older, &ranges[0], &fill(&older.sources[0].chunks[0], 7, "old"), at(5)).await;
    assert_eq!(world.load(&older, &covered).await.unwrap(), ChunkLoad::Superseded);
    assert_eq!(world.load(&older, &covered).await.unwrap(), ChunkLoad::Already);
    let free = world.commit_at(&older, &ranges[1], &fill(&older.sources[0].chunks[1], 7, "old"), at(5)).await;
    world.load_all(&older, &[free]).await;
    let ledger = world.loader.ledger(&older.run).await.unwrap();
    assert_eq!(
        ledger.iter().map(|row| row.state).collect::<Vec<_>>(),
        [LedgerState::Superseded, LedgerState::Loaded]
    );
    assert_eq!(
        world.number("SELECT count(*) FROM orders WHERE note = 'old' AND day < '2025-08-04'").await,
        0
    );

    let part = ask("part", ReplaceRange).days("2025-07-31", 2).chunk_days(2).manifest();
    world.loader.register(&part).await.unwrap();
    let rows = fill(&part.sources[0].chunks[0], 7, "part");
    let marker = world.commit_at(&part, "2025-07-31_2025-08-02", &rows, at(5)).await;
    let done = world.load(&part, &marker).await.unwrap();
    assert!(matches!(done, ChunkLoad::Void { reason: VoidReason::Outdated, generation: 1, .. }), "{done:?}");
    // extracted anew, it is the newest
    let marker = world.commit_at(&part, "2025-07-31_2025-08-02", &rows, at(11)).await;
    assert_eq!(marker.generation, 2);
    world.load_all(&part, &[marker]).await;
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE note = 'part'").await, 14);
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE day = '2025-08-01'").await, 7);
}

#[tokio::test]
async fn a_range_column_must_be_able_to_hold_ranges() {
    let world = world().await;
    let none = ask("r1", ReplaceRange).range_column(None).manifest();
    let text = ask("r1", ReplaceRange).range_column(Some("note")).manifest();
    for run in [none, text] {
        let refused = world.loader.preflight(&run).await.and_then(PreflightReport::into_result);
        assert!(matches!(refused, Err(LoadError::Target { .. })), "{refused:?}");
    }
}
