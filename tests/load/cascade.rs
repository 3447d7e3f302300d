//! Modes that delete rows change nothing in other tables.

use nstore::load::{ChunkLoad, LoadError, PreflightReport};
use nstore_shared::{
    chunk::UploadMode::{self, Append, Replace, ReplaceRange},
    storage::manifest::Manifest,
};

use crate::world::{World, ask, world};

/// Rows of the target from an earlier run, and what other tables hold that depends on them.
const TABLE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, day date NOT NULL, note text);
     INSERT INTO orders VALUES (1, '2025-08-01', 'old'), (2, '2025-08-02', 'old');";

/// What makes a DELETE on the target change something else, the words of the refusal, and the rows that must stay.
const OTHERS: [(&str, &str, &str); 7] = [
    (
        "CREATE TABLE notes (item bigint DEFAULT 7 REFERENCES orders ON DELETE CASCADE);
         INSERT INTO notes VALUES (1), (2)",
        "foreign key \"notes_item_fkey\" of table notes (ON DELETE CASCADE)",
        "SELECT count(*) FROM notes WHERE item IN (1, 2)",
    ),
    (
        "CREATE TABLE notes (item bigint REFERENCES orders ON DELETE SET NULL); INSERT INTO notes VALUES (1), (2)",
        "(ON DELETE SET NULL)",
        "SELECT count(*) FROM notes WHERE item IN (1, 2)",
    ),
    (
        "CREATE TABLE notes (item bigint DEFAULT NULL REFERENCES orders ON DELETE SET DEFAULT);
         INSERT INTO notes VALUES (1), (2)",
        "(ON DELETE SET DEFAULT)",
        "SELECT count(*) FROM notes WHERE item IN (1, 2)",
    ),
    (
        "CREATE TABLE old_orders () INHERITS (orders);
         INSERT INTO old_orders VALUES (3, '2025-08-01', 'x'), (4, '2025-08-02', 'x')",
        "inheritance child old_orders",
        "SELECT count(*) FROM old_orders",
    ),
    (
        "CREATE TABLE log (id bigint); INSERT INTO log VALUES (1), (2);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN OLD; END';
         CREATE TRIGGER gone BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger \"gone\" ON DELETE of table orders",
        "SELECT count(*) FROM log",
    ),
    (
        "CREATE TABLE log (id bigint); INSERT INTO log VALUES (1), (2);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN NULL; END';
         CREATE TRIGGER gone AFTER INSERT OR DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION f()",
        "trigger \"gone\" ON DELETE",
        "SELECT count(*) FROM log",
    ),
    (
        "CREATE TABLE log (id bigint); INSERT INTO log VALUES (1), (2);
         CREATE RULE gone AS ON DELETE TO orders DO ALSO DELETE FROM log",
        "rule \"gone\" ON DELETE",
        "SELECT count(*) FROM log",
    ),
];

/// A run that deletes by this mode, and its chunks.
fn deleting(mode: UploadMode) -> Manifest {
    match mode {
        Append => ask("r1", Append).reload().manifest(),
        other => ask("r1", other).manifest(),
    }
}

async fn refusal(world: &World, run: &Manifest) -> LoadError {
    world.loader.preflight(run).await.and_then(PreflightReport::into_result).unwrap_err()
}

/// Loads all chunks of a run; the first error, if there is one.
async fn load(world: &World, run: &Manifest) -> Result<(), LoadError> {
    let markers = world.commit_all(run, 2).await;
    if run.sources[0].upload_mode == Replace {
        return world.replace(run, &markers).await.map(drop);
    }
    for marker in &markers {
        assert!(matches!(world.load(run, marker).await?, ChunkLoad::Loaded(_)));
    }
    Ok(())
}

