//! The vault on a real Redis: shared logins, one login at a time, nothing readable in between.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nstore_shared::redis::{
    Redis,
    vault::{Kept, LARGEST_VALUE, Turn, Vault, VaultError, VaultKey, VaultName, Waited},
};
use nstore_tests::context;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A time that no test outlives.
const LONG: Duration = Duration::from_secs(60);
/// A time that tests let run out.
const SHORT: Duration = Duration::from_millis(400);

fn name() -> VaultName {
    "powerbi".parse().unwrap()
}

async fn vault() -> Vault {
    let redis = context::redis();
    Redis::connect(&redis.worker_url, &redis.prefix).await.unwrap().vault(VaultKey::random())
}

/// Says a command to a server as another program would, and returns what it answers at once.
async fn raw(url: &str, command: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(url.replace("redis://", "")).await.unwrap();
    stream.write_all(&[command, b"\r\n"].concat()).await.unwrap();
    let mut answer = vec![0; 1 << 16];
    let read = stream.read(&mut answer).await.unwrap();
    answer.truncate(read);
    assert!(!answer.starts_with(b"-"), "{}", String::from_utf8_lossy(&answer));
    answer
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// What a worker does that needs a session; counts the logins.
async fn session(vault: Vault, owner: String, logins: Arc<AtomicU32>) -> Kept {
    let held = match vault.turn(&name(), &owner, LONG, LONG).await.unwrap() {
        Turn::Value(kept) => return kept,
        Turn::Mine(held) => held,
        Turn::Late => panic!("{owner} waited for nothing"),
    };
    let login = logins.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    vault.put(&name(), format!("login {login}").as_bytes(), LONG).await.unwrap();
    assert!(vault.unlock(&held).await.unwrap());
    vault.get(&name()).await.unwrap().unwrap()
}

/// Sixteen workers that need a session at the same time.
async fn crowd(vault: &Vault, logins: &Arc<AtomicU32>) -> Vec<Kept> {
    let workers = (0..16).map(|n| tokio::spawn(session(vault.clone(), format!("w{n}"), logins.clone())));
    let workers: Vec<_> = workers.collect();
    let mut found = Vec::new();
    for worker in workers {
        found.push(worker.await.unwrap());
    }
    found
}

#[tokio::test]
async fn many_that_find_nothing_log_in_once() {
    let (vault, logins) = (vault().await, Arc::default());
    let found = crowd(&vault, &logins).await;
    assert_eq!(logins.load(Ordering::SeqCst), 1);
    assert!(found.iter().all(|kept| kept.bytes == b"login 0"), "{found:?}");
}

#[tokio::test]
async fn many_that_meet_an_expired_login_log_in_once() {
    let (vault, logins) = (vault().await, Arc::default());
    let found = crowd(&vault, &logins).await;
    let mut thrown = 0;
    for kept in &found {
        thrown += u32::from(vault.forget(&name(), kept.fingerprint).await.unwrap());
    }
    assert_eq!(thrown, 1);
    let anew = crowd(&vault, &logins).await;
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    // one that is late with its word about the old one throws nothing away
    assert!(!vault.forget(&name(), found[0].fingerprint).await.unwrap());
    assert_eq!(vault.get(&name()).await.unwrap(), Some(anew[0].clone()));
}

#[tokio::test]
async fn a_lock_is_one_holders_until_its_time_is_over() {
    let vault = vault().await;
    let dead = vault.lock(&name(), "dead", SHORT).await.unwrap().unwrap();
    let start = Instant::now();
    assert_eq!(vault.lock(&name(), "dead", LONG).await.unwrap(), None);
    assert_eq!(vault.wait(&name(), Duration::from_millis(1)).await.unwrap(), Waited::Late);
    assert_eq!(vault.wait(&name(), LONG).await.unwrap(), Waited::Free);
    assert!(start.elapsed() < SHORT * 10, "{:?}", start.elapsed());
    let live = vault.lock(&name(), "live", LONG).await.unwrap().unwrap();
    assert!(!vault.renew(&dead, LONG).await.unwrap());
    assert!(!vault.unlock(&dead).await.unwrap());
    assert!(vault.renew(&live, LONG).await.unwrap());
    assert!(vault.unlock(&live).await.unwrap());
    assert!(!vault.unlock(&live).await.unwrap());
}

#[tokio::test]
async fn a_holder_that_dies_leaves_its_turn_to_the_next() {
    let vault = vault().await;
    assert!(matches!(vault.turn(&name(), "dead", SHORT, LONG).await.unwrap(), Turn::Mine(_)));
    assert_eq!(vault.turn(&name(), "hasty", LONG, Duration::from_millis(1)).await.unwrap(), Turn::Late);
    assert!(matches!(vault.turn(&name(), "next", LONG, LONG).await.unwrap(), Turn::Mine(_)));
}

#[tokio::test]
async fn a_renewed_lock_outlives_its_first_time() {
    let vault = vault().await;
    let held = vault.lock(&name(), "w", SHORT).await.unwrap().unwrap();
    assert!(vault.renew(&held, LONG).await.unwrap());
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(vault.lock(&name(), "other", LONG).await.unwrap(), None);
}

#[tokio::test]
async fn values_end_with_their_time_and_have_a_size() {
    let vault = vault().await;
    vault.put(&name(), b"brief", SHORT).await.unwrap();
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(vault.get(&name()).await.unwrap(), None);
    let most = vec![7; LARGEST_VALUE];
    vault.put(&name(), &most, LONG).await.unwrap();
    assert_eq!(vault.get(&name()).await.unwrap().unwrap().bytes, most);
    let error = vault.put(&name(), &vec![7; LARGEST_VALUE + 1], LONG).await.unwrap_err();
    assert!(matches!(error, VaultError::TooLarge(_)), "{error}");
    assert_eq!(vault.get(&"other".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_readable_stands_in_redis() {
    let own = context::own_redis(false);
    let redis = Redis::connect(&own.url(), "test").await.unwrap();
    let vault = redis.vault(VaultKey::random());
    vault.put(&name(), b"the canary sings", LONG).await.unwrap();
    vault.lock(&name(), "w1", LONG).await.unwrap().unwrap();
    let keys = raw(&own.url(), b"KEYS *").await;
    let keys = String::from_utf8(keys).unwrap();
    let keys: Vec<&str> = keys.lines().filter(|line| line.contains(':')).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let value = raw(&own.url(), format!("GET {key}").as_bytes()).await;
        assert!(value.len() > 20 && !holds(&value, b"canary"), "{key}");
    }
    assert!(holds(&vault.get(&name()).await.unwrap().unwrap().bytes, b"canary"));
}

#[tokio::test]
async fn what_does_not_open_counts_as_absent_and_is_written_over() {
    let own = context::own_redis(false);
    let redis = Redis::connect(&own.url(), "test").await.unwrap();
    let (vault, stranger) = (redis.vault(VaultKey::random()), redis.vault(VaultKey::random()));
    vault.put(&name(), b"mine", LONG).await.unwrap();
    assert_eq!(stranger.get(&name()).await.unwrap(), None);
    // moved by other hands
    raw(&own.url(), b"COPY test:{vault:powerbi}:value test:{vault:other}:value").await;
    assert_eq!(vault.get(&"other".parse().unwrap()).await.unwrap(), None);
    for nonsense in [&b"x"[..], b"\"\\x01short\"", b"\"\""] {
        raw(&own.url(), &[b"SET test:{vault:powerbi}:value ", nonsense].concat()).await;
        assert_eq!(vault.get(&name()).await.unwrap(), None);
        let turn = vault.turn(&name(), "w", SHORT, LONG).await.unwrap();
        let Turn::Mine(held) = turn else { panic!("{turn:?}") };
        assert!(vault.unlock(&held).await.unwrap());
    }
    vault.put(&name(), b"anew", LONG).await.unwrap();
    assert_eq!(vault.get(&name()).await.unwrap().unwrap().bytes, b"anew");
}
