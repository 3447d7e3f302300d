//! One row that the table refuses is a rejected row, not the end of its chunk; an absent value takes the default.

use nstore::load::{ChunkLoad, LoadCounts, PreflightReport, ReplaceLoad};
use nstore_shared::{
    chunk::UploadMode::{Append, Replace, ReplaceRange},
    contract::{ColumnType, RejectLimit},
};

use crate::world::{World, ask, column, world};

const RANGE: &str = "2025-08-01_2025-08-02";

fn counts(load: ChunkLoad) -> LoadCounts {
    match load {
        ChunkLoad::Loaded(counts) => counts,
        other => panic!("{other:?}"),
    }
}

/// Rows of the first day with ids from 1, of which some have another note.
fn rows(n: u32, note: &str, odd: &[(u32, &str)]) -> Vec<String> {
    let of = |id| odd.iter().find(|(at, _)| *at == id).map_or(note, |(_, note)| *note);
    (1..=n).map(|id| format!("{id},2025-08-01,{}", of(id))).collect()
}

async fn rejects(world: &World) -> Vec<(String, String)> {
    let rows = world.sql.query("SELECT reason, record FROM nstore.rejects ORDER BY line", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What a table refuses: its definition, a good note, the offending one, and the server's words for it.
const REFUSALS: [(&str, &str, &str, &str); 6] = [
    ("note varchar(5)", "k", "too long for it", "too long"),
    ("note text CHECK (note <> 'bad')", "k", "bad", "check constraint"),
    ("note text NOT NULL", "k", "", "not-null constraint"),
    ("note text, EXCLUDE (note WITH =) WHERE (note = 'once')", "k", "once", "exclusion constraint"),
    ("note text REFERENCES kinds", "k", "unknown", "foreign key"),
    ("note text REFERENCES kinds DEFERRABLE INITIALLY DEFERRED", "k", "unknown", "foreign key"),
];

async fn table(note: &str) -> World {
    let world = world().await;
    world
        .run_sql(&format!(
            "CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds VALUES ('k'), ('once');
             CREATE TABLE orders (id bigint PRIMARY KEY, day date, {note});"
        ))
        .await;
    if note.contains("EXCLUDE") {
        world.run_sql("INSERT INTO orders VALUES (1000, '2020-01-01', 'once')").await;
    }
    world
}

#[tokio::test]
async fn rows_that_the_table_refuses_are_rejected_within_the_limit_and_the_rest_is_loaded() {
    for (note, good, bad, words) in REFUSALS {
        for key in [&["id"][..], &[]] {
            let world = table(note).await;
            let run = ask("r1", Append).key(key).rejects(RejectLimit::Rows(3)).manifest();
            world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
            world.loader.register(&run).await.unwrap();
            let marker =
                world.commit(&run, RANGE, &rows(100, good, &[(1, bad), (50, bad), (100, bad)])).await;
            let counts = counts(world.load(&run, &marker).await.unwrap());
            assert_eq!((counts.rows, counts.rejected, counts.skipped), (97, 3, 0), "{note}");
            assert!(counts.notes[0].contains(words), "{counts:?}");
            let rejects = rejects(&world).await;
            let records: Vec<&str> = rejects.iter().map(|(_, record)| record.as_str()).collect();
            assert_eq!(records, [1, 50, 100].map(|id| format!("{id},2025-08-01,{bad}")), "{note}");
            assert!(rejects.iter().all(|(reason, _)| reason.contains(words)), "{rejects:?}");
            let ledger = world.loader.ledger(&run.run).await.unwrap();
            assert_eq!((ledger[0].rows, ledger[0].rejected), (97, 3));
            assert_eq!(world.number("SELECT count(*) FROM orders WHERE id < 1000").await, 97);
        }
    }
}

#[tokio::test]
async fn more_refused_rows_than_allowed_fail_the_chunk_with_the_first_row() {
    for (note, good, bad, words) in REFUSALS {
        for (limit, odd) in [(0, &[(7, bad)][..]), (1, &[(7, bad), (8, bad)][..])] {
            let world = table(note).await;
            let run = ask("r1", Append).key(&["id"]).rejects(RejectLimit::Rows(limit)).manifest();
            world.loader.register(&run).await.unwrap();
            let marker = world.commit(&run, RANGE, &rows(20, good, odd)).await;
            let done = world.load(&run, &marker).await.unwrap();
            let ChunkLoad::Refused { error, row } = done else { panic!("{note}: {done:?}") };
            assert!(error.contains(words), "{note}: {error}");
            assert!(
                error.contains(&format!("allows {limit} rejected rows")) && error.contains("rejects.allow")
            );
            assert_eq!(row.as_deref(), Some(format!("7,2025-08-01,{bad}").as_str()), "{note}");
            assert_eq!(world.number("SELECT count(*) FROM orders WHERE id < 1000").await, 0);
            assert!(rejects(&world).await.is_empty());
        }
    }
}

/// A value of the wrong form does not even go into staging.
#[tokio::test]
async fn values_of_another_form_than_the_columns_are_rejected_too() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TYPE kind AS ENUM ('a', 'b'); CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> 'no');
             CREATE TABLE orders (id bigint PRIMARY KEY, day date, kind kind, small int2, short short, at inet)",
        )
        .await;
    let columns = vec![
        column("id", ColumnType::Bigint, true),
        column("day", ColumnType::Date, true),
        column("kind", ColumnType::Text, false),
        column("small", ColumnType::Bigint, false),
        column("short", ColumnType::Text, false),
        column("at", ColumnType::Text, false),
    ];
    let run = ask("r1", Append).key(&["id"]).columns(columns).rejects(RejectLimit::Share(0.5)).manifest();
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&run).await.unwrap();
    let values = [
        "a,1,yes,10.0.0.1",
        "c,1,yes,10.0.0.1",
        "b,40000,yes,10.0.0.1",
        "b,2,long,10.0.0.1",
        "b,3,no,10.0.0.1",
        "b,4,yes,nowhere",
        ",,,",
        "b,5,\"\",10.0.0.2",
        "a,6,abc,::1",
        "a,7,abc,::1",
    ];
    let lines: Vec<String> =
        values.iter().enumerate().map(|(id, values)| format!("{id},2025-08-01,{values}")).collect();
    let marker = world.commit(&run, RANGE, &lines).await;
    let counts = counts(world.load(&run, &marker).await.unwrap());
    assert_eq!((counts.rows, counts.rejected), (5, 5), "{counts:?}");
    let rejected: Vec<String> = rejects(&world).await.into_iter().map(|(_, record)| record).collect();
    let mut expected: Vec<String> = lines[1..6].to_vec();
    expected.sort();
    let mut sorted = rejected.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    assert_eq!(world.text("SELECT id::text FROM orders ORDER BY id").await.len(), 5);
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE short = ''").await, 1);
}

