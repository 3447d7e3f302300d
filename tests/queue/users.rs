//! The users that are shipped: what workers and coordinators need, and nothing that harms others.

use std::time::Duration;

use nstore_shared::redis::RedisError;
use nstore_tests::context::{COORDINATOR, Process, RedisNode, WORKER, as_user, say, users_file};

use crate::stage::{Stage, Worker};

/// What a user's command comes to, as `redis-cli` tells it.
async fn told(url: &str, user: &str, command: &str) -> String {
    let cli = Process::new("/usr/bin/redis-cli").args(["-u", &as_user(url, user), "--no-auth-warning"]);
    let exit = cli.args(command.split_whitespace()).run(Duration::from_secs(30)).await;
    format!("{}{}", exit.stdout, exit.stderr)
}

async fn node() -> (RedisNode, nstore_tests::context::Scratch) {
    let scratch = nstore_tests::context::Scratch::new("users");
    let file = users_file(scratch.path());
    (RedisNode::start(&["--aclfile", file.to_str().unwrap()]).await, scratch)
}

#[tokio::test]
async fn the_shipped_file_loads_and_its_users_do_their_work_on_their_keys_alone() {
    let (node, _scratch) = node().await;
    let (worker, coordinator) = (as_user(&node.url(), WORKER), as_user(&node.url(), COORDINATOR));
    let stage = Stage::at(&coordinator, "nstore").await;
    let run = stage.parallel("run", 2, 1);
    stage.enqueue(&run, 0..1).await;
    let at_work = Stage { source: stage.source.clone(), ..Stage::at(&worker, "nstore").await };
    let grant = at_work.claim(&mut Worker::new("w")).await.unwrap();
    assert!(at_work.complete(&grant).await);
    at_work.queue.hold(&stage.source, Duration::from_secs(60), "429").await.unwrap();
    at_work.queue.close(run.kind, &stage.source).await.unwrap();
    assert!(stage.queue.sources(run.kind).await.unwrap().is_empty());
    assert!(stage.queue.held(&stage.source).await.unwrap().is_some());
    assert!(stage.queue.lift(&stage.source).await.unwrap().is_some());
    stage.redis.budgets().lift(&"market".parse().unwrap()).await.unwrap();
    assert!(stage.queue.progress(&stage.source, &run.run).await.unwrap().is_some());
    stage.queue.reset(&stage.source, &run.run).await.unwrap();
    stage.redis.fleet().announce(&crate::servers::card("w"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(stage.redis.fleet().workers().await.unwrap().len(), 1);
    stage.queue.forget(&stage.source, &run.run).await.unwrap();
    for url in [&worker, &coordinator] {
        let elsewhere = Stage::at(url, "other").await;
        let error = elsewhere.queue.enqueue(&run, &[]).await.unwrap_err();
        assert!(matches!(error, RedisError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn neither_may_harm_the_server_or_read_what_is_not_its_own() {
    let (node, _scratch) = node().await;
    let admin = "AUTH nstore-admin nstore-admin\r\n";
    for key in ["other:secret", "nstore:mine"] {
        say(&node.url(), &format!("{admin}SET {key} canary"));
    }
    let forbidden = [
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "CONFIG SET maxmemory 1",
        "KEYS *",
        "SCAN 0",
        "SHUTDOWN NOSAVE",
        "ACL LIST",
        "ACL SETUSER nstore-worker +@all",
        "FUNCTION FLUSH",
        "FUNCTION DELETE nstore_1",
        "EVAL return(1) 0",
        "MONITOR",
        "CLIENT LIST",
        "REPLICAOF 127.0.0.1 1",
        "PUBLISH channel x",
        "GET other:secret",
        "SET other:secret x",
        "MGET nstore:mine other:secret",
    ];
    for user in [WORKER, COORDINATOR] {
        for command in forbidden {
            let told = told(&node.url(), user, command).await;
            assert!(told.contains("NOPERM") && !told.contains("canary"), "{user}: {command}: {told}");
        }
        assert_eq!(told(&node.url(), user, "GET nstore:mine").await.trim(), "canary");
    }
}

#[tokio::test]
async fn as_it_is_shipped_nobody_gets_in_but_to_say_ping() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/redis/users.acl");
    let node = RedisNode::start(&["--aclfile", file]).await;
    assert_eq!(say(&node.url(), "PING"), "+PONG\r\n");
    for user in [WORKER, COORDINATOR, "nstore-admin"] {
        assert!(told(&node.url(), user, "PING").await.contains("WRONGPASS"), "{user}");
    }
    let answer = nstore_tests::context::try_to_say(&node.url(), "INFO").unwrap();
    assert!(answer.starts_with("-NOPERM"), "{answer}");
}
