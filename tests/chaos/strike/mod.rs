//! How each fault is done, and undone. A strike ends when its fault has.

pub(crate) mod office;
mod postgres;
mod redis;
mod source;
mod store;
mod workers;

use std::time::Duration;

use crate::{
    schedule::Fault,
    world::{LEASE, World},
};
pub(crate) use office::Side;

/// Strikes, and waits for the fault's end.
pub(crate) async fn strike(
    world: &World,
    side: &Side,
    fault: Fault,
    mut rng: fastrand::Rng,
) -> anyhow::Result<()> {
    use Fault::*;
    match fault {
        KillWorker(step) => workers::kill(world, step, &mut rng).await,
        EndWorker => workers::end(world, &mut rng).await,
        FreezeWorker => workers::freeze_one(world, &mut rng).await,
        FreezeFleet => workers::freeze_all(world).await,
        Poison => workers::poison(world, side).await,
        Scale => workers::scale(world).await,
        BrowserKilled | BrowserFrozen => workers::browser(world, fault).await,
        RedisKilled | RedisRolledBack | RedisEmptied | RedisFrozen | RedisFull => {
            redis::server(world, fault, &mut rng).await
        }
        RedisClockBack | RedisClockJumps => redis::clock(world, fault).await,
        KeysLost => redis::lose_keys(world, &mut rng).await,
        PolicyEvicts => redis::evict(world).await,
        RepliesDropped | ConnectionsReset | HalfOpen | RedisSlow | RepliesCut | ManyReconnect => {
            redis::line(world, fault, &mut rng).await
        }
        BackendKilled | PostgresKilled | CutAtCommit | TableLocked | LongReader | DatabaseFull => {
            postgres::strike(world, fault).await
        }
        SecondLoader | KillCoordinator | KillSubmit | SubmitTogether | Cancel | Flood | TwoModes => {
            office::strike(world, side, fault, &mut rng).await
        }
        StoreRefuses | StoreSlow | StoreReplyLost | DiskFull | FlippedBit | Unreadable => {
            store::strike(world, side, fault).await
        }
        ClockAhead | ClockBehind | ClockJumps => clock(world, fault).await,
        SourceRateLimits | SourceFails | SourceHangs | SourceHalfBody | SourceEndless | SourceBadJson
        | SourceDrifts | TabOutOfMemory => source::strike(world, side, fault, &mut rng).await,
    }
}

async fn clock(world: &World, fault: Fault) -> anyhow::Result<()> {
    let times = match fault {
        Fault::ClockAhead => vec![HOUR],
        Fault::ClockBehind => vec![-HOUR],
        _ => vec![HOUR, -HOUR, 2 * HOUR, 0, HOUR],
    };
    for seconds in times {
        world.clock.set(seconds);
        tokio::time::sleep(LEASE / 2).await;
    }
    world.clock.set(0);
    Ok(())
}

/// In seconds.
const HOUR: i64 = 3600;

/// Up to so long.
fn some(rng: &mut fastrand::Rng, most: Duration) -> Duration {
    most.mul_f64(rng.f64())
}
