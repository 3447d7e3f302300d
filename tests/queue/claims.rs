//! Claims: nonces, fences, many at once.

use std::{collections::BTreeSet, time::Duration};

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{Claim, GiveBack, Pulse},
};

use crate::stage::{LONG, SHORT, Stage, Worker, day, entry, fact, untimed, what};

#[tokio::test]
async fn the_same_nonce_gives_the_same_grant_and_renews_it() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 2);
    stage.enqueue(&run, 0..2).await;
    let mut worker = Worker::with_lease("w1", SHORT);
    let grant = stage.claim(&mut worker).await.unwrap();
    assert_eq!((grant.by.attempt, grant.attempts, &grant.discard), (1, 3, &None));
    let mut other = Worker::new("w2");
    for _ in 0..4 {
        tokio::time::sleep(SHORT / 2).await;
        assert_eq!(untimed(stage.repeat(&worker).await), untimed(Some(grant.clone())));
    }
    assert_eq!(what(stage.claim(&mut other).await.as_ref()), Some(("run", day(1))));
    assert!(stage.complete(&grant).await);
    assert_eq!(stage.repeat(&worker).await, None, "it holds nothing any more");
}

#[tokio::test]
async fn a_late_copy_of_an_old_claim_grants_nothing() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 3);
    stage.enqueue(&run, 0..3).await;
    let mut worker = Worker::new("w1");
    let first = worker.clone();
    let grant = stage.claim(&mut worker).await.unwrap();
    let second = worker.clone();
    stage.next(&mut worker, &fact(&grant, ChunkState::Completed)).await.unwrap();
    for late in [first, second] {
        assert_eq!(stage.repeat(&late).await, None);
    }
    assert_eq!(stage.count(&run, ChunkState::Running).await, 1);
    // an empty answer holds for its nonce too, though there is work by now
    let mut idle = Worker::new("w2");
    let one = stage.parallel("other", 1, 1);
    stage.claim(&mut idle).await.unwrap();
    assert!(stage.claim(&mut idle).await.is_none());
    stage.enqueue(&one, 5..6).await;
    assert!(stage.repeat(&idle).await.is_none());
    assert!(stage.claim(&mut idle).await.is_some());
}

#[tokio::test]
async fn twenty_at_once_never_get_the_same_chunk() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 100, 200);
    stage.enqueue(&run, 0..200).await;
    let mut claimers = Vec::new();
    for n in 0..20 {
        let (queue, source) = (stage.queue.clone(), stage.source.clone());
        let mut worker = Worker::new(&format!("w{n}"));
        claimers.push(tokio::spawn(async move {
            let (mut mine, mut done) = (Vec::new(), None);
            loop {
                worker.nonce += 1;
                match queue.claim(&source, &worker.claimant(), done.as_ref()).await.unwrap() {
                    Claim::Empty { .. } => return mine,
                    Claim::Granted(grant) => {
                        mine.push(grant.chunk.range);
                        done = Some(fact(&grant, ChunkState::Completed));
                    }
                }
            }
        }));
    }
    let mut all = Vec::new();
    for claimer in claimers {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200);
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 200);
}

#[tokio::test]
async fn a_fused_report_and_claim_whose_reply_was_lost_is_repeated_without_harm() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 1, 3);
    stage.enqueue(&run, 0..3).await;
    let mut worker = Worker::new("w1");
    let first = stage.claim(&mut worker).await.unwrap();
    let done = fact(&first, ChunkState::Completed);
    let second = stage.next(&mut worker, &done).await;
    assert_eq!(what(second.as_ref()), Some(("run", day(1))));
    for _ in 0..3 {
        assert_eq!(untimed(stage.ask(&worker, Some(&done)).await), untimed(second.clone()));
    }
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!(progress.chunks[&ChunkState::Completed], 1);
    assert_eq!((progress.done.rows, progress.running.len()), (10, 1));
    assert_eq!(stage.queue.hints(&stage.source, &run.run, 0).await.unwrap(), [day(0)]);
}

