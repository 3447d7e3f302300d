//! Facts that a marker proves, from whomever; generations.

use nstore_shared::{
    chunk::ChunkState,
    redis::queue::{ChunkEntry, Fact, GiveBack, Grant, Pulse, Tally},
};

use crate::stage::{LONG, SHORT, Stage, Worker, day, entry, fact};

/// A worker that lost its lease to another: the zombie's grant and the living one's.
async fn zombie(stage: &Stage) -> (Grant, Grant) {
    let mut dead = Worker::with_lease("zombie", SHORT);
    let old = stage.claim(&mut dead).await.unwrap();
    let mut live = Worker::new("live");
    let mut new = None;
    while new.is_none() {
        tokio::time::sleep(SHORT / 4).await;
        new = stage.claim(&mut live).await;
    }
    (old, new.unwrap())
}

#[tokio::test]
async fn a_zombies_fail_and_heartbeat_are_refused() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 1);
    stage.enqueue(&run, 0..1).await;
    let (old, new) = zombie(&stage).await;
    assert_eq!(old.chunk, new.chunk);
    assert_eq!(stage.beat(&old, LONG).await, Pulse::Lost);
    assert!(!stage.fail(&old, LONG).await);
    assert!(!stage.give_back(&old, GiveBack::Release).await);
    assert_eq!(stage.beat(&new, LONG).await, Pulse::Ok);
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Running));
}

#[tokio::test]
async fn a_zombies_proved_fact_counts_once_and_frees_no_slot_of_another() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 2);
    stage.enqueue(&run, 0..2).await;
    let (old, new) = zombie(&stage).await;
    assert!(stage.complete(&old).await);
    assert!(!stage.complete(&old).await);
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 1);
    // the living one works still, so nobody else may start
    let mut third = Worker::new("third");
    assert!(stage.claim(&mut third).await.is_none());
    assert_eq!(stage.beat(&new, LONG).await, Pulse::Lost);
    assert!(stage.claim(&mut third).await.is_none());
    assert!(!stage.complete(&new).await, "the same outcome counts once");
    let next = stage.claim(&mut third).await.unwrap();
    assert_eq!(next.chunk.range, day(1));
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!((progress.chunks[&ChunkState::Completed], progress.done.rows), (1, 10));
}

#[tokio::test]
async fn a_slot_whose_holder_stays_silent_ends_with_its_lease() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 2);
    stage.enqueue(&run, 0..2).await;
    let mut holder = Worker::with_lease("holder", SHORT);
    let grant = stage.claim(&mut holder).await.unwrap();
    let proved = Fact { by: None, ..fact(&grant, ChunkState::Completed) };
    assert!(stage.queue.report(&proved).await.unwrap());
    let mut other = Worker::new("other");
    assert!(stage.claim(&mut other).await.is_none());
    let mut next = None;
    while next.is_none() {
        tokio::time::sleep(SHORT / 4).await;
        next = stage.claim(&mut other).await;
    }
    assert_eq!(next.unwrap().chunk.range, day(1));
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Completed));
}

#[tokio::test]
async fn a_lower_generation_is_ignored() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 1);
    stage.enqueue(&run, 0..1).await;
    let mut worker = Worker::new("w1");
    let first = stage.claim(&mut worker).await.unwrap();
    stage.reopen(&run, 0, 2).await;
    assert_eq!(stage.beat(&first, LONG).await, Pulse::Lost, "a higher one takes it away");
    assert!(!stage.fail(&first, LONG).await);
    assert!(!stage.complete(&first).await);
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Available));
    stage.reopen(&run, 0, 1).await;
    let second = stage.claim(&mut worker).await.unwrap();
    assert_eq!((second.generation, second.by.attempt), (2, 1));
    assert!(stage.complete(&second).await);
    assert!(!stage.complete(&first).await);
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 1);
}

