//! The shipped roles: what the loader needs and no more, and one who only reads.

use nstore_shared::chunk::UploadMode::Append;
use nstore_tests::context;

use crate::world::{World, ask};

#[tokio::test]
async fn the_loader_is_no_superuser_and_owns_what_is_nstores() {
    let postgres = context::postgres().await;
    let world = World::at(&postgres.url).await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let role = "SELECT count(*) FROM pg_roles WHERE rolname = current_user
                AND NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)";
    assert_eq!(world.number(role).await, 1);
    let owned = "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole AND relkind = 'r'
                 AND relname IN ('ledger', 'runs', 'targets', 'orders')";
    assert_eq!(world.number(owned).await, 4);
}

#[tokio::test]
async fn an_analyst_reads_tables_and_ledger_and_writes_nothing() {
    let postgres = context::postgres().await;
    let world = World::at(&postgres.url).await;
    // one table from before the roles were given out anew, one from after
    world.run_sql("CREATE TABLE earlier (id bigint)").await;
    postgres.admin().await.batch_execute(include_str!("../../deploy/postgres/roles.sql")).await.unwrap();
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    world.load_all(&run, &markers).await;
    let analyst = postgres.analyst().await;
    for (table, rows) in [
        ("earlier", 0),
        ("orders", 30),
        ("nstore.runs", 1),
        ("nstore.ledger", 3),
        ("nstore.targets", 1),
        ("nstore.rejects", 0),
    ] {
        let found = analyst.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(found.get::<_, i64>(0), rows, "{table}");
    }
    for statement in [
        "INSERT INTO orders SELECT * FROM orders",
        "UPDATE orders SET note = ''",
        "DELETE FROM nstore.ledger",
        "TRUNCATE orders",
        "DROP TABLE orders",
        "CREATE TABLE mine ()",
        "CREATE TABLE nstore.mine ()",
        "SET ROLE nstore_loader",
    ] {
        let refused = analyst.batch_execute(statement).await;
        let code = refused.as_ref().err().and_then(|e| e.code()).map(tokio_postgres::error::SqlState::code);
        assert_eq!(code, Some("42501"), "{statement}: {refused:?}");
    }
    assert_eq!(world.rows().await, 30);
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_can_give_out_the_roles() {
    let postgres = tokio::task::spawn_blocking(context::own_postgres).await.unwrap();
    let whole = postgres.client().await;
    let make = "CREATE ROLE chief LOGIN CREATEROLE PASSWORD 'pw'";
    for statement in [make, "CREATE DATABASE warehouse OWNER chief"] {
        whole.batch_execute(statement).await.unwrap();
    }
    let (_, address) =
        postgres.url().rsplit_once('@').map(|(user, rest)| (user.to_owned(), rest.to_owned())).unwrap();
    let address = address.replace("/nstore", "/warehouse");
    let connect = async |role: &str| {
        let url = format!("postgres://{role}:pw@{address}");
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    };
    let chief = connect("chief").await;
    for _ in 0..2 {
        chief.batch_execute(include_str!("../../deploy/postgres/roles.sql")).await.unwrap();
    }
    chief
        .batch_execute("ALTER ROLE nstore_loader PASSWORD 'pw'; ALTER ROLE nstore_analyst PASSWORD 'pw'")
        .await
        .unwrap();
    let world = World::at(&format!("postgres://nstore_loader:pw@{address}")).await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    world.load_all(&run, &markers).await;
    let found = connect("nstore_analyst").await.query_one("SELECT count(*) FROM orders", &[]).await.unwrap();
    assert_eq!(found.get::<_, i64>(0), 30);
}