#[tokio::test]
async fn a_failed_try_waits_and_counts_and_a_released_one_does_not() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::new("w1");
    let grant = stage.claim(&mut worker).await.unwrap();
    assert!(stage.give_back(&grant, GiveBack::Release).await);
    let grant = stage.claim(&mut worker).await.unwrap();
    assert_eq!(grant.by.attempt, 1);
    assert!(stage.fail(&grant, Duration::from_millis(300)).await);
    assert!(!stage.fail(&grant, Duration::ZERO).await, "it is given back already");
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Retryable));
    assert!(stage.claim(&mut worker).await.is_none());
    tokio::time::sleep(Duration::from_millis(320)).await;
    let grant = stage.claim(&mut worker).await.unwrap();
    assert_eq!(grant.by.attempt, 2);
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!(progress.last_error.as_deref(), Some("no luck"));
    assert_eq!((progress.running[0].attempt, progress.running[0].worker.as_str()), (2, "w1"));
}

#[tokio::test]
async fn a_429_holds_the_whole_source_and_counts_no_try() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 3);
    stage.enqueue(&run, 0..3).await;
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    let grant = stage.claim(&mut a).await.unwrap();
    let wait = Duration::from_millis(300);
    assert!(stage.give_back(&grant, GiveBack::Defer { wait, error: "429".into() }).await);
    assert!(stage.claim(&mut b).await.is_none());
    // a shorter wait does not shorten a longer one
    stage.queue.hold(&stage.source, Duration::ZERO, "429").await.unwrap();
    assert!(stage.claim(&mut b).await.is_none());
    tokio::time::sleep(wait).await;
    let grant = stage.claim(&mut b).await.unwrap();
    assert_eq!((grant.by.attempt, grant.chunk.range), (1, day(0)));
    stage.queue.hold(&stage.source, wait, "429").await.unwrap();
    assert!(stage.claim(&mut a).await.is_none());
    assert_eq!(stage.beat(&grant, LONG).await, Pulse::Ok, "what runs goes on");
}

#[tokio::test]
async fn the_empty_answer_says_when_something_can_happen() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::new("w1");
    let grant = stage.claim(&mut worker).await.unwrap();
    stage.fail(&grant, Duration::from_millis(200)).await;
    worker.nonce += 1;
    match stage.queue.claim(&stage.source, &worker.claimant(), None).await.unwrap() {
        Claim::Empty { ask_again, .. } => {
            assert!((20..=200).contains(&ask_again.as_millis()), "{ask_again:?}");
        }
        Claim::Granted(grant) => panic!("{grant:?}"),
    }
}

#[tokio::test]
async fn enqueue_is_idempotent() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1200);
    let chunks: Vec<_> = (0..1200).map(|n| entry(n, 1)).collect();
    let first = stage.queue.enqueue(&run, &chunks).await.unwrap();
    stage.queue.adopt(&stage.source).await.unwrap();
    assert_eq!((first.added, first.reopened), (1200, 0));
    let mut worker = Worker::new("w1");
    let grant = stage.claim(&mut worker).await.unwrap();
    let before = stage.queue.known(&stage.source, &run.run).await.unwrap();
    let again = stage.queue.enqueue(&run, &chunks).await.unwrap();
    assert_eq!((again.added, again.reopened), (0, 0));
    assert_eq!(stage.queue.known(&stage.source, &run.run).await.unwrap(), before);
    assert!(stage.complete(&grant).await);
    let again = stage.queue.enqueue(&run, &chunks).await.unwrap();
    assert_eq!((again.added, again.reopened), (0, 0));
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 1);
    assert_eq!(stage.count(&run, ChunkState::Available).await, 1199);
    assert_eq!(stage.queue.sources(run.kind).await.unwrap(), std::slice::from_ref(&stage.source));
}

#[tokio::test]
async fn further_chunks_are_news_and_the_same_ones_again_are_none() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 4);
    let source = std::slice::from_ref(&stage.source);
    let news = || async { stage.queue.news(run.kind, source).await.unwrap() };
    assert_eq!(news().await, [""]);
    let mut heard = vec![];
    for days in [0..2, 0..4] {
        stage.enqueue(&run, days.clone()).await;
        let now = news().await;
        assert!(!heard.contains(&now), "{heard:?} {now:?}");
        stage.enqueue(&run, days).await;
        assert_eq!(news().await, now);
        heard.push(now);
    }
}
