//! Append with a key: rows once, whatever is repeated and whoever helps.

use nstore::load::{ChunkLoad, LedgerState, LoadCounts, PreflightReport};
use nstore_shared::{
    chunk::UploadMode::Append,
    contract::ColumnType,
    storage::marker::{Outcome, VoidReason},
};

use crate::world::{ask, column, committed, loaded, world};

#[tokio::test]
async fn a_chunk_is_loaded_once() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    let preflight = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    assert!(!preflight[0].exists);
    world.loader.register(&run).await.unwrap();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    assert_eq!(world.load(&run, &markers[0]).await.unwrap(), loaded(10, 0));
    assert_eq!(world.load(&run, &markers[0]).await.unwrap(), ChunkLoad::Already);
    world.load_all(&run, &markers[1..]).await;
    assert_eq!(world.rows().await, 30);
    let ledger = world.loader.ledger(&run.run).await.unwrap();
    assert_eq!(ledger.len(), 3);
    assert!(ledger.iter().all(|row| row.state == LedgerState::Loaded && row.rows == 10));
    assert_eq!(ledger[0].range, markers[0].chunk.range);
}

#[tokio::test]
async fn rows_that_are_there_already_are_skipped_and_counted() {
    let world = world().await;
    let first = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&first).await.unwrap();
    let markers = world.commit_all(&first, 10).await;
    world.load_all(&first, &markers).await;

    // the same command again is another run over the same days, with some rows more
    let again = ask("r2", Append).key(&["id"]).manifest();
    world.loader.preflight(&again).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&again).await.unwrap();
    let markers = world.commit_all(&again, 12).await;
    for marker in &markers {
        let done = world.load(&again, marker).await.unwrap();
        assert_eq!(done, loaded(2, 10));
    }
    assert_eq!(world.rows().await, 36);
    let ledger = world.loader.ledger(&again.run).await.unwrap();
    assert!(ledger.iter().all(|row| row.rows == 2 && row.skipped == 10));
}

#[tokio::test]
async fn a_row_twice_in_one_chunk_is_loaded_once() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let rows: Vec<String> = ["1,2025-08-01,a", "2,2025-08-01,b", "1,2025-08-01,a"].map(String::from).into();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &rows).await;
    let done = world.load(&run, &marker).await.unwrap();
    assert_eq!(done, loaded(2, 1));
}

#[tokio::test]
async fn two_loaders_on_the_same_chunks_load_each_once() {
    let world = world().await;
    let other = world.another_loader().await;
    let run = ask("r1", Append).key(&["id"]).days("2025-08-01", 12).manifest();
    let (a, b) = tokio::join!(world.loader.register(&run), other.register(&run));
    a.and(b).unwrap();
    let markers = world.commit_all(&run, 200).await;
    let plan = &run.sources[0];
    let (mut loaded, mut rows) = (0, 0);
    for marker in &markers {
        let both = tokio::join!(
            world.loader.load_chunk(&run, plan, marker),
            other.load_chunk(&run, plan, marker),
            world.loader.load_chunk(&run, plan, marker),
        );
        for done in [both.0, both.1, both.2] {
            match done.unwrap() {
                ChunkLoad::Loaded(LoadCounts { rows: n, skipped: 0, .. }) => {
                    (loaded, rows) = (loaded + 1, rows + n);
                }
                ChunkLoad::Already | ChunkLoad::Busy => {}
                odd => panic!("{odd:?}"),
            }
        }
    }
    assert_eq!((loaded, rows, world.rows().await), (12, 2400, 2400));
}

#[tokio::test]
async fn a_damaged_artifact_is_voided_and_nothing_of_it_is_loaded() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 1000).await;

    // one flipped bit that leaves the CSV well formed: `x` becomes `y`
    let path = world.artifact(&markers[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    // one flipped bit that the server refuses: `2` of an id becomes a letter
    let path = world.artifact(&markers[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12] ^= 0x40;
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_file(world.artifact(&markers[2])).unwrap();

    for (marker, word) in markers.iter().zip(["sha256", "sha256", "missing"]) {
        match world.load(&run, marker).await.unwrap() {
            ChunkLoad::Void { generation: 1, reason: VoidReason::Damaged, detail } => {
                assert!(detail.contains(word), "{detail}");
            }
            odd => panic!("{odd:?}"),
        }
        assert_eq!(world.storage.standing_of(&marker.chunk).await.unwrap(), None);
        assert_eq!(world.storage.voids(&marker.chunk).await.unwrap().len(), 1);
    }
    assert_eq!(world.rows().await, 0);
    assert!(world.loader.ledger(&run.run).await.unwrap().is_empty());
    assert!(world.loader.failures(&run.run).await.unwrap().is_empty());

    // extracted again, it goes in
    let again = world.commit_all(&run, 1000).await;
    assert_eq!(again[0].generation, 2);
    world.load_all(&run, &again).await;
    assert_eq!(world.rows().await, 3000);
}

#[tokio::test]
async fn a_marker_that_counts_otherwise_than_the_file_is_voided() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let mut marker =
        world.commit(&run, "2025-08-01_2025-08-02", &["1,2025-08-01,\"two\nlines\"".into()]).await;
    let mut wrong = committed(&marker).clone();
    wrong.rows = 2;
    marker.outcome = Outcome::Committed(Box::new(wrong));
    let done = world.load(&run, &marker).await.unwrap();
    assert!(matches!(&done, ChunkLoad::Void { detail, .. } if detail.contains("holds 1 rows")), "{done:?}");
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn what_the_table_refuses_is_kept_with_its_line_and_harms_no_other_chunk() {
    let world = world().await;
    world
        .run_sql("CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text CHECK (note <> 'bad'))")
        .await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    assert!(world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap()[0].exists);
    world.loader.register(&run).await.unwrap();
    let rows: Vec<String> =
        ["1,2025-08-01,\"over\nlines\"", "2,2025-08-01,bad", "3,2025-08-01,x"].map(String::from).into();
    let bad = world.commit(&run, "2025-08-01_2025-08-02", &rows).await;
    let wrong_type = world.commit(&run, "2025-08-02_2025-08-03", &["one,2025-08-02,x".into()]).await;
    let good = world.commit(&run, "2025-08-03_2025-08-04", &["4,2025-08-03,x".into()]).await;

    let ChunkLoad::Refused { error, row } = world.load(&run, &bad).await.unwrap() else { panic!() };
    assert!(error.contains("check constraint"), "{error}");
    assert_eq!(row.as_deref(), Some("2,2025-08-01,bad"));
    let ChunkLoad::Refused { row, .. } = world.load(&run, &wrong_type).await.unwrap() else { panic!() };
    assert_eq!(row.as_deref(), Some("one,2025-08-02,x"));
    world.load_all(&run, &[good]).await;
    assert_eq!(world.rows().await, 1);
    let failures = world.loader.failures(&run.run).await.unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0].range, bad.chunk.range);

    // the table is mended, the chunk is tried again: its failure is gone
    world.run_sql("ALTER TABLE orders DROP CONSTRAINT orders_note_check").await;
    world.load_all(&run, &[bad]).await;
    assert_eq!(world.loader.failures(&run.run).await.unwrap().len(), 1);
    world.loader.clear_failures(&run.run).await.unwrap();
    assert!(world.loader.failures(&run.run).await.unwrap().is_empty());
    assert_eq!(world.rows().await, 4);
}

