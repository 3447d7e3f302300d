//! Rows under one key: equal, changed since an earlier run, or a key that is not unique.

use nstore::load::{ChunkLoad, LoadCounts, LoadError, ReplaceLoad};
use nstore_shared::{
    chunk::UploadMode::{Append, Replace, ReplaceRange},
    contract::ColumnType,
};

use crate::world::{ask, column, loaded, world};

fn rows(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

fn refused(load: ChunkLoad) -> String {
    match load {
        ChunkLoad::Refused { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rows_that_changed_since_an_earlier_run_are_counted_and_stay() {
    let world = world().await;
    let first = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&first).await.unwrap();
    let range = "2025-08-01_2025-08-02";
    let marker =
        world.commit(&first, range, &rows(&["1,2025-08-01,a", "2,2025-08-01,b", "3,2025-08-01,"])).await;
    world.load_all(&first, &[marker]).await;

    let second = ask("r2", Append).key(&["id"]).manifest();
    world.loader.register(&second).await.unwrap();
    let new = ["1,2025-08-01,a", "2,2025-08-01,B", "3,2025-08-01,c", "4,2025-08-01,d"];
    let marker = world.commit(&second, range, &rows(&new)).await;
    let done = world.load(&second, &marker).await.unwrap();
    let counts = LoadCounts { rows: 1, skipped: 1, changed: 2, ..LoadCounts::default() };
    assert_eq!(done, ChunkLoad::Loaded(counts));
    let stored = world.text("SELECT coalesce(note, '-') FROM orders ORDER BY id").await;
    assert_eq!(stored, ["a", "b", "-", "d"].map(|note| Some(note.to_owned())));
    let ledger = world.loader.ledger(&second.run).await.unwrap();
    assert_eq!((ledger[0].rows, ledger[0].skipped, ledger[0].changed), (1, 1, 2));
}

#[tokio::test]
async fn other_values_under_one_key_within_a_chunk_fail_with_both_rows() {
    for mode in [Append, ReplaceRange] {
        let world = world().await;
        let run = ask("r1", mode).key(&["id"]).manifest();
        world.loader.register(&run).await.unwrap();
        let marker = world
            .commit(
                &run,
                "2025-08-01_2025-08-02",
                &rows(&["1,2025-08-01,a", "2,2025-08-01,b", "1,2025-08-01,"]),
            )
            .await;
        let error = refused(world.load(&run, &marker).await.unwrap());
        for word in ["not unique", "id = 1", "`1,2025-08-01,a`", "`1,2025-08-01,`"] {
            assert!(error.contains(word), "{mode}: {error}");
        }
        assert_eq!(world.rows().await, 0);
        assert_eq!(world.loader.failures(&run.run).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn other_values_under_one_key_in_two_chunks_of_a_run_fail() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let one = world.commit(&run, "2025-08-01_2025-08-02", &rows(&["1,2025-08-01,a", "2,2025-08-01,b"])).await;
    // the second chunk goes in by way of staging, in subtransactions of its own
    let two = world
        .commit(&run, "2025-08-02_2025-08-03", &rows(&["2,2025-08-01,b", "3,2025-08-02,c", "4,2025-08-02,d"]))
        .await;
    let three = world.commit(&run, "2025-08-03_2025-08-04", &rows(&["3,2025-08-03,other"])).await;
    assert_eq!(world.load(&run, &one).await.unwrap(), loaded(2, 0));
    assert_eq!(world.load(&run, &two).await.unwrap(), loaded(2, 1), "equal values are one row");
    let error = refused(world.load(&run, &three).await.unwrap());
    for word in
        ["not unique", "another chunk of this run", "id = 3", "(3,2025-08-02,c)", "`3,2025-08-03,other`"]
    {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(world.rows().await, 4);

    // a row that somebody corrected by hand is not of this run any more
    world.run_sql("UPDATE orders SET note = 'corrected' WHERE id = 3").await;
    let done = world.load(&run, &three).await.unwrap();
    assert!(matches!(done, ChunkLoad::Loaded(LoadCounts { changed: 1, rows: 0, .. })), "{done:?}");
}

#[tokio::test]
async fn values_are_compared_by_the_types_of_the_table() {
    let world = world().await;
    let columns = || {
        vec![
            column("id", ColumnType::Bigint, true),
            column("day", ColumnType::Date, true),
            column("body", ColumnType::Jsonb, false),
            column("amount", ColumnType::Numeric { precision: 12, scale: 2 }, false),
            column("seen", ColumnType::Timestamptz, false),
            column("ratio", ColumnType::Double, false),
        ]
    };
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date, body json, amount numeric(12, 2),
                 seen timestamptz, ratio float8)",
        )
        .await;
    let range = "2025-08-01_2025-08-02";
    let first = ask("r1", Append).key(&["id"]).columns(columns()).manifest();
    world.loader.register(&first).await.unwrap();
    let row = |body: &str, amount: &str, seen: &str| format!("1,2025-08-01,{body},{amount},{seen},NaN");
    let body = "\"{\"\"a\"\": 1, \"\"b\"\": 2}\"";
    let marker = world.commit(&first, range, &[row(body, "1.50", "2025-08-01T10:00:00Z")]).await;
    world.load_all(&first, &[marker]).await;
    world.run_sql("ALTER TABLE orders ALTER body TYPE jsonb").await;
    for (run, body, amount, seen, changed) in [
        ("r2", "\"{\"\"b\"\": 2, \"\"a\"\": 1.0}\"", "1.5", "2025-08-01T15:30:00+05:30", 0),
        ("r3", "\"{\"\"b\"\": 2}\"", "1.5", "2025-08-01T10:00:00Z", 1),
        ("r4", body, "1.51", "2025-08-01T10:00:00Z", 1),
        ("r5", body, "1.5", "2025-08-01T10:00:01Z", 1),
    ] {
        let again = ask(run, Append).key(&["id"]).columns(columns()).manifest();
        world.loader.register(&again).await.unwrap();
        let marker = world.commit(&again, range, &[row(body, amount, seen)]).await;
        let done = world.load(&again, &marker).await.unwrap();
        let counts = LoadCounts { skipped: 1 - changed, changed, ..LoadCounts::default() };
        assert_eq!(done, ChunkLoad::Loaded(counts), "{run}");
    }
}

#[tokio::test]
async fn a_replace_with_one_key_twice_is_refused_with_the_rows_and_the_table_stays() {
    let world = world().await;
    let old = ask("r0", Replace).key(&["id"]).manifest();
    world.loader.register(&old).await.unwrap();
    let markers = world.commit_all(&old, 2).await;
    world.replace(&old, &markers).await.unwrap();

    let run = ask("r1", Replace).key(&["id"]).days("2025-08-01", 3).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    let one = world.commit(&run, "2025-08-01_2025-08-02", &rows(&["1,2025-08-01,a"])).await;
    let two = world.commit(&run, "2025-08-02_2025-08-03", &rows(&["2,2025-08-02,b", "1,2025-08-02,c"])).await;
    let three = world.commit(&run, "2025-08-03_2025-08-04", &[]).await;
    let done = world.replace(&run, &[one, two, three]).await.unwrap();
    let ReplaceLoad::Refused { error, range, .. } = done else { panic!("{done:?}") };
    assert!(
        error.contains("not unique") && error.contains("id = 1") && error.contains("another chunk"),
        "{error}"
    );
    assert_eq!(range.to_string(), "2025-08-02_2025-08-03");
    assert_eq!(world.rows().await, 6, "the old rows stay");

    // equal rows of two chunks are one row
    let run = ask("r2", Replace).key(&["id"]).days("2025-08-01", 3).created_at(2).manifest();
    world.loader.register(&run).await.unwrap();
    let one = world.commit(&run, "2025-08-01_2025-08-02", &rows(&["1,2025-08-01,a"])).await;
    let two = world.commit(&run, "2025-08-02_2025-08-03", &rows(&["2,2025-08-02,b", "1,2025-08-01,a"])).await;
    let three = world.commit(&run, "2025-08-03_2025-08-04", &rows(&["3,2025-08-03,c"])).await;
    let done = world.replace(&run, &[one, two, three]).await.unwrap();
    assert_eq!(done, ReplaceLoad::Loaded(LoadCounts { rows: 3, skipped: 1, ..LoadCounts::default() }));
    assert_eq!(world.rows().await, 3);
}

#[tokio::test]
async fn a_key_that_the_table_holds_outside_the_range_is_told() {
    let world = world().await;
    let first = ask("r1", ReplaceRange).key(&["id"]).manifest();
    world.loader.register(&first).await.unwrap();
    let marker = world.commit(&first, "2025-08-03_2025-08-04", &rows(&["1,2025-08-03,a"])).await;
    world.load_all(&first, &[marker]).await;
    let second = ask("r2", ReplaceRange).key(&["id"]).created_at(1).manifest();
    world.loader.register(&second).await.unwrap();
    let marker = world.commit(&second, "2025-08-01_2025-08-02", &rows(&["1,2025-08-01,b"])).await;
    let error = refused(world.load(&second, &marker).await.unwrap());
    assert!(error.contains("outside the chunk's range") && error.contains("id = 1"), "{error}");
    assert_eq!(world.rows().await, 1);
}

#[tokio::test]
async fn a_refused_load_is_not_tried_again_before_it_is_asked_for() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 1).await;
    let chunks: Vec<_> = markers.iter().map(|marker| marker.chunk.clone()).collect();
    world.loader.record_refusal(&run.sources[0], &chunks, "the table is wrong").await.unwrap();
    let failures = world.loader.failures(&run.run).await.unwrap();
    assert_eq!(failures.len(), 3);
    assert!(failures.iter().all(|failure| failure.error == "the table is wrong"));
    world.loader.clear_failures(&run.run).await.unwrap();
    assert!(world.loader.failures(&run.run).await.unwrap().is_empty());
    let unknown = ask("r2", Append).table("other").manifest();
    let error = world.load(&unknown, &world.commit_all(&unknown, 1).await[0]).await.unwrap_err();
    assert!(matches!(error, LoadError::Unregistered { .. }), "{error}");
}