#[tokio::test]
async fn what_would_change_other_tables_is_refused_before_extraction_and_in_the_load() {
    for (statements, words, kept) in OTHERS {
        for mode in [Replace, ReplaceRange, Append] {
            let world = world().await;
            world.run_sql(TABLE).await;
            let run = deleting(mode);
            // found while the table is registered without it: it is added meanwhile
            world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
            world.loader.register(&run).await.unwrap();
            world.run_sql(statements).await;

            let error = refusal(&world, &run).await;
            let LoadError::Cascade { ref others, .. } = error else { panic!("{error}") };
            assert!(others.iter().any(|other| other.contains(words)), "{mode}: {error}");
            assert!(error.hint().unwrap().contains("allow_cascade: true"));

            let error = load(&world, &run).await.unwrap_err();
            assert!(matches!(error, LoadError::Cascade { .. }) && !error.may_pass(), "{mode}: {error}");
            assert_eq!(world.number(kept).await, 2, "{mode}: {words}");
            assert_eq!(world.number("SELECT count(*) FROM ONLY orders WHERE note = 'old'").await, 2);
        }
    }
}

#[tokio::test]
async fn a_source_that_allows_it_is_loaded() {
    for (statements, _, _) in OTHERS {
        let world = world().await;
        world.run_sql(TABLE).await;
        world.run_sql(statements).await;
        let run = ask("r1", Replace).allow_cascade().manifest();
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
        world.loader.register(&run).await.unwrap();
        load(&world, &run).await.unwrap();
        assert_eq!(world.number("SELECT count(*) FROM ONLY orders WHERE note = 'x'").await, 6);
    }
}

#[tokio::test]
async fn an_append_deletes_nothing_and_is_not_refused() {
    for (statements, _, kept) in OTHERS {
        if statements.contains("INSERT OR DELETE") {
            continue;
        }
        let world = world().await;
        world.run_sql(TABLE).await;
        world.run_sql(statements).await;
        let run = ask("r1", Append).key(&["id"]).manifest();
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
        world.loader.register(&run).await.unwrap();
        load(&world, &run).await.unwrap();
        assert_eq!(world.number(kept).await, 2);
    }
}

#[tokio::test]
async fn a_foreign_key_on_the_table_itself_is_refused_where_a_part_is_deleted() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text,
                 parent bigint REFERENCES orders ON DELETE CASCADE);
             INSERT INTO orders VALUES (1, '2025-08-01', 'old', NULL), (2, '2025-09-09', 'child', 1)",
        )
        .await;
    let error = refusal(&world, &deleting(ReplaceRange)).await;
    assert!(matches!(error, LoadError::Cascade { .. }), "{error}");
    world.loader.preflight(&deleting(Replace)).await.and_then(PreflightReport::into_result).unwrap();
}

#[tokio::test]
async fn partitions_and_disabled_triggers_are_no_other_tables() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint, day date, note text) PARTITION BY RANGE (day);
             CREATE TABLE orders_all PARTITION OF orders DEFAULT;
             INSERT INTO orders VALUES (1, '2025-08-01', 'old');
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER gone BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION f();",
        )
        .await;
    let run = deleting(Replace);
    assert!(matches!(refusal(&world, &run).await, LoadError::Cascade { .. }));
    world.run_sql("DROP TRIGGER gone ON orders").await;
    world.run_sql("CREATE TRIGGER gone BEFORE DELETE ON orders_all FOR EACH ROW EXECUTE FUNCTION f()").await;
    let error = refusal(&world, &run).await.to_string();
    assert!(error.contains("trigger \"gone\" ON DELETE of table orders_all"), "{error}");
    world.run_sql("ALTER TABLE orders_all DISABLE TRIGGER gone").await;
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&run).await.unwrap();
    load(&world, &run).await.unwrap();
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn rows_that_another_table_keeps_are_told_before_and_named_in_the_error() {
    let world = world().await;
    world.run_sql(TABLE).await;
    world.run_sql("CREATE TABLE notes (item bigint REFERENCES orders); INSERT INTO notes VALUES (1)").await;
    let run = deleting(Replace);
    let ready = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    let told = ready[0].notes.iter().any(|note| note.contains("notes_item_fkey") && note.contains("notes"));
    assert!(told, "{ready:?}");
    world.loader.register(&run).await.unwrap();
    let error = load(&world, &run).await.unwrap_err().to_string();
    assert!(error.contains("cannot be deleted") && error.contains("notes"), "{error}");
    assert_eq!(world.number("SELECT count(*) FROM orders WHERE note = 'old'").await, 2);
}
