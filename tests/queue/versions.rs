//! Builds of several versions on one server: libraries side by side, and what an older one refuses.

use nstore_shared::{
    chunk::ChunkState,
    redis::{RedisError, queue::Pulse},
};
use nstore_tests::context::{self, Process};

use crate::stage::{LONG, Stage, Worker, day};

const LIBRARY: &str = include_str!("../../shared/src/redis/nstore.lua");

/// What `redis-cli` says.
pub(crate) async fn cli(url: &str, args: &[&str]) -> String {
    let cli = Process::new("/usr/bin/redis-cli").args(["-u", url]).args(args.iter().copied());
    let exit = cli.run(LONG).await;
    format!("{}{}", exit.stdout, exit.stderr)
}

/// The library as a build of another version has it.
fn library(name: &str, format: u32) -> String {
    let (name_is, format_is) = ("nstore_1", "local FORMAT = 1");
    assert!(LIBRARY.contains(name_is) && LIBRARY.contains(format_is));
    LIBRARY.replace(name_is, name).replace(format_is, &format!("local FORMAT = {format}"))
}

#[tokio::test]
async fn a_build_of_another_text_works_beside_this_one() {
    let own = context::own_redis(false);
    let url = own.url();
    let stage = Stage::at(&url, "nstore").await;
    assert_eq!(cli(&url, &["FUNCTION", "LOAD", &library("nstore_0", 1)]).await.trim(), "nstore_0");
    let run = stage.parallel("run", 4, 3);
    stage.enqueue(&run, 0..3).await;
    let key = format!("nstore:{{{}}}", stage.source);
    // a library that is new on a server takes that for a restart, and would wait for a lease
    cli(&url, &["FCALL", "nstore_0_adopt", "1", &key]).await;
    let claim = ["FCALL", "nstore_0_claim", "1", &key, "older", "1", "60000", "0"];
    let granted = cli(&url, &claim).await;
    assert!(granted.contains("grant") && granted.contains(&day(0).to_string()), "{granted}");
    let grant = stage.claim(&mut Worker::new("newer")).await.unwrap();
    assert_eq!(grant.chunk.range, day(1), "each knows of the other's grants");
    assert_eq!(stage.beat(&grant, LONG).await, Pulse::Ok);
    let listed = cli(&url, &["FUNCTION", "LIST"]).await;
    let names: Vec<&str> = listed.lines().filter(|line| line.trim().starts_with("nstore_")).collect();
    assert!(listed.contains("nstore_0") && names.iter().any(|name| name.contains("nstore_1")), "{listed}");
}

#[tokio::test]
async fn an_older_build_refuses_what_a_newer_one_has_written_and_says_both_versions() {
    let own = context::own_redis(false);
    let url = own.url();
    let stage = Stage::at(&url, "nstore").await;
    let run = stage.parallel("run", 4, 3);
    stage.enqueue(&run, 0..3).await;
    let mut worker = Worker::new("w");
    let grant = stage.claim(&mut worker).await.unwrap();
    // a newer worker comes
    let key = format!("nstore:{{{}}}", stage.source);
    cli(&url, &["FUNCTION", "LOAD", &library("nstore_2", 2)]).await;
    // which ends the lease of the older one, as time would
    cli(&url, &["FCALL", "nstore_2_adopt", "1", &key]).await;
    let claim = ["FCALL", "nstore_2_claim", "1", &key, "newer", "1", "60000", "0"];
    let granted = cli(&url, &claim).await;
    assert!(granted.contains("grant"), "{granted}");

    let (queue, source) = (&stage.queue, &stage.source);
    let refused: [Result<(), RedisError>; 6] = [
        queue.claim(source, &Worker::new("late").claimant(), None).await.map(drop),
        queue.report(&crate::stage::fact(&grant, ChunkState::Completed)).await.map(drop),
        queue.progress(source, &run.run).await.map(drop),
        queue.known(source, &run.run).await.map(drop),
        queue.pause(source, None, true).await,
        queue.cancel(source, &run.run).await,
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, RedisError::Newer { found: 2, known: 1, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("format 2") && text.contains("format 1") && text.contains("update"), "{text}");
    }
    // nothing was changed by that, and another source is not concerned
    let counts = cli(&url, &["HMGET", &format!("{key}:run:run"), "a", "r", "c", "x"]).await;
    assert_eq!(counts.split_whitespace().collect::<Vec<_>>(), ["2", "1"], "{counts}");
    let other = Stage::at(&url, "nstore").await;
    other.enqueue(&run_of(&other), 0..1).await;
    assert!(other.claim(&mut Worker::new("w")).await.is_some());
}

fn run_of(stage: &Stage) -> nstore_shared::redis::queue::RunEntry {
    stage.parallel("run", 4, 1)
}
