//! What a health check sees of a worker; its addresses come from files, as in a container.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use nstore_tests::context::{self, Exit, Process, Scratch};

use crate::house::{CONFIG, LIMIT};

async fn health(file: &Path) -> Exit {
    let check = Process::new("nstore-worker").arg("health").env("NSTORE_HEALTH_FILE", file);
    check.run(LIMIT).await
}

async fn until(file: &Path, code: i32, word: &str) {
    let mut exit = health(file).await;
    for _ in 0..100 {
        if exit.code == Some(code) && exit.stdout.contains(word) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        exit = health(file).await;
    }
    panic!("not {code}, `{word}`: {exit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_well_while_redis_answers_it() {
    let (redis, storage, scratch) = (context::own_redis(false), context::storage(), Scratch::new("health"));
    let (file, url) = (scratch.path().join("health"), scratch.path().join("url"));
    fs::write(&url, format!("{}\n", redis.url())).unwrap();
    fs::set_permissions(&url, fs::Permissions::from_mode(0o600)).unwrap();
    until(&file, 1, "no sign of life").await;
    let worker = Process::new("nstore-worker")
        .args(["--kind", "api", "--lease", "1s", "--config", CONFIG])
        .env("NSTORE_REDIS_URL_FILE", &url)
        .env("NSTORE_STORAGE_URL", &storage.url)
        .env("NSTORE_HEALTH_FILE", &file)
        .start();
    until(&file, 0, "redis answered").await;
    redis.server.pause();
    until(&file, 1, "redis has not answered").await;
    redis.server.resume();
    until(&file, 0, "redis answered").await;
    worker.sigterm();
    assert_eq!(worker.wait_exit(LIMIT).await.code, Some(0));
    until(&file, 1, "no sign of life").await;
}

#[tokio::test]
async fn a_worker_does_not_start_where_it_can_give_no_sign() {
    let worker = Process::new("nstore-worker").args(["--kind", "api", "--config", CONFIG]);
    let exit = worker.env("NSTORE_HEALTH_FILE", "/no/such/folder/health").run(LIMIT).await;
    assert_eq!(exit.code, Some(2));
    assert!(exit.stderr.contains("NSTORE_HEALTH_FILE names /no/such/folder/health"), "{}", exit.stderr);
}
