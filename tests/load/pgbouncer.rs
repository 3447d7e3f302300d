//! Through a pooler that lends its connections by the transaction, or by the session.

use nstore::{
    db::Db,
    load::{ChunkLoad, Loader, PreflightReport},
};
use nstore_shared::chunk::UploadMode::{Append, Replace, ReplaceRange};
use nstore_tests::context;

use crate::world::{World, ask, loaded, replaced};

/// Two loaders share the connections to the server: every mode, a key that is there already, a cancel.
async fn loads_all_modes(pool_mode: &str, connections: u32) {
    let postgres = context::postgres().await;
    let pooler = context::pgbouncer(&postgres, pool_mode, connections).await;
    let direct = World::at(&postgres.url).await;
    let connect = || async {
        let db = Db::connect(&pooler.url, "public").await.unwrap();
        Loader::new(db, direct.storage.clone())
    };
    let (one, other) = (connect().await, connect().await);

    let keyed = ask("r1", Append).key(&["id"]).days("2025-08-01", 12).manifest();
    one.preflight(&keyed).await.and_then(PreflightReport::into_result).unwrap();
    one.register(&keyed).await.unwrap();
    let markers = direct.commit_all(&keyed, 500).await;
    let load = |loader: Loader| {
        let (run, markers) = (keyed.clone(), markers.clone());
        async move {
            for marker in &markers {
                while loader.load_chunk(&run, &run.sources[0], marker).await.unwrap() == ChunkLoad::Busy {}
            }
        }
    };
    let at_once = [&one, &other, &one, &other].map(|loader| load(loader.clone()));
    futures::future::join_all(at_once).await;
    assert_eq!((direct.rows().await, one.ledger(&keyed.run).await.unwrap().len()), (6000, 12));

    // rows whose key is there already go by way of a temporary table
    let again = ask("r2", Append).key(&["id"]).manifest();
    one.register(&again).await.unwrap();
    for marker in direct.commit_all(&again, 510).await {
        let done = other.load_chunk(&again, &again.sources[0], &marker).await.unwrap();
        assert_eq!(done, loaded(10, 500));
    }
    let range = ask("r3", ReplaceRange).key(&["id"]).created_at(1).manifest();
    one.register(&range).await.unwrap();
    for marker in direct.commit_all(&range, 7).await {
        one.load_chunk(&range, &range.sources[0], &marker).await.unwrap();
    }
    assert_eq!(direct.rows().await, 9 * 500 + 3 * 7);
    let whole = ask("r4", Replace).days("2025-08-01", 12).created_at(2).manifest();
    one.register(&whole).await.unwrap();
    let markers = direct.commit_all(&whole, 2).await;
    let done = other.replace(&whole, &whole.sources[0], &markers).await.unwrap();
    assert_eq!(done, replaced(24));

    direct.storage.cancel(&whole.run, "no more").await.unwrap();
    one.cancel(&whole.run).await.unwrap();
    assert_eq!(direct.rows().await, 24);
    // nothing of ours stays behind on the server's side
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(direct.number(locks).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_by_the_transaction_is_as_good_as_the_server() {
    // fewer than come at once: each gets another one from turn to turn
    loads_all_modes("transaction", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_by_the_session_is_as_good_as_the_server() {
    loads_all_modes("session", 20).await;
}

#[tokio::test]
async fn a_cancel_through_a_pooler_ends_a_load_that_is_under_way() {
    let postgres = context::postgres().await;
    let pooler = context::pgbouncer(&postgres, "transaction", 5).await;
    let direct = World::at(&postgres.url).await;
    let loader = Loader::new(Db::connect(&pooler.url, "public").await.unwrap(), direct.storage.clone());
    let run = ask("r1", Append).key(&["id"]).manifest();
    loader.register(&run).await.unwrap();
    let marker = direct.commit_all(&run, 10).await.swap_remove(0);
    // the load waits for the table
    direct.run_sql("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    let load = tokio::spawn({
        let (loader, run) = (loader.clone(), run.clone());
        async move { loader.load_chunk(&run, &run.sources[0], &marker).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    direct.storage.cancel(&run.run, "no more").await.unwrap();
    loader.cancel(&run.run).await.unwrap();
    assert_eq!(load.await.unwrap().unwrap(), ChunkLoad::Cancelled);
    direct.run_sql("COMMIT").await;
    assert_eq!(direct.rows().await, 0);
}

#[tokio::test]
async fn a_pooler_by_the_statement_is_refused_with_the_way_out() {
    let postgres = context::postgres().await;
    let pooler = context::pgbouncer(&postgres, "statement", 2).await;
    let refused = Db::connect(&pooler.url, "public").await.unwrap_err();
    assert!(refused.to_string().contains("statement pooling"), "{refused}");
    assert!(refused.hint().unwrap().contains("pool_mode transaction or session"), "{:?}", refused.hint());
}

/// What the other tests rest on: this pooler does change the session between transactions.
#[tokio::test]
async fn a_statement_with_a_name_is_lost_there() {
    let postgres = context::postgres().await;
    let pooler = context::pgbouncer(&postgres, "transaction", 2).await;
    let connect = async || {
        let (client, connection) = tokio_postgres::connect(&pooler.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    };
    let (one, other) = (connect().await, connect().await);
    let named = one.prepare("SELECT 1").await.unwrap();
    // the one session that knows the name is taken, whichever it is
    other.batch_execute("BEGIN").await.unwrap();
    let mine = other.query_typed("SELECT 1 FROM pg_prepared_statements", &[]).await.unwrap();
    assert_eq!(mine.len(), 1, "the pooler lends the session that came back last");
    let lost = one.query(&named, &[]).await.unwrap_err();
    assert_eq!(lost.code().map(tokio_postgres::error::SqlState::code), Some("26000"), "{lost:?}");
}