#[tokio::test]
async fn rows_that_the_worker_rejected_count_towards_the_limit() {
    let mut world = table("note varchar(5)").await;
    world.rejected = vec!["{}".into(), "{}".into()];
    let run = ask("r1", Append).key(&["id"]).rejects(RejectLimit::Rows(2)).manifest();
    world.loader.register(&run).await.unwrap();
    let marker = world.commit(&run, RANGE, &rows(20, "k", &[(3, "far too long")])).await;
    assert!(matches!(world.load(&run, &marker).await.unwrap(), ChunkLoad::Refused { .. }));
    let run = ask("r2", Append).key(&["id"]).rejects(RejectLimit::Rows(3)).manifest();
    world.loader.register(&run).await.unwrap();
    let marker = world.commit(&run, RANGE, &rows(20, "k", &[(3, "far too long")])).await;
    assert_eq!(counts(world.load(&run, &marker).await.unwrap()).rejected, 1);
    let records: Vec<String> = rejects(&world).await.into_iter().map(|(_, record)| record).collect();
    assert_eq!(records, ["{}", "{}", "3,2025-08-01,far too long"]);
}

#[tokio::test]
async fn a_whole_table_load_rejects_rows_of_each_chunk() {
    let world = table("note varchar(5)").await;
    let run = ask("r1", Replace).key(&["id"]).rejects(RejectLimit::Rows(1)).days("2025-08-01", 2).manifest();
    world.loader.register(&run).await.unwrap();
    let one = world.commit(&run, RANGE, &rows(10, "k", &[(3, "far too long")])).await;
    let two: Vec<String> =
        (11..=20).map(|id| format!("{id},2025-08-02,k")).chain(["21,2025-08-02,too much".into()]).collect();
    let two = world.commit(&run, "2025-08-02_2025-08-03", &two).await;
    let done = world.replace(&run, &[one, two]).await.unwrap();
    let ReplaceLoad::Loaded(counts) = done else { panic!("{done:?}") };
    assert_eq!((counts.rows, counts.rejected), (19, 2));
    assert_eq!((world.rows().await, rejects(&world).await.len()), (19, 2));
}

