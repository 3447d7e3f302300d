//! S3 and the way to it fail: what was asked for is done once, or nothing of it.

use std::time::Duration;

use nstore_shared::storage::{Created, StorageError};
use nstore_tests::context::Fault;

use crate::stage::{Harmed, chunk, content, outcome, read, run, store, sum, writer};

/// What S3 answers while another's conditional put of that key is under way.
fn conflict() -> Fault {
    let body = "<Error><Code>ConditionalRequestConflict</Code></Error>";
    let length = body.len();
    Fault::Answer(format!(
        "HTTP/1.1 409 Conflict\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_fails_on_its_way_is_still_ours_or_anothers() {
    let harmed = Harmed::new().await;
    let faults = [
        Fault::DropReply,
        Fault::Reset,
        Fault::CutAfter(10),
        Fault::status("503 Slow Down"),
        Fault::status("500 Internal Server Error"),
        Fault::Delay(Duration::from_millis(300)),
        conflict(),
    ];
    for (day, fault) in (1..).zip(faults) {
        let (own, late) = (outcome(chunk(day), 1), outcome(chunk(day), 2));
        harmed.proxy.harm(".g1.json", 1, fault.clone());
        assert_eq!(harmed.storage.create_marker(&own).await.unwrap(), Created::Mine, "{fault:?}");
        assert_eq!(harmed.behind.standing_of(&chunk(day)).await.unwrap().as_ref(), Some(&own));
        harmed.proxy.harm(".g1.json", 1, Fault::DropReply);
        assert_eq!(harmed.storage.create_marker(&late).await.unwrap(), Created::Other(own), "{fault:?}");
        assert_eq!(harmed.proxy.met(), 2 * day as usize, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_does_not_end_is_no_outcome() {
    let harmed = Harmed::new().await;
    harmed.proxy.harm("If-None-Match", usize::MAX, conflict());
    harmed.proxy.harm("if-none-match", usize::MAX, conflict());
    let error = harmed.storage.create_marker(&outcome(chunk(1), 1)).await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    assert!(harmed.behind.standing_of(&chunk(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_whole_whatever_request_of_its_upload_fails() {
    let harmed = Harmed::new().await;
    let large = content((10 << 20) + 999);
    let steps = ["?uploads", "partNumber=1", "partNumber=2", "partNumber=3", "?uploadId="];
    let mut day = 0;
    for step in steps {
        for fault in [Fault::DropReply, Fault::Reset, Fault::status("503 Slow Down"), Fault::CutAfter(30)] {
            day += 1;
            harmed.proxy.harm(step, 1, fault.clone());
            let file = store(&harmed.storage, &chunk(day), &large).await;
            let file = file.unwrap_or_else(|error| panic!("{step} {fault:?}: {error}"));
            assert_eq!(harmed.proxy.met(), day as usize, "{step} {fault:?}");
            assert_eq!(file.sha256, sum(&large));
            assert!(read(&harmed.behind, &chunk(day), &file).await.unwrap() == large, "{step} {fault:?}");
        }
    }
    // the two uploads whose begin was answered into the void stay, and are seen
    let left = harmed.behind.unfinished(&chunk(1).source, &run("r")).await.unwrap();
    assert_eq!(left.len(), harmed.s3.unfinished().await.len());
    for upload in &left {
        assert!(upload.key.contains("2025-08-01_") || upload.key.contains("2025-08-04_"), "{upload:?}");
        harmed.behind.abort(upload).await.unwrap();
    }
    assert_eq!(harmed.s3.unfinished().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_whole_too() {
    let harmed = Harmed::new().await;
    let small = content(1000);
    for (day, fault) in
        (1..).zip([Fault::DropReply, Fault::Reset, Fault::status("500 Oops"), Fault::CutAfter(5)])
    {
        harmed.proxy.harm(".csv", 1, fault.clone());
        let file = store(&harmed.storage, &chunk(day), &small).await.unwrap();
        assert_eq!(harmed.proxy.met(), day as usize);
        assert!(read(&harmed.behind, &chunk(day), &file).await.unwrap() == small, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let harmed = Harmed::new().await;
    let large = content(8 << 20);
    let file = store(&harmed.behind, &chunk(1), &large).await.unwrap();
    for fault in
        [Fault::CutAfter(3_000_000), Fault::CutAfter(100), Fault::Reset, Fault::status("503 Slow Down")]
    {
        harmed.proxy.harm("GET ", 1, fault.clone());
        assert!(read(&harmed.storage, &chunk(1), &file).await.unwrap() == large, "{fault:?}");
    }
    assert_eq!(harmed.proxy.met(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_second_page_fails_is_whole() {
    let harmed = Harmed::new().await;
    let runs: Vec<_> = (0..120).map(|number| run(&format!("run-{number:03}"))).collect();
    for run in &runs {
        harmed.behind.cancel(run, "as a test").await.unwrap();
    }
    for fault in [Fault::DropReply, Fault::status("503 Slow Down")] {
        harmed.proxy.harm("continuation-token", 1, fault);
        assert_eq!(harmed.storage.runs().await.unwrap(), runs);
    }
    assert_eq!(harmed.proxy.met(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_may_come_back_and_nothing_of_a_file_stands_meanwhile() {
    let harmed = Harmed::patient_for("700ms").await;
    let mut writer = writer(&harmed.storage, &chunk(1));
    writer.write(content(6 << 20)).await.unwrap();
    for fault in [Fault::Reset, Fault::status("503 Slow Down"), Fault::Blackhole] {
        harmed.proxy.harm("", usize::MAX, fault.clone());
        let error = harmed.storage.runs().await.unwrap_err();
        assert!(error.may_pass() && matches!(error, StorageError::Store { .. }), "{fault:?}: {error}");
        assert!(error.hint().unwrap().contains("AWS_ENDPOINT_URL"), "{error}");
        let error = harmed.storage.create_marker(&outcome(chunk(1), 1)).await.unwrap_err();
        assert!(error.may_pass(), "{fault:?}: {error}");
        harmed.proxy.heal();
        harmed.storage.check().await.unwrap();
    }
    harmed.proxy.harm("", usize::MAX, Fault::Reset);
    let error = writer.finish().await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    harmed.proxy.heal();
    assert_eq!(harmed.storage.artifacts(&chunk(1).source, &run("r")).await.unwrap(), []);
    assert_eq!(harmed.storage.unfinished(&chunk(1).source, &run("r")).await.unwrap().len(), 1, "it is seen");
}
