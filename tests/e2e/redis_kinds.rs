//! Whole jobs on a Redis of another kind: a cluster, a primary that dies and is followed by another, by TLS. Workers
//! and coordinators are the users that are shipped.

use std::time::Duration;

use nstore_tests::{
    context::{COORDINATOR, Redis, RedisCluster, RedisNode, RedisPair, WORKER, as_user, certificates, say},
    simulator::{Api, Options},
};

use crate::house::{House, LONG, eventually};

const SOURCES: &str = "buyer_orders,buyer_tickets,seller_orders,seller_tickets";
const APIS: [Api; 4] = [Api::BuyerOrders, Api::BuyerTickets, Api::SellerOrders, Api::SellerTickets];

async fn house(url: impl Fn(&str) -> String) -> House {
    let latency = Duration::from_millis(30);
    let mut house = House::with(Options { rows_per_day: 400, latency, ..Options::default() }).await;
    house.context.redis =
        Redis { url: url(COORDINATOR), worker_url: url(WORKER), prefix: "nstore".to_owned() };
    house
}

fn command() -> String {
    let sizes: Vec<String> = SOURCES.split(',').map(|source| format!("{source}:2")).collect();
    format!(
        "extract --start-date 2025-08-01 --end-date 2025-08-12 --sources {SOURCES} --chunk-sizes {} --upload",
        sizes.join(",")
    )
}

async fn assert_whole(house: &House) {
    house.assert_equal(&APIS, "2025-08-01", "2025-08-12").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_job_on_a_cluster() {
    let cluster = RedisCluster::start().await;
    let house = house(|user| cluster.url(user)).await;
    let _workers = [house.worker(2), house.worker(2)];
    house.good(&command()).await;
    assert_whole(&house).await;
    let keys: Vec<String> = cluster.nodes.iter().map(|node| say(&node.url(), "KEYS nstore:{*")).collect();
    assert!(keys.iter().filter(|keys| keys.contains("nstore:{")).count() > 1, "all on one node: {keys:?}");
    let listed = house.good("workers").await;
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_is_followed_by_its_replica_and_nothing_is_lost() {
    let pair = RedisPair::start().await;
    let house = house(|user| pair.url(user)).await;
    let _workers = [house.worker(2), house.worker(2)];
    let job = house.nstore(&command()).start();
    eventually(|| async { (house.simulator.requests().len() >= 3).then_some(()) }).await;
    pair.primary.kill();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert_whole(&house).await;
    assert!(say(&pair.replica.url(), "ROLE").contains("master"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_job_by_tls() {
    let certificates = certificates();
    let ca = certificates.ca.display().to_string();
    let node = RedisNode::with_tls(&certificates.good, &ca, &[]).await;
    let tls = format!("rediss://localhost:{}?ca={ca}", node.port());
    let mut house = house(|user| as_user(&tls, user)).await;
    let _worker = house.worker(4);
    house.good(&command()).await;
    assert_whole(&house).await;
    let tried = house.run("config test-connections --sources buyer_orders").await;
    assert!(tried.stdout.contains("rediss://nstore-coordinator:***@localhost"), "{}", tried.stdout);

    // a host that does not trust the authority refuses, and says what is missing
    let untrusting = as_user(&tls[..tls.find('?').unwrap()], COORDINATOR);
    house.env.push(("NSTORE_REDIS_URL".into(), untrusting.clone()));
    let refused = house.run("workers").await;
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("?ca=FILE"), "{}", refused.stderr);
    house.env.push(("NSTORE_REDIS_URL".into(), format!("{untrusting}#insecure")));
    let warned = house.good("workers").await;
    assert_eq!(warned.stderr.matches("is not checked (#insecure)").count(), 1, "{}", warned.stderr);
}