#[tokio::test]
async fn an_absent_value_takes_the_default_of_a_column_that_refuses_null() {
    let tables = [
        ("qty bigint NOT NULL DEFAULT 7", "7"),
        ("qty bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY (START WITH 500)", "500"),
        ("qty filled", "9"),
        ("qty numeric(5, 1) NOT NULL DEFAULT round(1.26, 1)", "1.3"),
    ];
    for (qty, expected) in tables {
        for mode in [Append, ReplaceRange, Replace] {
            let world = world().await;
            world.run_sql("CREATE DOMAIN filled AS bigint DEFAULT 9 NOT NULL").await;
            world.run_sql(&format!("CREATE TABLE orders (id bigint PRIMARY KEY, day date, {qty})")).await;
            let columns = vec![
                column("id", ColumnType::Bigint, true),
                column("day", ColumnType::Date, true),
                column("qty", ColumnType::Bigint, false),
            ];
            let run = ask("r1", mode).key(&["id"]).columns(columns.clone()).days("2025-08-01", 1).manifest();
            let ready = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
            assert!(ready[0].notes.iter().any(|note| note.contains("takes the default")), "{ready:?}");
            world.loader.register(&run).await.unwrap();
            let lines: Vec<String> = (1..=1000)
                .map(|id| format!("{id},2025-08-01,{}", if id == 500 { "" } else { "3" }))
                .collect();
            let marker = world.commit(&run, RANGE, &lines).await;
            let counts = match mode {
                Replace => match world.replace(&run, &[marker]).await.unwrap() {
                    ReplaceLoad::Loaded(counts) => counts,
                    other => panic!("{other:?}"),
                },
                _ => counts(world.load(&run, &marker).await.unwrap()),
            };
            assert_eq!((counts.rows, counts.defaulted), (1000, 1), "{qty} {mode}");
            assert!(
                counts.notes[0].contains("`qty`") && counts.notes[0].contains("500,2025-08-01,"),
                "{counts:?}"
            );
            let stored = world.text("SELECT qty::text FROM orders WHERE id = 500").await;
            assert_eq!(stored, [Some(expected.to_owned())], "{qty} {mode}");

            if mode == Append {
                // the same rows again are the same rows
                let again = ask("r2", Append).key(&["id"]).columns(columns).days("2025-08-01", 1).manifest();
                world.loader.register(&again).await.unwrap();
                let marker = world.commit(&again, RANGE, &lines).await;
                let counts = self::counts(world.load(&again, &marker).await.unwrap());
                assert_eq!((counts.skipped, counts.changed, counts.rows), (1000, 0, 0), "{qty}");
            }
        }
    }
}