#[tokio::test]
async fn a_row_that_a_trigger_swallows_is_no_load() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text);
             CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT ON orders FOR EACH ROW WHEN (new.id = 2) EXECUTE FUNCTION swallow()",
        )
        .await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let rows: Vec<String> = ["1,2025-08-01,x", "2,2025-08-01,x"].map(String::from).into();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &rows).await;
    let ChunkLoad::Refused { error, .. } = world.load(&run, &marker).await.unwrap() else { panic!() };
    assert!(error.contains("took 1 of 2 rows"), "{error}");
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn awkward_values_arrive_as_they_are() {
    let world = world().await;
    let columns = vec![
        column("note", ColumnType::Text, false),
        column("id", ColumnType::Bigint, true),
        column("body", ColumnType::Jsonb, false),
        column("seen", ColumnType::Timestamptz, false),
        column("day", ColumnType::Date, false),
    ];
    let run = ask("r1", Append).key(&["id"]).columns(columns).manifest();
    world.loader.register(&run).await.unwrap();
    let notes = [
        ("", None),
        ("\"\"", Some("")),
        ("\"a,b\"", Some("a,b")),
        ("\"say \"\"hi\"\"\"", Some("say \"hi\"")),
        ("\"two\nlines\"", Some("two\nlines")),
        ("\"\n\\.\n\"", Some("\n\\.\n")),
        ("\"\\.\"", Some("\\.")),
        ("\\N", Some("\\N")),
        ("NULL", Some("NULL")),
        ("\"c\rr\"", Some("c\rr")),
        ("नमस्ते 🛒 مرحبا", Some("नमस्ते 🛒 مرحبا")),
    ];
    let rows: Vec<String> = notes
        .iter()
        .enumerate()
        .map(|(id, (csv, _))| format!("{csv},{id},\"{{\"\"k\"\": 1}}\",2025-08-01T00:00:00.5Z,"))
        .collect();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &rows).await;
    let done = world.load(&run, &marker).await.unwrap();
    assert_eq!(done, loaded(notes.len() as u64, 0));
    let stored = world.text("SELECT note FROM orders ORDER BY id").await;
    assert_eq!(stored, notes.map(|(_, value)| value.map(str::to_owned)));
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE day IS NULL AND body->>'k' = '1'").await, 11);
    let odd = "SELECT count(*) FROM orders WHERE seen <> '2025-08-01 05:30:00.5+05:30'";
    assert_eq!(world.number(odd).await, 0);
}

#[tokio::test]
async fn names_with_quotes_and_capitals_are_names() {
    let world = world().await;
    let columns = vec![
        column("Order \"Id\"", ColumnType::Bigint, true),
        column("select", ColumnType::Text, false),
        column("ö; DROP TABLE x", ColumnType::Date, false),
    ];
    let run = ask("r1", Append)
        .table("My \"Orders\"; --")
        .key(&["Order \"Id\""])
        .range_column(Some("ö; DROP TABLE x"))
        .columns(columns)
        .manifest();
    for round in 0..2 {
        let preflight = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
        assert_eq!(preflight[0].exists, round == 1);
        world.loader.register(&run).await.unwrap();
    }
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &["1,x,2025-08-01".into()]).await;
    world.load_all(&run, &[marker]).await;
    // once more through staging
    let again = ask("r2", Append)
        .table("My \"Orders\"; --")
        .key(&["Order \"Id\""])
        .columns(run.sources[0].contract.columns.clone())
        .manifest();
    world.loader.register(&again).await.unwrap();
    let marker = world.commit(&again, "2025-08-01_2025-08-02", &["1,x,2025-08-01".into()]).await;
    assert_eq!(world.load(&again, &marker).await.unwrap(), loaded(0, 1));
    assert_eq!(world.number("SELECT count(*) FROM \"My \"\"Orders\"\"; --\"").await, 1);
    assert!(world.loader.forget("My \"Orders\"; --").await.unwrap().known);
}
