//! Which servers are accepted, what refuses says, and the fleet.

use std::time::Duration;

use nstore_shared::{
    chunk::Kind,
    redis::{
        Redis, RedisError,
        fleet::{Standing, WorkerCard},
    },
};
use nstore_tests::context;

use crate::{
    outages::raw,
    stage::{LONG, Stage, Worker},
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
async fn what_speaks_another_language_is_no_redis() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt as _;
            client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let error = refusal(&url).await;
    assert!(matches!(error, RedisError::Unfit { .. }), "{error:?}");
    assert!(error.to_string().contains("is no redis") && error.to_string().contains(&url), "{error}");
    server.abort();
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

/// An idle worker that lacks a secret.
pub(crate) fn card(id: &str) -> WorkerCard {
    WorkerCard {
        id: id.to_owned(),
        host: "host".to_owned(),
        kind: Kind::Api,
        version: "1".to_owned(),
        slots: 4,
        lacks: vec![("source".parse().unwrap(), "no token".to_owned())],
        without: vec![],
        lease_ms: 60_000,
        draining: false,
        holds: vec![],
        storage_url: String::new(),
        storage_id: String::new(),
        clock_ahead_ms: None,
    }
}

#[tokio::test]
async fn the_fleet_shows_who_lives() {
    let stage = Stage::new().await;
    let fleet = stage.redis.fleet();
    assert!(fleet.workers().await.unwrap().is_empty());
    fleet.announce(&card("b"), LONG).await.unwrap();
    fleet.announce(&card("a"), LONG).await.unwrap();
    fleet.announce(&card("brief"), Duration::from_millis(50)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.workers().await.unwrap(), [card("a"), card("b")]);
    let heard = fleet.heard(&[card("a"), card("brief")]).await.unwrap();
    assert!(
        matches!(heard[..], [Some(ago), None] if ago >= Duration::from_millis(100) && ago < LONG),
        "{heard:?}"
    );
    fleet.leave("a").await.unwrap();
    fleet.announce(&card("brief"), LONG).await.unwrap();
    assert_eq!(fleet.workers().await.unwrap(), [card("b"), card("brief")]);
}

#[tokio::test]
async fn a_worker_is_asked_to_drain_until_it_leaves() {
    let stage = Stage::new().await;
    let fleet = stage.redis.fleet();
    assert_eq!(fleet.standing("a").await.unwrap(), Standing::Unknown);
    assert!(!fleet.announce(&card("a"), LONG).await.unwrap());
    assert_eq!(fleet.standing("a").await.unwrap(), Standing::Lives(Box::new(card("a"))));
    fleet.drain("a").await.unwrap();
    assert!(fleet.announce(&card("a"), LONG).await.unwrap());
    assert!(!fleet.announce(&card("b"), LONG).await.unwrap(), "another one is not meant");
    fleet.leave("a").await.unwrap();
    assert_eq!(fleet.standing("a").await.unwrap(), Standing::Unknown);
    fleet.announce(&card("b"), Duration::from_millis(50)).await.unwrap();
    fleet.drain("b").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fleet.standing("b").await.unwrap(), Standing::Lost);
}

#[tokio::test]
async fn cards_of_other_hands_are_passed_over() {
    let own = context::own_redis(false);
    let redis = Redis::connect(&own.url(), "test").await.unwrap();
    let fleet = redis.fleet();
    fleet.announce(&card("good"), LONG).await.unwrap();
    let escape = WorkerCard { host: "\u{1b}[2J".to_owned(), ..card("escape") };
    fleet.announce(&escape, LONG).await.unwrap();
    for (id, text) in [("nonsense", "x"), ("another", "{}")] {
        raw(&own.url(), &format!("SADD test:{{fleet}}:workers {id}")).await;
        raw(&own.url(), &format!("SET test:{{fleet}}:card:{id} {text}")).await;
    }
    raw(&own.url(), "SADD test:{fleet}:workers copy").await;
    raw(&own.url(), "COPY test:{fleet}:card:good test:{fleet}:card:copy").await;
    assert_eq!(fleet.workers().await.unwrap(), [card("good")]);
    assert_eq!(fleet.standing("escape").await.unwrap(), Standing::Unknown);
}
