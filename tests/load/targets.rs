//! Tables that stand already, that vanish, that do not fit.

use nstore::load::{ChunkLoad, LoadError, PreflightReport};
use nstore_shared::{
    chunk::UploadMode::{Append, ReplaceRange},
    contract::ColumnType,
};

use nstore_tests::context;

use crate::world::{World, ask, column, world};

#[tokio::test]
async fn an_existing_table_may_have_more_columns_in_another_order() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (
                 extra text, note varchar(20), day date, serial bigserial, id bigint NOT NULL UNIQUE,
                 doubled bigint GENERATED ALWAYS AS (id * 2) STORED, seen timestamptz NOT NULL DEFAULT now())",
        )
        .await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    let preflight = world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    assert!(preflight[0].exists);
    assert!(preflight[0].notes.iter().any(|note| note.contains("character varying(20)")), "{preflight:?}");
    world.loader.register(&run).await.unwrap();
    let marker = world.commit(&run, "2025-08-01_2025-08-02", &["7,2025-08-01,x".into()]).await;
    world.load_all(&run, &[marker]).await;
    assert_eq!(
        world.number("SELECT count(*) FROM orders WHERE id = 7 AND doubled = 14 AND note = 'x'").await,
        1
    );
}

#[tokio::test]
async fn all_that_does_not_fit_is_said_at_once() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id boolean, day timestamp, must integer NOT NULL, amount numeric(10,1))",
        )
        .await;
    let columns = vec![
        column("id", ColumnType::Bigint, true),
        column("day", ColumnType::Timestamptz, true),
        column("amount", ColumnType::Numeric { precision: 12, scale: 2 }, false),
        column("note", ColumnType::Text, false),
    ];
    let run = ask("r1", Append).key(&["id"]).columns(columns).manifest();
    let Err(LoadError::Target { table, problems }) =
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert_eq!(table, "public.orders");
    let all = problems.join("\n");
    for word in [
        "column `id` is boolean, the mapping says bigint",
        "column `day` is timestamp without time zone",
        "column `amount` is numeric(10,1)",
        "column `note` (text) is missing",
        "column `must` is NOT NULL without a default",
        "needs a unique constraint",
    ] {
        assert!(all.contains(word), "{word} in\n{all}");
    }
    assert_eq!(problems.len(), 6, "{all}");
    assert_eq!(world.number("SELECT count(*) FROM nstore.targets").await, 0);
}

#[tokio::test]
async fn keys_that_on_conflict_cannot_name_are_no_keys() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id", "day"]).manifest();
    for constraint in ["UNIQUE (id)", "UNIQUE (id, day) DEFERRABLE", "UNIQUE (id, day, note)"] {
        world
            .run_sql(&format!(
                "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id bigint, day date, note text, {constraint})"
            ))
            .await;
        let refused = world.loader.preflight(&run).await.and_then(PreflightReport::into_result);
        assert!(matches!(refused, Err(LoadError::Target { .. })), "{constraint}: {refused:?}");
    }
    world
        .run_sql("DROP TABLE orders; CREATE TABLE orders (id bigint, day date, note text); CREATE UNIQUE INDEX ON orders (day, id) INCLUDE (note)")
        .await;
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
}

#[tokio::test]
async fn a_view_is_no_table() {
    let world = world().await;
    world.run_sql("CREATE VIEW orders AS SELECT 1::bigint AS id, now()::date AS day, ''::text AS note").await;
    let run = ask("r1", Append).manifest();
    let Err(LoadError::Target { problems, .. }) =
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(problems[0].contains("view"), "{problems:?}");
}

#[tokio::test]
async fn a_table_made_anew_stops_loading_until_it_is_forgotten() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    world.load_all(&run, &markers[..1]).await;
    world.run_sql("DROP TABLE orders").await;
    for round in 0..2 {
        let again = ask("r2", Append).key(&["id"]).manifest();
        let refused = [
            world.load(&run, &markers[0]).await.map(drop),
            world.load(&run, &markers[1]).await.map(drop),
            world.loader.register(&run).await,
            world.loader.preflight(&again).await.and_then(PreflightReport::into_result).map(drop),
            world.loader.register(&again).await,
        ];
        for refused in refused {
            let Err(LoadError::Recreated { name, .. }) = &refused else { panic!("{round}: {refused:?}") };
            assert_eq!(name, "orders");
            assert!(refused.unwrap_err().hint().unwrap().contains("nstore forget orders"));
        }
        world.run_sql("CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, day date, note text)").await;
    }
    let gone = world.loader.forget("orders").await.unwrap();
    assert_eq!((gone.known, gone.ledger_rows, gone.days), (true, 1, 0));
    assert!(!world.loader.forget("orders").await.unwrap().known);
    assert!(matches!(world.load(&run, &markers[0]).await, Err(LoadError::Unregistered { .. })));
    world.loader.register(&run).await.unwrap();
    world.load_all(&run, &markers).await;
    assert_eq!(world.rows().await, 30);
}

#[tokio::test]
async fn two_sources_that_would_delete_each_others_rows_are_refused() {
    let world = world().await;
    let mut run = ask("r1", ReplaceRange).manifest();
    let mut other = run.sources[0].clone();
    other.source = "seller_orders".parse().unwrap();
    run.sources.push(other);
    let Err(LoadError::Several(all)) =
        world.loader.preflight(&run).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn a_role_without_rights_beyond_its_own_suffices() {
    let postgres = context::postgres().await;
    let role = context::unique("loader");
    let (_, host) = postgres.url.rsplit_once('@').unwrap();
    let database = host.rsplit_once('/').unwrap().1;
    let admin = postgres.admin().await;
    admin
        .batch_execute(&format!(
            "DROP SCHEMA nstore CASCADE;
             CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT CREATE ON DATABASE {database} TO {role};
             CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text);
             GRANT SELECT, INSERT ON orders TO {role}"
        ))
        .await
        .unwrap();
    let theirs = World::at(&format!("postgresql://{role}:pw@{host}")).await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    theirs.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    theirs.loader.register(&run).await.unwrap();
    let markers = theirs.commit_all(&run, 3).await;
    theirs.load_all(&run, &markers).await;
    assert_eq!(theirs.load(&run, &markers[0]).await.unwrap(), ChunkLoad::Already);
    // it may not make tables in public, nor delete: both are said before anything is extracted
    let absent = ask("r2", Append).table("absent").manifest();
    let Err(LoadError::Target { problems, .. }) =
        theirs.loader.preflight(&absent).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(problems[0].contains("may not make tables"), "{problems:?}");
    let deletes = ask("r3", ReplaceRange).manifest();
    let Err(LoadError::Target { problems, .. }) =
        theirs.loader.preflight(&deletes).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(problems[0].contains("DELETE"), "{problems:?}");
    // rows that are there already are skipped by way of a temporary table
    let revoke = format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC");
    admin.batch_execute(&revoke).await.unwrap();
    let Err(LoadError::Target { problems, .. }) =
        theirs.loader.preflight(&run).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(
        problems[0].contains(&format!("GRANT TEMPORARY ON DATABASE {database} TO {role}")),
        "{problems:?}"
    );
    let straight = ask("r4", Append).days("2025-09-01", 1).manifest();
    theirs.loader.preflight(&straight).await.and_then(PreflightReport::into_result).unwrap();
}
