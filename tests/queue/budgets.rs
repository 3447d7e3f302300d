//! Budgets: how often a source may be asked, whoever asks, also when Redis has lost what it granted.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::budget::Budget,
    redis::{
        Redis,
        budget::{Budgets, TimeSlot},
    },
};
use nstore_tests::context::{self, OwnRedis, own_redis, say, unique};
use tokio::task::JoinSet;

/// How far ahead of its time a slot is granted at most.
const HORIZON: Duration = Duration::from_millis(250);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn budget(rate: &str, burst: u32) -> Budget {
    Budget { key: unique("budget").parse().unwrap(), rate: rate.parse().unwrap(), burst }
}

/// As so many workers would connect.
async fn budgets<const N: usize>() -> [Budgets; N] {
    let redis = context::redis();
    let connected =
        (0..N).map(async |_| Redis::connect(&redis.worker_url, &redis.prefix).await.unwrap().budgets());
    futures::future::join_all(connected).await.try_into().ok().unwrap()
}

/// The first slot of a budget of which nobody knows what was granted before.
async fn fresh(what: &str, budgets: &Budgets, budget: &Budget) {
    assert_eq!(budgets.take(budget).await.unwrap(), TimeSlot::In(HORIZON), "{what}");
}

/// The next slot, as its time from now; what is to come later is waited for.
async fn slot(budgets: &Budgets, budget: &Budget) -> Duration {
    loop {
        match budgets.take(budget).await.unwrap() {
            TimeSlot::In(wait) => return wait,
            TimeSlot::Later { wait, .. } => tokio::time::sleep(wait).await,
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
    // these times hold the way from the server
    assert!(most <= rate + burst as usize + 2, "{most} in a second");
    let span = *times.last().unwrap() - times[0];
    let least = SECOND * (TAKERS * EACH - burst as usize) as u32 / rate as u32;
    assert!(span * 10 >= least * 9 && span < least * 2, "{span:?} for what takes {least:?}");
}

/// A Redis of its own, and who grants slots there.
async fn own() -> (OwnRedis, Budgets) {
    let own = own_redis(true);
    let budgets = Redis::connect(&own.url(), "test").await.unwrap().budgets();
    (own, budgets)
}

/// Writes a field of a budget: a time so many seconds from now, as if it had been written long ago or by another clock.
fn set(own: &OwnRedis, budget: &Budget, field: &str, seconds: i64) {
    let at = chrono::Utc::now().timestamp_micros() + seconds * 1_000_000;
    say(&own.url(), &format!("HSET test:{{budget:{}}} {field} {at}", budget.key));
}

/// None is to be had for about so long.
async fn later(what: &str, budgets: &Budgets, budget: &Budget, seconds: u32) {
    let told = budgets.take(budget).await.unwrap();
    let TimeSlot::Later { wait, held: false } = told else { panic!("{what}: {told:?}") };
    assert!(wait <= SECOND * seconds && wait > SECOND * (seconds - 10), "{what}: {wait:?}");
}

#[tokio::test]
async fn after_a_rest_a_burst_may_leave_at_once_and_no_more() {
    let (own, budgets) = own().await;
    let budget = budget("1/min", 3);
    fresh("never seen", &budgets, &budget).await;
    later("no burst yet", &budgets, &budget, 60).await;
    set(&own, &budget, "next", -600);
    for _ in 0..3 {
        assert_eq!(budgets.take(&budget).await.unwrap(), TimeSlot::In(Duration::ZERO));
    }
    later("the burst is over", &budgets, &budget, 60).await;
}

#[tokio::test]
async fn what_the_source_asks_of_one_holds_for_all() {
    let ([one, other], budget) = (budgets().await, budget("100/s", 1));
    tokio::time::sleep(slot(&one, &budget).await).await;
    let (asked, patience) = (Instant::now(), SECOND * 3);
    one.hold(&budget.key, patience).await.unwrap();
    one.hold(&budget.key, Duration::from_millis(1)).await.unwrap();
    let told = other.take(&budget).await.unwrap();
    assert!(matches!(told, TimeSlot::Later { wait, held: true } if wait <= patience), "{told:?}");
    let wait = slot(&other, &budget).await;
    assert!(asked.elapsed() + wait >= patience, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn no_slot_is_granted_twice_when_redis_has_lost_what_it_granted() {
    let (mut own, budgets) = own().await;
    let budget = budget("1/min", 4);
    fresh("never seen", &budgets, &budget).await;
    let rested = || set(&own, &budget, "next", -600);
    rested();
    assert_eq!(budgets.take(&budget).await.unwrap(), TimeSlot::In(Duration::ZERO), "nothing was lost");

    say(&own.url(), "FLUSHALL");
    fresh("emptied", &budgets, &budget).await;
    later("emptied: no burst", &budgets, &budget, 60).await;

    // what stands there by the source's word alone is no memory of slots
    say(&own.url(), "FLUSHALL");
    budgets.hold(&budget.key, SECOND * 60).await.unwrap();
    let told = budgets.take(&budget).await.unwrap();
    assert!(matches!(told, TimeSlot::Later { held: true, .. }), "{told:?}");
    set(&own, &budget, "until", -1);
    fresh("emptied, then held", &budgets, &budget).await;
    later("emptied, then held: no burst", &budgets, &budget, 60).await;

    // as a primary finds it that was a replica for a while
    rested();
    say(&own.url(), &format!("HSET test:{{budget:{}}} boot another", budget.key));
    fresh("granted by another", &budgets, &budget).await;

    rested();
    own.server.kill();
    own.server.restart().unwrap();
    let budgets = Redis::connect(&own.url(), "test").await.unwrap().budgets();
    fresh("started anew", &budgets, &budget).await;
    later("started anew: no burst", &budgets, &budget, 60).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_nothing() {
    let (own, budgets) = own().await;
    let budget = budget("10/s", 1);
    fresh("never seen", &budgets, &budget).await;
    set(&own, &budget, "next", 3600);
    let wait = tokio::time::timeout(SECOND * 10, slot(&budgets, &budget)).await.expect("a slot, and soon");
    assert!(wait <= HORIZON, "{wait:?}");
}
