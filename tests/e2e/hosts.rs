//! Workers, the coordinator, Redis, PostgreSQL, S3 and the source on addresses of their own, and cables that are pulled.
//!
//! It takes root, who may make networks; `make test` says so where it is left out.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use nstore_tests::{
    context::{
        Fault, Process, Proxy, Room, Running, certificates,
        hosts::{Host, Network},
        own_postgres, own_redis, own_s3,
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
    let (redis, postgres, s3) = (own_redis(true), own_postgres(), own_s3().await);
    house.context.postgres.url = postgres.url();
    // as a server elsewhere must, it proves its name
    let made = certificates();
    postgres.speak_tls(&made.wrong_name).await;
    let mut network = Network::new();
    let [first, second, database, source, bucket] = [11, 12, 13, 14, 15].map(|last| network.service(last));
    let redis_proxy = serve(first, &redis.url()).await;
    let _postgres = serve(database, &postgres.url()).await;
    let _source = serve(source, &house.simulator.url).await;
    let _s3 = serve(bucket, &format!("http://{}", s3.address)).await;
    let storage = s3.env().into_iter().map(|(name, value)| (name, at(&value, "s3.test")));
    let database_url =
        format!("{}?sslrootcert={}", at(&postgres.url(), "elsewhere.example"), made.ca.display());
    let services = [
        ("NSTORE_REDIS_URL".to_owned(), at(&redis.url(), "redis.test")),
        ("NSTORE_POSTGRES_URL".to_owned(), database_url),
        ("NSTORE_STORAGE_URL".to_owned(), s3.url("team")),
        ("ALLOW_INSECURE".to_owned(), "true".to_owned()),
    ];
    let apis = house.simulator.env().into_iter().map(|(name, value)| (name, at(&value, &source.to_string())));
    let env: Vec<_> = services.into_iter().chain(storage).chain(apis).collect();

    let hosts: Vec<Host> = (0..9).map(|_| network.host()).collect();
    let know = |redis| {
        let names = [("redis.test", redis), ("elsewhere.example", database), ("s3.test", bucket)];
        hosts.iter().for_each(|host| host.know(&names));
    };
    know(first);
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
    know(second);

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
    let kept = s3.keys().await;
    for source in ["buyer_orders", "seller_orders"] {
        let folder = format!("team/chunks/{source}/");
        let artifacts = kept.iter().filter(|key| key.starts_with(&folder) && key.ends_with(".csv"));
        assert_eq!(artifacts.count(), 20, "{kept:?}");
    }
    assert_eq!(s3.unfinished().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_without_room_goes_on_when_there_is_some() {
    let house = House::with_rows(20).await;
    // claims ask for 256 MiB
    let room = Room::of(&house.context.storage.dir, 300).unwrap().unwrap();
    let days = "--start-date 2025-08-01 --end-date 2025-08-04";
    house.good(&format!("extract {days} --sources buyer_orders --detach --upload")).await;
    let run = house.newest_run().await;
    let (mut worker, filled) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut worker = house.worker(2);
            worker.wait_for("no room for another chunk", LONG).await;
            worker
        },
        room.fill(Duration::from_secs(4)),
    );
    filled.unwrap();
    house.good(&format!("resume {run}")).await;
    assert!(worker.is_running());
    house.assert_equal(&[Api::BuyerOrders], "2025-08-01", "2025-08-04").await;
}
