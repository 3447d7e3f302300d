//! Stores that say no, and stores that nstore says no to: in words that name what to do.

use nstore_shared::storage::{Storage, StorageError};
use nstore_tests::context::{
    careless_store, own_s3,
    s3::{Keys, env},
};

use crate::stage::{chunk, content, outcome, run, store};

/// The store says no by this code, and what to do next holds this.
fn assert_refused(error: &StorageError, code: &str, next: &str) {
    let StorageError::Refused { refusal, .. } = error else { panic!("{error:?}") };
    assert_eq!(refusal.code, code, "{error}");
    assert!(!error.may_pass(), "{error}");
    assert!(error.hint().unwrap().contains(next), "{:?}", error.hint());
    assert!(!error.to_string().contains('<'), "no XML: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_named() {
    let s3 = own_s3().await;
    let wrong = Keys { secret: "hunter2".into(), ..s3.writer.clone() };
    let storage = Storage::open_with(&s3.url("p"), env(s3.address, &wrong)).unwrap();
    for error in [
        storage.check().await.unwrap_err(),
        storage.runs().await.unwrap_err(),
        storage.manifest(&run("r")).await.unwrap_err(),
        storage.create_marker(&outcome(chunk(1), 1)).await.unwrap_err(),
        store(&storage, &chunk(1), &content(10)).await.unwrap_err(),
        storage.unfinished(&chunk(1).source, &run("r")).await.unwrap_err(),
    ] {
        assert_refused(&error, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let unknown = Keys { id: "AKIANOBODY".into(), ..s3.writer.clone() };
    let storage = Storage::open_with(&s3.url("p"), env(s3.address, &unknown)).unwrap();
    assert_refused(&storage.check().await.unwrap_err(), "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_no_empty_store() {
    let s3 = own_s3().await;
    let storage = Storage::open_with(&format!("s3://{}/p", s3.absent), s3.env()).unwrap();
    for error in [
        storage.check().await.unwrap_err(),
        storage.runs().await.unwrap_err(),
        storage.manifest(&run("r")).await.unwrap_err(),
        storage.create_marker(&outcome(chunk(1), 1)).await.unwrap_err(),
        store(&storage, &chunk(1), &content(6 << 20)).await.unwrap_err(),
    ] {
        assert_refused(&error, "NoSuchBucket", "there is no such bucket");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_reads_and_is_told() {
    let s3 = own_s3().await;
    let storage = Storage::open_with(&s3.url("p"), s3.env()).unwrap();
    storage.create_marker(&outcome(chunk(1), 1)).await.unwrap();
    let reader = Storage::open_with(&s3.url("p"), env(s3.address, &s3.reader)).unwrap();
    assert_eq!(reader.standing_of(&chunk(1)).await.unwrap(), Some(outcome(chunk(1), 1)));
    for error in [
        reader.check().await.unwrap_err(),
        reader.check_creates().await.unwrap_err(),
        reader.create_marker(&outcome(chunk(2), 1)).await.unwrap_err(),
        store(&reader, &chunk(2), &content(6 << 20)).await.unwrap_err(),
    ] {
        assert_refused(&error, "AccessDenied", "docs/storage.md");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_overwrites_what_it_should_create_is_refused() {
    let keys = Keys { id: "a".into(), secret: "b".into() };
    let env = env(careless_store().await, &keys);
    let storage = Storage::open_with("s3://bucket/p", env).unwrap();
    let error = storage.check_creates().await.unwrap_err();
    assert!(matches!(error, StorageError::NotExclusive { .. }) && !error.may_pass(), "{error:?}");
    assert!(error.to_string().contains("If-None-Match"), "{error}");
    // as it is, each rival would believe that its outcome stands
    for nonce in 1..=2 {
        storage.create_marker(&outcome(chunk(1), nonce)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nobody_answers_for_may_come_back() {
    let keys = Keys { id: "a".into(), secret: "b".into() };
    // bound and not listening: nobody else gets the port meanwhile
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let storage = Storage::open_with("s3://bucket/p", env(socket.local_addr().unwrap(), &keys)).unwrap();
    let error = storage.runs().await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(error.hint().unwrap().contains("AWS_ENDPOINT_URL"), "{error}");
}
