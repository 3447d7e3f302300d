//! Rejected rows of loaded chunks, in the table beside the ledger.

use nstore::load::ChunkLoad;
use nstore_shared::chunk::UploadMode::{Append, Replace};

use crate::world::{ask, committed, fill, loaded, replaced, world};

const COUNT: &str = "SELECT count(*) FROM nstore.rejects";

#[tokio::test]
async fn rejected_rows_come_with_their_chunk_once() {
    let mut world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    world.rejected = vec![r#"{"id": "x"}"#.into(), r#"{"note": "\u0000 and ü"}"#.into()];
    let markers = world.commit_all(&run, 10).await;
    assert_eq!(world.number(COUNT).await, 0, "nothing before the load");
    world.load_all(&run, &markers).await;
    assert_eq!(world.number(COUNT).await, 6);
    let records = "SELECT record FROM nstore.rejects WHERE chunk = '2025-08-01_2025-08-02' ORDER BY line";
    let found: Vec<String> = world.text(records).await.into_iter().flatten().collect();
    assert_eq!(found, world.rejected, "as the source sent them");
    let reasons = world.text("SELECT DISTINCT reason FROM nstore.rejects").await;
    assert_eq!(reasons, [Some("unfit".into())]);

    assert_eq!(world.load(&run, &markers[0]).await.unwrap(), ChunkLoad::Already);
    assert_eq!(world.number(COUNT).await, 6);
    let forgotten = world.loader.forget("orders").await.unwrap();
    assert_eq!((forgotten.ledger_rows, world.number(COUNT).await), (3, 0), "they go with the ledger's rows");
}

#[tokio::test]
async fn a_load_that_fails_leaves_no_rejected_rows() {
    let mut world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    world.rejected = vec!["{}".into()];
    let range = run.sources[0].chunks[0];
    let rows = fill(&range, 3, "x");
    let marker = world.commit(&run, &range.to_string(), &rows).await;
    world.run_sql("ALTER TABLE orders ADD CONSTRAINT none CHECK (false)").await;
    assert!(matches!(world.load(&run, &marker).await.unwrap(), ChunkLoad::Refused { .. }));
    assert_eq!(world.number(COUNT).await, 0);
    world.run_sql("ALTER TABLE orders DROP CONSTRAINT none").await;
    assert_eq!(world.load(&run, &marker).await.unwrap(), loaded(3, 0));
    assert_eq!(world.number(COUNT).await, 1);
}

#[tokio::test]
async fn of_many_rejected_rows_the_table_holds_the_first_ones() {
    let mut world = world().await;
    let run = ask("r1", Replace).manifest();
    world.loader.register(&run).await.unwrap();
    world.rejected = (0..1_200).map(|n| format!("{{\"n\": {n}}}")).collect();
    let mut markers = world.commit_all(&run, 2).await;
    // the last one's records are long: a bound on the bytes of all, and of each
    world.rejected = vec![format!("\"{}\"", "x".repeat(50_000)); 200];
    let last = run.sources[0].chunks[2];
    world
        .storage
        .void(&markers[2].chunk, 1, nstore_shared::storage::marker::VoidReason::Outdated, "")
        .await
        .unwrap();
    markers[2] = world.commit(&run, &last.to_string(), &fill(&last, 2, "x")).await;
    assert_eq!(world.replace(&run, &markers).await.unwrap(), replaced(6));
    let of = |chunk: &str, what: &str| format!("SELECT {what} FROM nstore.rejects WHERE chunk = '{chunk}'");
    let first = run.sources[0].chunks[0].to_string();
    assert_eq!(world.number(&of(&first, "count(*)")).await, 1_000);
    assert_eq!(world.number(&of(&first, "max(line)::bigint")).await, 1_000);
    let longest = world.number(&of(&last.to_string(), "max(length(record))::bigint")).await;
    assert_eq!(longest, 10_000);
    let bytes = world.number(&of(&last.to_string(), "sum(length(record) + length(reason))::bigint")).await;
    assert!((1 << 20..(1 << 20) + 20_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_file_of_rejected_rows_that_is_gone_hinders_no_load() {
    let mut world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    world.rejected = vec!["{}".into()];
    let markers = world.commit_all(&run, 4).await;
    let rejects = committed(&markers[0]).quality.rejects.clone().unwrap();
    world.storage.delete_artifact(&markers[0].chunk, &rejects.name).await.unwrap();
    world.load_all(&run, &markers).await;
    assert_eq!((world.rows().await, world.number(COUNT).await), (12, 2));
}
