//! Which servers are accepted, what refuses says, and the fleet.

use std::time::Duration;

use nstore_shared::{
    chunk::Kind,
    redis::{Redis, RedisError, fleet::WorkerCard},
};
use nstore_tests::context;

use crate::{
    outages::raw,
    stage::{Stage, Worker},
};

async fn refusal(url: &str) -> RedisError {
    Redis::connect(url, "test").await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    let own = context::own_redis(false);
    let facts = Redis::connect(&own.url(), "test").await.unwrap().check().await.unwrap();
    assert!(facts.version.split('.').count() >= 3, "{facts:?}");
    assert!(facts.latency < Duration::from_secs(5));
    raw(&own.url(), "CONFIG SET maxmemory-policy allkeys-lru").await;
    let error = refusal(&own.url()).await;
    assert!(matches!(error, RedisError::Unfit { .. }), "{error}");
    assert!(error.to_string().contains("config set maxmemory-policy noeviction"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_a_refusal_and_never_shown() {
    let own = context::own_redis(false);
    raw(&own.url(), "CONFIG SET requirepass canary").await;
    let host = own.url().replace("redis://", "");
    for url in [format!("redis://:wrong@{host}"), format!("redis://me:wrong@{host}"), own.url()] {
        let error = refusal(&url).await;
        assert!(matches!(error, RedisError::Refused { .. }), "{error}");
        assert!(!error.may_pass() && !error.to_string().contains("wrong@"), "{error}");
    }
    Redis::connect(&format!("redis://:canary@{host}"), "test").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let start = std::time::Instant::now();
    let error = refusal("redis://:secret@127.0.0.1:1/3").await;
    assert!(error.may_pass(), "{error}");
    assert!(error.to_string().contains("redis://127.0.0.1:1/3"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn rights_on_the_prefix_alone_suffice() {
    let own = context::own_redis(false);
    let user = "ACL SETUSER worker on >pass ~nstore:* &* +@all -@dangerous +info +function|load";
    raw(&own.url(), user).await;
    let url = own.url().replace("redis://", "redis://worker:pass@");
    let stage = Stage::at(&url, "nstore").await;
    let run = stage.sequential("run", 1);
    stage.enqueue(&run, 0..1).await;
    let grant = stage.claim(&mut Worker::new("w")).await.unwrap();
    assert!(stage.complete(&grant).await);
    let elsewhere = Stage::at(&url, "other").await;
    let error = elsewhere.queue.enqueue(&run, &[]).await.unwrap_err();
    assert!(matches!(error, RedisError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn keys_of_other_hands_are_an_error_not_a_panic() {
    let own = context::own_redis(false);
    let stage = Stage::at(&own.url(), "test").await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let base = format!("test:{{{}}}", stage.source);
    raw(&own.url(), &format!("ZADD {base}:a:run -5 not-a-range")).await;
    raw(&own.url(), &format!("ZADD {base}:slots 5 not-a-slot")).await;
    let grant = stage.claim(&mut Worker::new("w")).await;
    let grant = match grant {
        Some(grant) => grant,
        None => stage.claim(&mut Worker::new("w2")).await.expect("strays are dropped"),
    };
    assert!(stage.complete(&grant).await);
    raw(&own.url(), &format!("RPUSH {base}:hints:run nonsense")).await;
    let error = stage.queue.hints(&stage.source, &run.run, 0).await.unwrap_err();
    assert!(matches!(error, RedisError::Protocol(_)), "{error}");
    raw(&own.url(), &format!("SET {base}:run:bad x")).await;
    let bad = stage.queue.progress(&stage.source, &"bad".parse().unwrap()).await.unwrap_err();
    assert!(matches!(bad, RedisError::Protocol(_)) && bad.to_string().contains("WRONGTYPE"), "{bad}");
    raw(&own.url(), "SADD test:open:api NotASource").await;
    assert!(stage.queue.sources(Kind::Api).await.is_err());
}

#[tokio::test]
async fn the_fleet_shows_who_lives() {
    let stage = Stage::new().await;
    let fleet = stage.redis.fleet();
    let card = |id: &str| WorkerCard {
        id: id.to_owned(),
        host: "host".to_owned(),
        kind: Kind::Api,
        version: "1".to_owned(),
        slots: 4,
        lacks: vec![(stage.source.clone(), "no token".to_owned())],
    };
    assert!(fleet.workers().await.unwrap().is_empty());
    fleet.announce(&card("b"), Duration::from_secs(60)).await.unwrap();
    fleet.announce(&card("a"), Duration::from_secs(60)).await.unwrap();
    fleet.announce(&card("brief"), Duration::from_millis(50)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.workers().await.unwrap(), [card("a"), card("b")]);
    fleet.leave("a").await.unwrap();
    fleet.announce(&card("brief"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(fleet.workers().await.unwrap(), [card("b"), card("brief")]);
}