#[tokio::test]
async fn an_ended_chunk_is_reopened_by_a_higher_generation_or_when_nothing_proves_it() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 2);
    stage.enqueue(&run, 0..2).await;
    let mut worker = Worker::new("w1");
    let grant = stage.claim(&mut worker).await.unwrap();
    assert!(stage.queue.report(&fact(&grant, ChunkState::Discarded)).await.unwrap());
    let unproven = |n| ChunkEntry { unproven: true, ..entry(n, 1) };
    let changed = stage.queue.enqueue(&run, &[entry(0, 1)]).await.unwrap();
    assert_eq!((changed.added, changed.reopened), (0, 0));
    let changed = stage.queue.enqueue(&run, &[unproven(0), unproven(1)]).await.unwrap();
    assert_eq!((changed.added, changed.reopened), (0, 1), "what has not ended is left alone");
    let grant = stage.claim(&mut worker).await.unwrap();
    assert_eq!(grant.chunk.range, day(0));
    assert!(stage.complete(&grant).await);
    let changed = stage.queue.enqueue(&run, &[entry(0, 2)]).await.unwrap();
    assert_eq!(changed.reopened, 1);
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!(progress.chunks[&ChunkState::Available], 2);
    assert_eq!(progress.done, Tally::default(), "what it brought counts no more");
}

#[tokio::test]
async fn a_fact_about_an_unknown_chunk_is_kept() {
    let stage = Stage::new().await;
    let run = stage.sequential("run", 2);
    let proved = Fact {
        chunk: stage.chunk(&run.run, 0),
        generation: 3,
        state: ChunkState::Completed,
        by: None,
        tally: Tally { pages: 1, rows: 7, bytes: 9 },
        error: None,
    };
    assert!(stage.queue.report(&proved).await.unwrap());
    stage.enqueue(&run, 0..2).await;
    stage.queue.adopt(&stage.source).await.unwrap();
    assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Completed));
    let mut worker = Worker::new("w1");
    assert_eq!(stage.claim(&mut worker).await.unwrap().chunk.range, day(1));
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!(progress.done.rows, 7);
}

#[tokio::test]
async fn a_fact_of_another_source_travels_with_a_claim() {
    let (here, there) = (Stage::new().await, Stage::new().await);
    let there = Stage { queue: here.queue.clone(), redis: here.redis.clone(), ..there };
    let (first, second) = (here.parallel("run", 1, 1), there.parallel("run", 1, 1));
    here.enqueue(&first, 0..1).await;
    there.enqueue(&second, 0..1).await;
    let mut worker = Worker::new("w1");
    let grant = here.claim(&mut worker).await.unwrap();
    assert!(there.next(&mut worker, &fact(&grant, ChunkState::Split)).await.is_some());
    assert_eq!(here.state(&first, 0).await, Some(ChunkState::Split));
}

#[tokio::test]
async fn many_facts_go_at_once_and_each_says_whether_it_changed_anything() {
    let stage = Stage::new().await;
    let run = stage.parallel("run", 4, 300);
    stage.enqueue(&run, 0..300).await;
    let fact = |n| Fact {
        chunk: stage.chunk(&run.run, n),
        generation: 1,
        state: if n % 2 == 0 { ChunkState::Completed } else { ChunkState::Discarded },
        by: None,
        tally: Tally { pages: 1, rows: 2, bytes: 3 },
        error: None,
    };
    let changed = stage.queue.report_all((0..200).map(fact).collect()).await.unwrap();
    assert_eq!(changed, [true; 200]);
    let changed = stage.queue.report_all((150..250).map(fact).collect()).await.unwrap();
    assert_eq!(changed, [[false; 50], [true; 50]].concat(), "in the order that they were given in");
    assert_eq!(stage.count(&run, ChunkState::Completed).await, 125);
    assert_eq!(stage.count(&run, ChunkState::Available).await, 50);
    let progress = stage.queue.progress(&stage.source, &run.run).await.unwrap().unwrap();
    assert_eq!(progress.done.rows, 500);
    assert_eq!(stage.queue.report_all(vec![]).await.unwrap(), [] as [bool; 0]);
}
