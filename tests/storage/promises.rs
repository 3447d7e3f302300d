//! What storage promises, whatever it stands on.

use bytes::Bytes;
use futures::future::join_all;
use nstore_shared::storage::{Created, marker::GrantRef, upkeep::Usage};

use crate::stage::{Stage, chunk, content, outcome, read, run, store, sum, writer};

/// Each promise is kept over both.
macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::Stage::local()).await;
            })+
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::Stage::s3().await).await;
            })+
        }
    };
}

promises!(
    of_sixteen_creates_one_wins,
    files_are_read_back_as_they_were_written,
    what_is_given_up_leaves_nothing,
    an_upload_that_nobody_ends_is_seen_and_goes,
    lists_and_removals_go_beyond_one_page,
    a_store_is_fit_and_shows_only_its_own,
);

async fn of_sixteen_creates_one_wins(stage: &Stage) {
    for day in 1..=6 {
        let rivals: Vec<_> = (1..=16).map(|nonce| outcome(chunk(day), nonce)).collect();
        let racing = rivals.iter().cloned().map(|marker| {
            let storage = stage.storage.clone();
            tokio::spawn(async move { storage.create_marker(&marker).await.unwrap() })
        });
        let said: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> = rivals
            .iter()
            .zip(&said)
            .filter(|(_, said)| **said == Created::Mine)
            .map(|(own, _)| own)
            .collect();
        assert_eq!(winners.len(), 1, "{said:?}");
        let others = said.iter().filter(|said| **said == Created::Other(winners[0].clone())).count();
        assert_eq!(others, 15, "{said:?}");
        assert_eq!(stage.storage.standing_of(&chunk(day)).await.unwrap().as_ref(), Some(winners[0]));
        let again = stage.storage.create_marker(winners[0]).await.unwrap();
        assert_eq!(again, Created::Mine, "who asks again is told the same");
    }
}

async fn files_are_read_back_as_they_were_written(stage: &Stage) {
    const PART: usize = 5 << 20;
    for (day, bytes) in (1..).zip([0, 1, PART - 1, PART, PART + 1, 2 * PART + 12_345]) {
        let (chunk, content) = (chunk(day), content(bytes));
        let file = store(&stage.storage, &chunk, &content).await.unwrap();
        assert_eq!((file.bytes, &file.sha256), (bytes as u64, &sum(&content)));
        assert!(read(&stage.storage, &chunk, &file).await.unwrap() == content, "{bytes} bytes");
        let listed = stage.storage.artifacts(&chunk.source, &chunk.run).await.unwrap();
        assert!(listed.iter().any(|listed| listed.name == file.name && listed.bytes == file.bytes));
        for _ in 0..2 {
            stage.storage.delete_artifact(&chunk, &file.name).await.unwrap();
            assert!(read(&stage.storage, &chunk, &file).await.is_none());
        }
    }
}

async fn what_is_given_up_leaves_nothing(stage: &Stage) {
    let chunk = chunk(1);
    for bytes in [0, 1000, 12 << 20] {
        let mut writer = writer(&stage.storage, &chunk);
        writer.write(content(bytes)).await.unwrap();
        writer.abort().await.unwrap();
        assert_eq!(stage.storage.unfinished(&chunk.source, &chunk.run).await.unwrap(), []);
        assert_eq!(stage.storage.usage_of(&chunk.source, &chunk.run).await.unwrap(), Usage::default());
    }
    if let Some(s3) = &stage.s3 {
        assert_eq!(s3.unfinished().await, Vec::<String>::new());
    }
}

async fn an_upload_that_nobody_ends_is_seen_and_goes(stage: &Stage) {
    let (chunk, other) = (chunk(1), run("r2"));
    let mut writer = writer(&stage.storage, &chunk);
    writer.write(content(12 << 20)).await.unwrap();
    // as a killed process does
    std::mem::forget(writer);
    let found = stage.storage.unfinished(&chunk.source, &chunk.run).await.unwrap();
    let keys: Vec<&str> = found.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(keys, ["chunks/orders/r/2025-08-01_2025-08-02.g1.w-7.csv"]);
    assert_eq!(
        stage.storage.unfinished(&chunk.source, &other).await.unwrap(),
        [],
        "another run's is its own"
    );
    stage.storage.remove_source(&chunk.source, &other).await.unwrap();
    assert_eq!(stage.storage.unfinished(&chunk.source, &chunk.run).await.unwrap().len(), 1);
    stage.storage.abort(&found[0]).await.unwrap();
    stage.storage.abort(&found[0]).await.unwrap();
    assert_eq!(stage.storage.unfinished(&chunk.source, &chunk.run).await.unwrap(), []);
}

/// The server's pages have 100 keys.
async fn lists_and_removals_go_beyond_one_page(stage: &Stage) {
    let (chunk, storage) = (chunk(1), &stage.storage);
    let names: Vec<String> = (0..250).map(|number| format!("{number:03}.txt")).collect();
    let files: Vec<(&str, Bytes)> =
        names.iter().map(|name| (name.as_str(), Bytes::from_static(b"x"))).collect();
    let grant = GrantRef { worker: "w".parse().unwrap(), nonce: 1, attempt: 1 };
    storage.put_bundle(&chunk, 1, &grant, &files).await.unwrap();
    let usage = storage.usage_of(&chunk.source, &chunk.run).await.unwrap();
    assert_eq!(usage, Usage { files: 250, bytes: 250 });
    assert_eq!(storage.remove_source(&chunk.source, &chunk.run).await.unwrap(), 250);
    assert_eq!(storage.usage_of(&chunk.source, &chunk.run).await.unwrap(), Usage::default());

    let runs: Vec<_> = (0..130).map(|number| run(&format!("run-{number:03}"))).collect();
    for run in &runs {
        storage.cancel(run, "as a test").await.unwrap();
    }
    assert_eq!(storage.runs().await.unwrap(), runs);
    storage.remove_run(&runs[7]).await.unwrap();
    assert_eq!(storage.runs().await.unwrap().len(), 129);
    assert!(storage.cancelled(&runs[7]).await.unwrap().is_none());
}

async fn a_store_is_fit_and_shows_only_its_own(stage: &Stage) {
    let storage = &stage.storage;
    for _ in 0..2 {
        storage.check().await.unwrap();
    }
    assert_eq!(storage.usage().await.unwrap().len(), 0, "a check leaves nothing that counts");
    assert_eq!(storage.free_bytes().unwrap().is_some(), stage.s3.is_none());
    storage.create_marker(&outcome(chunk(1), 1)).await.unwrap();
    let Some(s3) = &stage.s3 else { return };
    for prefix in ["team/nstor", "team/nstore-2", "team/nstore/chunks", "team", ""] {
        let other = nstore_shared::storage::Storage::open_with(&s3.url(prefix), s3.env()).unwrap();
        assert_eq!(other.usage().await.unwrap().len(), 0, "`{prefix}`");
        assert!(other.standing_of(&chunk(1)).await.unwrap().is_none(), "`{prefix}`");
    }
}
