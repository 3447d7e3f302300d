//! What the load will meet is told before anything is extracted.

use nstore::load::PreflightReport;
use nstore_shared::{
    chunk::UploadMode::{Append, Replace},
    contract::ColumnType,
};
use nstore_tests::context;

use crate::world::{World, ask, column, world};

/// Notes and problems of the default run on a table, as one text.
async fn told(world: &World) -> (String, String) {
    let run = ask("r1", Append).key(&["id"]).manifest();
    let report = world.loader.preflight(&run).await.unwrap();
    let notes = report.notes().join("\n");
    let problems = report.reasons().into_values().collect::<Vec<_>>().join("\n");
    (notes, problems)
}

#[tokio::test]
async fn what_may_happen_to_rows_is_a_note() {
    for (table, words) in [
        ("note varchar(5)", "`note` is character varying(5): longer values are refused"),
        ("note text NOT NULL", "`note` is NOT NULL: a row without a value is refused"),
        ("note text NOT NULL DEFAULT 'x'", "a row without a value takes the default 'x'::text"),
        ("note text CHECK (note <> 'x')", "constraint \"orders_note_check\" refuses rows that break CHECK"),
        ("note text UNIQUE", "(note) is unique: rows with values that are present are refused"),
        ("note text REFERENCES kinds", "FOREIGN KEY (note) REFERENCES kinds(kind)"),
    ] {
        let world = world().await;
        world.run_sql("CREATE TABLE kinds (kind text PRIMARY KEY)").await;
        world.run_sql(&format!("CREATE TABLE orders (id int4 PRIMARY KEY, day date, {table})")).await;
        let (notes, problems) = told(&world).await;
        assert!(notes.contains(words), "{notes}");
        assert!(notes.contains("buyer_orders: table public.orders: column `id` is integer"), "{notes}");
        assert_eq!(problems, "");
    }
}

#[tokio::test]
async fn triggers_are_told_and_rules_are_refused() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text);
             CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER clean BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
        )
        .await;
    let (notes, problems) = told(&world).await;
    assert!(notes.contains("trigger \"clean\" runs at each INSERT"), "{notes}");
    assert_eq!(problems, "");
    world.run_sql("CREATE RULE aside AS ON INSERT TO orders DO INSTEAD NOTHING").await;
    let (_, problems) = told(&world).await;
    assert!(problems.contains("rule \"aside\" ON INSERT"), "{problems}");
}

#[tokio::test]
async fn what_must_fail_is_refused() {
    for (table, words) in [
        ("note text, must text NOT NULL", "column `must` is NOT NULL without a default"),
        ("note text GENERATED ALWAYS AS ('x') STORED", "column `note` is generated"),
        ("note int4", "the mapping says text"),
        ("extra text", "column `note` (text) is missing"),
    ] {
        let world = world().await;
        world.run_sql(&format!("CREATE TABLE orders (id bigint PRIMARY KEY, day date, {table})")).await;
        let (_, problems) = told(&world).await;
        assert!(problems.contains(words), "{table}: {problems}");
    }
    let world = world().await;
    world.run_sql("CREATE TABLE orders (id bigint PRIMARY KEY, day date, amount bigint)").await;
    let amount = column("amount", ColumnType::Numeric { precision: 10, scale: 2 }, false);
    let columns = vec![column("id", ColumnType::Bigint, true), column("day", ColumnType::Date, true), amount];
    let run = ask("r1", Append).key(&["id"]).columns(columns).manifest();
    let reasons = world.loader.preflight(&run).await.unwrap().reasons();
    assert!(
        reasons.values().any(|reason| reason.contains("digits after the point are refused")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn row_level_security_is_refused_where_it_holds_for_the_role() {
    let postgres = context::postgres().await;
    let world = World::at(&postgres.url).await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text);
             ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        )
        .await;
    assert_eq!(told(&world).await.1, "", "it does not hold for the owner");
    world.run_sql("ALTER TABLE orders FORCE ROW LEVEL SECURITY").await;
    let (_, problems) = told(&world).await;
    assert!(problems.contains("row level security") && problems.contains("BYPASSRLS"), "{problems}");
}

#[tokio::test]
async fn days_without_a_partition_are_refused() {
    for (kind, mapped) in [("date", ColumnType::Date), ("timestamptz", ColumnType::Timestamptz)] {
        let world = world().await;
        world
            .run_sql(&format!(
                "SET timezone = 'Asia/Kolkata';
                 CREATE TABLE orders (id bigint, day {kind}, note text) PARTITION BY RANGE (day);
                 CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2025-08-01') TO ('2025-08-03')"
            ))
            .await;
        let columns = || {
            vec![
                column("id", ColumnType::Bigint, true),
                column("day", mapped, true),
                column("note", ColumnType::Text, false),
            ]
        };
        let reasons = async |days| {
            let run = ask("r1", Append).columns(columns()).days("2025-08-01", days).manifest();
            let reasons = world.loader.preflight(&run).await.unwrap().reasons();
            reasons.into_values().collect::<Vec<_>>().join("\n")
        };
        assert_eq!(reasons(2).await, "", "{kind}");
        let told = reasons(5).await;
        assert!(told.contains("no partition for 2025-08-03 to 2025-08-05"), "{kind}: {told}");
        world.run_sql("CREATE TABLE orders_rest PARTITION OF orders DEFAULT").await;
        assert_eq!(reasons(5).await, "", "{kind}");
    }
    let world = world().await;
    world.run_sql("CREATE TABLE orders (id bigint, day date, note text) PARTITION BY LIST (note)").await;
    let run = ask("r1", Replace).manifest();
    let notes = world.loader.preflight(&run).await.unwrap().notes().join("\n");
    assert!(notes.contains("partitioned by LIST (note) without a default partition"), "{notes}");
}

#[tokio::test]
async fn one_source_that_cannot_be_loaded_is_told_beside_those_that_can() {
    let world = world().await;
    world.run_sql("CREATE TABLE orders (id bigint PRIMARY KEY)").await;
    let mut run = ask("r1", Append).key(&["id"]).manifest();
    let other = ask("r1", Append).table("other").manifest().sources.remove(0);
    run.sources
        .push(nstore_shared::storage::manifest::SourcePlan { source: "other".parse().unwrap(), ..other });
    let report = world.loader.preflight(&run).await.unwrap();
    assert_eq!(report.ready.len(), 1);
    assert_eq!(report.ready[0].source.as_str(), "other");
    assert_eq!(report.refused[0].source.as_str(), "buyer_orders");
    let fingerprint = run.fingerprint();
    run.refuse(&report.reasons());
    assert_eq!((run.sources.len(), run.refused.len()), (1, 1));
    assert_eq!(run.fingerprint(), fingerprint, "the same was asked for");
    assert!(report.into_result().is_err());
}

#[tokio::test]
async fn a_look_before_the_first_load_changes_nothing() {
    let postgres = context::postgres().await;
    let url = &postgres.url;
    let db = nstore::db::Db::look(url, "public").unwrap();
    let folder = context::storage();
    let storage = nstore_shared::storage::Storage::open(&folder.url).unwrap();
    let loader = nstore::load::Loader::new(db, storage);
    let run = ask("r1", Replace).manifest();
    let ready = loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    assert!(ready[0].notes.iter().any(|note| note.contains("made from the mapping")), "{ready:?}");
    let tables =
        "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text IN ('nstore', 'public')";
    assert_eq!(postgres.client().await.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
}
