//! The queue, the fleet, the vault and budgets on a cluster of three nodes: what belongs together lies together.

use std::time::Duration;

use nstore_shared::{
    chunk::{ChunkState, Kind},
    config::spec::budget::Budget,
    redis::{
        Redis, RedisError,
        budget::TimeSlot,
        queue::{Pulse, Tally},
        vault::{Turn, VaultKey},
    },
};
use nstore_tests::context::{self, COORDINATOR, RedisCluster, WORKER, say};

use crate::{
    against_model,
    servers::card,
    stage::{LONG, Stage, Worker, fact, held},
};

/// So many sources that each node has some, whatever their names are: all but three in ten million times.
const SOURCES: usize = 40;

async fn stages(cluster: &RedisCluster) -> Vec<Stage> {
    let mut stages = Vec::new();
    for _ in 0..SOURCES {
        stages.push(Stage::at(&cluster.url(COORDINATOR), "nstore").await);
    }
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_lie_on_all_nodes_and_each_is_worked_off() {
    let cluster = RedisCluster::start().await;
    let stages = stages(&cluster).await;
    let mut beats = Vec::new();
    let mut worker = Worker::new("w");
    for stage in &stages {
        let run = stage.sequential("run", 2);
        stage.enqueue(&run, 0..2).await;
        beats.push((held(&stage.claim(&mut worker).await.unwrap()), Tally::default()));
    }
    for node in &cluster.nodes {
        let size = say(&node.url(), "DBSIZE");
        assert_ne!(size, ":0\r\n", "{SOURCES} sources, and none of them lies on {}", node.url());
        assert!(say(&node.url(), "FUNCTION LIST").contains("nstore_1_"), "{}", node.url());
    }
    // one heartbeat for leases on all nodes
    assert_eq!(stages[0].queue.heartbeat(&beats, LONG).await.unwrap(), [Pulse::Ok; SOURCES]);
    assert_eq!(stages[0].queue.sources(Kind::Api).await.unwrap().len(), SOURCES);
    for node in &cluster.nodes {
        say(&node.url(), "FUNCTION FLUSH");
    }
    // what one source's chunk came to is told with a claim of another source, on another node
    for (at, stage) in stages.iter().enumerate() {
        let (other, run) = (&stages[(at + 1) % SOURCES], stage.sequential("run", 2));
        let done = fact(&stage.claim_again(&mut worker).await, ChunkState::Completed);
        other.queue.claim(&other.source, &worker.claimant(), Some(&done)).await.unwrap();
        assert_eq!(stage.state(&run, 0).await, Some(ChunkState::Completed));
        assert_eq!(stage.queue.hints(&stage.source, &run.run, 0).await.unwrap().len(), 1);
        stage.reopen(&run, 0, 2).await;
        stage.queue.cancel(&stage.source, &run.run).await.unwrap();
        stage.queue.forget(&stage.source, &run.run).await.unwrap();
        assert_eq!(stage.queue.progress(&stage.source, &run.run).await.unwrap(), None);
    }
}

#[test]
fn random_histories_on_a_cluster_agree_with_the_model() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(RedisCluster::start());
    against_model::histories_agree(&runtime, 8, &cluster.url(COORDINATOR), "nstore");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_the_vault_and_budgets_work_there_too() {
    let cluster = RedisCluster::start().await;
    let redis = Redis::connect(&cluster.url(WORKER), "nstore").await.unwrap();
    let looks = Redis::connect(&cluster.url(COORDINATOR), "nstore").await.unwrap();
    assert!(looks.check().await.unwrap().version.starts_with(char::is_numeric));
    for id in ["a", "b", "c"] {
        assert!(!redis.fleet().announce(&card(id), LONG).await.unwrap());
    }
    assert_eq!(looks.fleet().workers().await.unwrap(), ["a", "b", "c"].map(card));
    looks.fleet().drain("b").await.unwrap();
    assert!(redis.fleet().announce(&card("b"), LONG).await.unwrap());
    redis.fleet().leave("b").await.unwrap();
    assert_eq!(looks.fleet().workers().await.unwrap(), ["a", "c"].map(card));
    let vault = redis.vault(VaultKey::random());
    for name in ["one", "two", "three", "four"].map(|name| name.parse().unwrap()) {
        let turn = vault.turn(&name, "w", LONG, LONG).await.unwrap();
        let Turn::Mine(held) = turn else { panic!("{turn:?}") };
        let put = vault.put(&name, b"session", LONG).await.unwrap();
        assert!(vault.unlock(&held).await.unwrap());
        assert_eq!(vault.get(&name).await.unwrap().unwrap().bytes, b"session");
        assert!(vault.forget(&name, put).await.unwrap());
    }
    for key in ["one", "two", "three", "four"] {
        let budget = Budget { key: key.parse().unwrap(), rate: "10/s".parse().unwrap(), burst: 1 };
        let TimeSlot::In(_) = redis.budgets().take(&budget).await.unwrap() else { panic!("a first slot") };
        redis.budgets().hold(&budget.key, LONG).await.unwrap();
        let told = redis.budgets().take(&budget).await.unwrap();
        assert!(matches!(told, TimeSlot::Later { held: true, .. }), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_the_wrong_form_says_the_right_one() {
    let cluster = RedisCluster::start().await;
    let refusal = async |url: &str| Redis::connect(url, "nstore").await.map(|_| ()).unwrap_err();
    let node = context::as_user(&cluster.nodes[0].url(), WORKER);
    let error = refusal(&node).await;
    assert!(matches!(error, RedisError::Unfit { .. }), "{error}");
    assert!(error.to_string().contains("write redis+cluster://"), "{error}");
    let alone = context::own_redis(false);
    let error = refusal(&alone.url().replace("redis://", "redis+cluster://")).await;
    assert!(error.to_string().contains("write redis://"), "{error}");
    let error = refusal(&format!("{}/main", alone.url().replace("redis://", "redis+sentinel://"))).await;
    assert!(error.to_string().contains("sentinel"), "{error}");
    let wrong = refusal(&cluster.url(WORKER).replacen("nstore-worker@", "wrong@", 1)).await;
    assert!(matches!(wrong, RedisError::Refused { .. }), "{wrong}");
    let away = refusal("redis+cluster://127.0.0.1:1,127.0.0.1:2").await;
    assert!(away.may_pass(), "{away}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_takes_only_its_own_sources_away() {
    let cluster = RedisCluster::start().await;
    // without its third the cluster would refuse all
    for node in &cluster.nodes {
        say(&node.url(), "CONFIG SET cluster-require-full-coverage no");
    }
    let stages = stages(&cluster).await;
    for stage in &stages {
        stage.enqueue(&stage.sequential("run", 1), 0..1).await;
    }
    cluster.nodes[2].kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let run = "run".parse().unwrap();
    let asked = stages.iter().map(|stage| stage.queue.progress(&stage.source, &run));
    let mut answered = 0;
    for answer in futures::future::join_all(asked).await {
        match answer {
            Ok(progress) => answered += usize::from(progress.is_some()),
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
    assert!((1..SOURCES).contains(&answered), "{answered}");
}
