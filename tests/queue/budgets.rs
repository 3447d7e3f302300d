//! Budgets: how often a source may be asked, whoever asks, also when Redis has lost what it granted.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::budget::Budget,
    redis::{
        Redis,
        budget::{Budgets, Slot},
    },
};
use nstore_tests::context::{self, say, unique};
use tokio::task::JoinSet;

/// How far ahead of its time a slot is granted at most.
const HORIZON: Duration = Duration::from_millis(250);
/// What a call may take on a loaded machine.
const CALL: Duration = Duration::from_millis(150);
const SECOND: Duration = Duration::from_secs(1);

fn budget(rate: &str, burst: u32) -> Budget {
    Budget { key: unique("budget").parse().unwrap(), rate: rate.parse().unwrap(), burst }
}

/// As so many workers would connect.
async fn budgets<const N: usize>() -> [Budgets; N] {
    let redis = context::redis();
    let connected =
        (0..N).map(async |_| Redis::connect(&redis.worker_url, &redis.prefix).await.unwrap().budgets());
    futures::future::join_all(connected).await.try_into().ok().unwrap()
}

/// The next slot, as its time from now; what is to come later is waited for.
async fn slot(budgets: &Budgets, budget: &Budget) -> Duration {
    loop {
        match budgets.take(budget).await.unwrap() {
            Slot::In(wait) => return wait,
            Slot::Later { wait, .. } => tokio::time::sleep(wait).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_together_get_no_more_slots_than_the_rate_and_the_burst_and_no_fewer() {
    const TAKERS: usize = 4;
    const EACH: usize = 40;
    let (rate, burst) = (50, 5);
    let budget = budget(&format!("{rate}/s"), burst);
    let mut takers = JoinSet::new();
    let began = Instant::now();
    for budgets in budgets::<TAKERS>().await {
        let budget = budget.clone();
        takers.spawn(async move {
            let mut times = vec![];
            for _ in 0..EACH {
                let wait = slot(&budgets, &budget).await;
                times.push(began.elapsed() + wait);
                tokio::time::sleep(wait).await;
            }
            times
        });
    }
    let mut times: Vec<Duration> = takers.join_all().await.into_iter().flatten().collect();
    times.sort_unstable();
    let at_once = |from: &Duration| times.iter().filter(|at| (*from..*from + SECOND).contains(*at)).count();
    let most = times.iter().map(at_once).max().unwrap();
    // one more, as these times hold the way from the server
    assert!(most <= rate + burst as usize + 1, "{most} in a second");
    let span = *times.last().unwrap() - times[0];
    let least = SECOND * (TAKERS * EACH - burst as usize) as u32 / rate as u32;
    assert!(span + CALL >= least && span < least * 2, "{span:?} for what takes {least:?}");
}

#[tokio::test]
async fn after_a_rest_a_burst_may_leave_at_once_and_no_more() {
    let ([budgets], budget) = (budgets().await, budget("2/s", 3));
    let first = slot(&budgets, &budget).await;
    assert!(first <= HORIZON && first + CALL >= HORIZON, "nobody knows what was granted before: {first:?}");
    tokio::time::sleep(first + Duration::from_secs(2)).await;
    for _ in 0..3 {
        assert_eq!(budgets.take(&budget).await.unwrap(), Slot::In(Duration::ZERO));
    }
    let next = slot(&budgets, &budget).await;
    assert!(next <= Duration::from_millis(500) && next > Duration::ZERO, "{next:?}");
}

#[tokio::test]
async fn what_the_source_asks_of_one_holds_for_all() {
    let ([one, other], budget) = (budgets().await, budget("100/s", 1));
    tokio::time::sleep(slot(&one, &budget).await).await;
    let held = Instant::now();
    one.hold(&budget.key, Duration::from_secs(3)).await.unwrap();
    one.hold(&budget.key, Duration::from_millis(1)).await.unwrap();
    match other.take(&budget).await.unwrap() {
        Slot::Later { wait, held: true } => {
            assert!(
                wait <= Duration::from_secs(3) && wait + HORIZON + CALL >= Duration::from_secs(3),
                "{wait:?}"
            );
        }
        told => panic!("{told:?}"),
    }
    let wait = slot(&other, &budget).await;
    let after = held.elapsed() + wait;
    assert!(after >= Duration::from_secs(3), "{after:?}");
}

#[tokio::test]
async fn no_slot_is_granted_twice_when_redis_loses_all_or_starts_anew() {
    let mut own = context::own_redis(true);
    let connect = async |url: String| Redis::connect(&url, "test").await.unwrap().budgets();
    let (budgets, budget) = (connect(own.url()).await, budget("10/s", 4));
    let fresh = |what: &str, wait: Duration| {
        assert!(wait <= HORIZON && wait + CALL >= HORIZON, "{what}: the first slot is in {wait:?}");
    };
    fresh("never seen", slot(&budgets, &budget).await);
    tokio::time::sleep(SECOND).await;
    assert_eq!(budgets.take(&budget).await.unwrap(), Slot::In(Duration::ZERO));
    say(&own.url(), "FLUSHALL");
    fresh("emptied", slot(&budgets, &budget).await);
    say(&own.url(), "FLUSHALL");
    // what stands there by the source's word alone is no memory of slots
    budgets.hold(&budget.key, Duration::from_millis(1)).await.unwrap();
    fresh("emptied, then held", slot(&budgets, &budget).await);
    tokio::time::sleep(SECOND).await;
    own.server.kill();
    own.server.restart().unwrap();
    let budgets = connect(own.url()).await;
    fresh("started anew", slot(&budgets, &budget).await);
    let next = budgets.take(&budget).await.unwrap();
    assert!(matches!(next, Slot::Later { held: false, .. }), "no burst either: {next:?}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_nothing() {
    let own = context::own_redis(false);
    let budgets = Redis::connect(&own.url(), "test").await.unwrap().budgets();
    let budget = budget("10/s", 1);
    slot(&budgets, &budget).await;
    // as if the last slot had been granted by a clock an hour ahead
    let ahead = chrono::Utc::now().timestamp_micros() + 3_600_000_000;
    say(&own.url(), &format!("HSET test:{{budget:{}}} next {ahead}", budget.key));
    let Slot::Later { wait, held: false } = budgets.take(&budget).await.unwrap() else { panic!("a slot") };
    assert!(wait < HORIZON, "{wait:?}");
}
