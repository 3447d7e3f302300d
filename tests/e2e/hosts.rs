//! Workers, the coordinator, Redis, PostgreSQL and the source on addresses of their own, and cables that are pulled.
//!
//! It takes root, who may make networks; `make test` says so where it is left out.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use nstore_tests::{
    context::{
        Fault, Process, Proxy, Running, certificates,
        hosts::{Host, Network},
        own_postgres, own_redis,
    },
    simulator::{Api, Options},
};

use crate::house::{House, LEASE, LONG, eventually};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-08-20 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --parallel-workers 8 --upload";
const CHUNKS: i64 = 40;

/// A service of this machine, to be reached at an address of the network.
async fn serve(at: Ipv4Addr, url: &str) -> Proxy {
    let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    let target: SocketAddr = authority.rsplit('@').next().unwrap().parse().unwrap();
    Proxy::at(SocketAddr::new(at.into(), target.port()), target).await
}

fn at(url: &str, host: &str) -> String {
    url.replace("127.0.0.1", host)
}

/// A process of the house on a host of its own, where the services have other addresses.
fn on(host: &Host, process: Process, env: &[(String, String)]) -> Running {
    let process = env.iter().fold(process, |process, (name, value)| process.env(name, value));
    host.process(&process).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_cut_off_and_redis_moves_and_nothing_is_lost_or_doubled() {
    let latency = Duration::from_millis(150);
    let mut house = House::with(Options { rows_per_day: 300, latency, ..Options::default() }).await;
    let (redis, postgres) = (own_redis(true), own_postgres());
    house.context.postgres.url = postgres.url();
    // as a server elsewhere must, it proves its name
    let made = certificates();
    postgres.speak_tls(&made.wrong_name).await;
    let mut network = Network::new();
    let [first, second, database, source] = [11, 12, 13, 14].map(|last| network.service(last));
    let redis_proxy = serve(first, &redis.url()).await;
    let _postgres = serve(database, &postgres.url()).await;
    let _source = serve(source, &house.simulator.url).await;
    let services = [
        ("NSTORE_REDIS_URL".to_owned(), at(&redis.url(), "redis.test")),
        (
            "NSTORE_POSTGRES_URL".to_owned(),
            format!("{}?sslrootcert={}", at(&postgres.url(), "elsewhere.example"), made.ca.display()),
        ),
    ];
    let apis = house.simulator.env().into_iter().map(|(name, value)| (name, at(&value, &source.to_string())));
    let env: Vec<_> = services.into_iter().chain(apis).collect();

    let hosts: Vec<Host> = (0..9).map(|_| network.host()).collect();
    hosts.iter().for_each(|host| host.know(&[("redis.test", first), ("elsewhere.example", database)]));
    let (office, halls) = hosts.split_first().unwrap();
    let workers: Vec<Running> =
        halls.iter().map(|hall| on(hall, house.worker_process(1, LEASE), &env)).collect();
    let job = on(office, house.nstore(RUN), &env);

    // one worker's host and the coordinator's, in the middle of their work
    eventually(|| async { (house.simulator.requests().len() >= 12).then_some(()) }).await;
    halls[0].cut();
    office.cut();
    tokio::time::sleep(LEASE * 3).await;
    halls[0].mend();
    office.mend();

    // the old address is gone without a word: connections to it stay open for ever, and answer nothing
    redis_proxy.harm("", usize::MAX, Fault::Blackhole);
    let _moved = serve(second, &redis.url()).await;
    network.leave(first);
    hosts.iter().for_each(|host| host.know(&[("redis.test", second), ("elsewhere.example", database)]));

    let exit = job.wait_exit(LONG).await;
    let log: Vec<String> = workers.iter().map(Running::stderr).collect();
    assert_eq!(exit.code, Some(0), "{}\n{}\n{}", exit.stdout, exit.stderr, log.join("\n"));
    house.assert_equal(&[Api::BuyerOrders, Api::SellerOrders], "2025-08-01", "2025-08-20").await;
    assert_eq!(house.number("SELECT count(*) FROM nstore.ledger").await, CHUNKS);
    // the worker that was away leaves nothing behind: one artifact for each chunk, and the one that its marker names
    for worker in workers {
        worker.sigterm();
        let exit = worker.wait_exit(LONG).await;
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    }
    let run = house.runs().pop().unwrap();
    for source in ["buyer_orders", "seller_orders"] {
        assert_eq!(house.files(source, &run, ".csv").len(), 20, "{source}");
    }
}
