//! Connecting: what is said when it fails, and many at once.

use nstore::db::{Db, DbError};
use nstore_shared::chunk::UploadMode::Append;
use nstore_tests::context;

use crate::world::{World, ask};

#[tokio::test]
async fn a_server_that_is_not_there_may_come() {
    let refused = Db::connect("postgresql://me:hunter2@127.0.0.1:1/shop", "public").await.unwrap_err();
    let DbError::Unreachable { host, port: 1, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(host, "127.0.0.1");
    assert!(refused.may_pass() && !format!("{refused} {refused:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_database_or_role_that_is_not_there_is_named() {
    let url = context::postgres().await.url;
    let (server, database) = url.rsplit_once('/').unwrap();
    let refused = Db::connect(&format!("{server}/no_such_shop"), "public").await.unwrap_err();
    let DbError::Refused { reason, .. } = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("no_such_shop"), "{reason}");
    assert!(refused.hint().unwrap().contains("createdb"), "{:?}", refused.hint());
    let (_, host) = server.rsplit_once('@').unwrap();
    let refused =
        Db::connect(&format!("postgresql://nobody_here:pw@{host}/{database}"), "public").await.unwrap_err();
    assert!(matches!(refused, DbError::Refused { .. }) && !refused.may_pass(), "{refused:?}");
}

#[tokio::test]
async fn many_coordinators_may_start_on_an_empty_database_at_once() {
    let url = context::postgres().await.url;
    let all = futures::future::join_all((0..6).map(|_| Db::connect(&url, "public"))).await;
    for db in all {
        let facts = db.unwrap().check().await.unwrap();
        assert!(facts.version.starts_with(|c: char| c.is_ascii_digit()), "{facts:?}");
    }
}

#[tokio::test]
async fn a_migration_that_another_one_blocks_may_pass() {
    let postgres = context::postgres().await;
    let url = &postgres.url;
    Db::connect(url, "public").await.unwrap();
    let sql = postgres.admin().await;
    let database = url.rsplit_once('/').unwrap().1;
    sql.batch_execute(&format!(
        "ALTER DATABASE {database} SET lock_timeout = '200ms';
         SELECT pg_advisory_lock(hashtextextended('nstore migrations', 0))"
    ))
    .await
    .unwrap();
    let refused = Db::connect(url, "public").await.unwrap_err();
    assert!(refused.may_pass() && refused.to_string().contains("another nstore is migrating"), "{refused:?}");
    drop(sql);
    for _ in 0..50 {
        match Db::connect(url, "public").await {
            Ok(_) => return,
            Err(e) => assert!(e.may_pass(), "{e:?}"),
        }
    }
    panic!("the lock went with its session, and the schema stays blocked");
}

#[tokio::test]
async fn a_server_that_takes_no_rows_any_more_is_left_for_one_that_does() {
    let postgres = tokio::task::spawn_blocking(context::own_postgres).await.unwrap();
    let world = World::at(&postgres.url()).await;
    let run = ask("r1", Append).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    world.load_all(&run, &markers[..1]).await;
    // as a primary does that has become a standby: open connections stay, writes are refused
    postgres.set("default_transaction_read_only = on").await;
    // each session hears of it by itself, the next one perhaps a little later
    let mut left = markers[1..].iter();
    let (marker, refused) = loop {
        let marker = left.next().unwrap();
        match world.load(&run, marker).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(500)).await,
            Err(refused) => break (marker, refused),
        }
    };
    assert!(refused.may_pass() && refused.to_string().contains("read-only"), "{refused}");
    let refused = Db::connect(&postgres.url(), "public").await.unwrap_err();
    assert!(refused.may_pass() && refused.hint().unwrap().contains("read-write"), "{refused}");
    let client = postgres.client().await;
    for statement in [
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(statement).await.unwrap();
    }
    for _ in 0..100 {
        match world.load(&run, marker).await {
            Ok(_) => break,
            Err(e) => assert!(e.may_pass(), "{e}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.load_all(&run, left.as_slice()).await;
    assert_eq!(world.rows().await, 30);
}
