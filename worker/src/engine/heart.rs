//! The heart: one task per worker renews all its leases, shows their progress and says that the worker lives.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nstore_shared::{
    health::Sign,
    redis::{
        fitness::{FitnessChange, FitnessWatch},
        fleet::{Holding, WorkerCard},
        queue::{Held, Pulse, Tally},
    },
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use tracing::{info, warn};

use super::{bench::Bench, lease::Ended};

/// How long a worker that ends waits for Redis to take its card down.
const LEAVE: Duration = Duration::from_secs(1);

/// Beats three times a lease until `end` comes (or its sender is gone), then takes the worker's card down. Each beat
/// that Redis has answered is a sign of life. Tells `drain` once the worker is asked to end.
pub(super) async fn beat(
    bench: Arc<Bench>,
    mut card: WorkerCard,
    mut fitness: FitnessWatch,
    sign: Option<Sign>,
    mut end: oneshot::Receiver<()>,
    drain: watch::Sender<bool>,
) {
    let every = bench.lease / 3;
    loop {
        card.lacks = bench.lacks();
        card.holds = bench.leases.beats().iter().map(|(held, tally)| holding(held, *tally)).collect();
        card.draining = *drain.borrow();
        card.clock_ahead_ms = bench.redis.once(bench.fleet.clock_ahead_ms()).await;
        let (renewed, announced) = tokio::join!(renew(&bench), announce(&bench, &card));
        if let Some(sign) = sign.as_ref().filter(|_| renewed && announced.is_some()) {
            sign.give();
        }
        match fitness.look().await {
            Some(change @ FitnessChange::Unfit(_)) => warn!("{change}"),
            Some(change @ FitnessChange::Fit) => info!("{change}"),
            None => {}
        }
        if announced == Some(true) && !drain.send_replace(true) {
            // the card says so at once
            continue;
        }
        // after an outage leases are to be re-asserted soon
        let wait =
            if renewed && announced.is_some() { every } else { every.mul_f64(0.2 + 0.6 * fastrand::f64()) };
        tokio::select! {
            _ = &mut end => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    if !bench.redis.is_away() {
        // a card that stays is gone with its lease
        drop(timeout(LEAVE, bench.fleet.leave(&card.id)).await);
    }
}

/// Whether the worker is asked to drain, if Redis answers.
async fn announce(bench: &Bench, card: &WorkerCard) -> Option<bool> {
    bench.redis.once(bench.fleet.announce(card, bench.lease)).await
}

fn holding(held: &Held, tally: Tally) -> Holding {
    let (chunk, attempt) = (held.chunk.clone(), held.by.attempt);
    let Tally { pages, rows, bytes } = tally;
    Holding { source: chunk.source, run: chunk.run, chunk: chunk.range, attempt, pages, rows, bytes }
}

/// One heartbeat for all leases in hand.
async fn renew(bench: &Bench) -> bool {
    let beats = bench.leases.beats();
    if beats.is_empty() {
        return true;
    }
    let before = Instant::now();
    let Some(answers) = bench.redis.once(bench.queue.heartbeat(&beats, bench.lease)).await else {
        return false;
    };
    for ((held, _), pulse) in beats.iter().zip(answers) {
        match pulse {
            Pulse::Ok => bench.leases.renew(held, before + bench.lease),
            Pulse::Cancel => bench.leases.end(held, Ended::Cancelled),
            Pulse::Lost => bench.leases.end(held, Ended::Lost),
        }
    }
    true
}
