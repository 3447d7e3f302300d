//! By TLS: whose certificate is trusted, and what is refused with which words.

use nstore_shared::redis::{Redis, RedisError};
use nstore_tests::context::{COORDINATOR, Certificates, Pair, RedisNode, as_user, certificates};

use crate::stage::{Stage, Worker};

async fn node(certificates: &Certificates, pair: &Pair, settings: &[&str]) -> RedisNode {
    RedisNode::with_tls(pair, certificates.ca.to_str().unwrap(), settings).await
}

/// `rediss://` for a coordinator, with this host and this ending.
fn url(node: &RedisNode, host: &str, ending: &str) -> String {
    as_user(&format!("rediss://{host}:{}{ending}", node.port()), COORDINATOR)
}

fn trusting(certificates: &Certificates) -> String {
    format!("?ca={}", certificates.ca.display())
}

async fn refusal(url: &str) -> RedisError {
    let error = Redis::connect(url, "nstore").await.map(|_| ()).unwrap_err();
    assert!(!error.to_string().contains(COORDINATOR), "{error}");
    error
}

async fn assert_refused(url: &str, why: &str) {
    let error = refusal(url).await;
    assert!(matches!(error, RedisError::Refused { .. }) && error.to_string().contains(why), "{url}: {error}");
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to_in_secret() {
    let certificates = certificates();
    let node = node(&certificates, &certificates.good, &[]).await;
    for host in ["localhost", "127.0.0.1"] {
        let stage = Stage::at(&url(&node, host, &trusting(&certificates)), "nstore").await;
        let run = stage.sequential("run", 1);
        stage.enqueue(&run, 0..1).await;
        let grant = stage.claim(&mut Worker::new("w")).await.unwrap();
        assert!(stage.complete(&grant).await);
    }
}

#[tokio::test]
async fn strangers_are_refused_and_it_is_said_why() {
    let certificates = certificates();
    let trusting = trusting(&certificates);
    let good = node(&certificates, &certificates.good, &[]).await;
    assert_refused(&url(&good, "localhost", ""), "nobody that is trusted here").await;
    let elsewhere = node(&certificates, &certificates.wrong_name, &[]).await;
    assert_refused(&url(&elsewhere, "localhost", &trusting), "of another host").await;
    let own = node(&certificates, &certificates.self_signed, &[]).await;
    assert_refused(&url(&own, "localhost", &trusting), "?ca=FILE").await;
    assert_refused(&url(&own, "localhost", ""), "?ca=FILE").await;
    for form in ["rediss+cluster://", "rediss+sentinel://"] {
        let ending = if form.contains("sentinel") { format!("/main{trusting}") } else { trusting.clone() };
        assert_refused(&url(&own, "localhost", &ending).replace("rediss://", form), "?ca=FILE").await;
    }
}

#[tokio::test]
async fn who_speaks_plainly_and_who_does_not_is_told() {
    let certificates = certificates();
    let plain = RedisNode::start(&[]).await;
    // a server that waits for the end of a line says nothing at all, which may pass
    let error = refusal(&url(&plain, "localhost", &trusting(&certificates))).await;
    assert!(
        error.to_string().contains("speak no TLS") || error.to_string().contains("speaks no TLS"),
        "{error}"
    );
    let secret = node(&certificates, &certificates.good, &[]).await;
    let error = refusal(&as_user(&secret.url(), COORDINATOR)).await;
    assert!(error.to_string().contains("rediss://"), "{error}");
}

#[tokio::test]
async fn unchecked_is_possible_when_it_is_asked_for() {
    let certificates = certificates();
    let own = node(&certificates, &certificates.self_signed, &[]).await;
    Redis::connect(&url(&own, "localhost", "#insecure"), "nstore").await.unwrap();
}

#[tokio::test]
async fn a_server_may_ask_for_a_client_s_certificate() {
    let certificates = certificates();
    let node = node(&certificates, &certificates.good, &["--tls-auth-clients", "yes"]).await;
    let trusting = trusting(&certificates);
    assert_refused(&url(&node, "localhost", &trusting), "?cert=FILE&key=FILE").await;
    let Pair { cert, key } = &certificates.client;
    let own = format!("{trusting}&cert={}&key={}", cert.display(), key.display());
    Redis::connect(&url(&node, "localhost", &own), "nstore").await.unwrap();
}
