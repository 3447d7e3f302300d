//! Redis itself, and the way to it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use nstore_tests::context::{Fault as LineFault, say};
use tokio::net::TcpStream;

use super::{HOUR, some};
use crate::{
    schedule::Fault,
    world::{LEASE, World},
};

/// Of an append-only file's end: what a machine that dies has not written to disk.
const FORGOTTEN_BYTES: u64 = 20_000;
const CLIENTS: usize = 200;
/// Keys that are lost at once, at most.
const LOST_KEYS: usize = 12;
/// How much a Redis that evicts has to let go.
const EVICTED_BYTES: u64 = 20_000;

/// What is done to the server.
pub(super) async fn server(world: &World, fault: Fault, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    let url = &world.redis_url;
    match fault {
        Fault::RedisEmptied => drop(say(url, "FLUSHALL")),
        Fault::RedisFull => {
            say(url, "CONFIG SET maxmemory 1");
            tokio::time::sleep(LEASE).await;
            say(url, "CONFIG SET maxmemory 0");
        }
        Fault::RedisFrozen => {
            world.redis.lock().await.server.pause();
            tokio::time::sleep(LEASE * 2).await;
            world.redis.lock().await.server.resume();
        }
        _ => {
            let mut redis = world.redis.lock().await;
            redis.server.kill();
            tokio::time::sleep(some(rng, LEASE)).await;
            if fault == Fault::RedisRolledBack {
                forget(redis.server.dir())?;
            }
            redis.server.restart()?;
        }
    }
    Ok(())
}

/// Its clock is set back for good, as after a wrong boot, or jumps and comes back.
pub(super) async fn clock(world: &World, fault: Fault) -> anyhow::Result<()> {
    let now = world.redis_clock.seconds();
    let times = match fault {
        Fault::RedisClockBack => vec![now - HOUR],
        _ => vec![now + HOUR, now - HOUR, now + 2 * HOUR, now],
    };
    for seconds in times {
        world.redis_clock.set(seconds);
        tokio::time::sleep(LEASE / 2).await;
    }
    Ok(())
}

/// A few keys go, whichever.
pub(super) async fn lose_keys(world: &World, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    for _ in 0..rng.usize(1..=LOST_KEYS) {
        let answer = say(&world.redis_url, "RANDOMKEY");
        if let Some(key) = answer.lines().nth(1) {
            say(&world.redis_url, &format!("DEL {key}"));
        }
        tokio::time::sleep(some(rng, LEASE / 10)).await;
    }
    Ok(())
}

/// Somebody lets it evict, and it is full for a while.
pub(super) async fn evict(world: &World) -> anyhow::Result<()> {
    let url = &world.redis_url;
    let info = say(url, "INFO memory");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).context("its memory")?;
    let used: u64 = used.trim().parse()?;
    say(url, "CONFIG SET maxmemory-policy allkeys-random");
    say(url, &format!("CONFIG SET maxmemory {}", used.saturating_sub(EVICTED_BYTES)));
    tokio::time::sleep(LEASE / 4).await;
    say(url, "CONFIG SET maxmemory 0");
    tokio::time::sleep(LEASE).await;
    say(url, "CONFIG SET maxmemory-policy noeviction");
    Ok(())
}

/// Cuts the end of the append-only file off.
fn forget(dir: &Path) -> anyhow::Result<()> {
    let newest = std::fs::read_dir(dir.join("appendonlydir"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".incr.aof")))
        .max()
        .context("an append-only file")?;
    let file = std::fs::OpenOptions::new().write(true).open(newest)?;
    let bytes = file.metadata()?.len();
    Ok(file.set_len(bytes.saturating_sub(FORGOTTEN_BYTES))?)
}

/// What is done on the way.
pub(super) async fn line(world: &World, fault: Fault, rng: &mut fastrand::Rng) -> anyhow::Result<()> {
    if fault == Fault::ManyReconnect {
        return reconnect(world).await;
    }
    let lines = match rng.u8(..3) {
        0 => vec![&world.workers_line],
        1 => vec![&world.office_line],
        _ => vec![&world.workers_line, &world.office_line],
    };
    for line in &lines {
        match fault {
            Fault::RepliesDropped => line.harm("nstore_1_", 4, LineFault::DropReply),
            Fault::ConnectionsReset => line.harm("", 10, LineFault::Reset),
            Fault::HalfOpen => line.harm("", usize::MAX, LineFault::Blackhole),
            Fault::RedisSlow => line.harm("", usize::MAX, LineFault::Delay(LEASE)),
            _ => line.harm("nstore_1_", 6, LineFault::CutAfter(rng.usize(..8))),
        }
    }
    tokio::time::sleep(LEASE).await;
    lines.iter().for_each(|line| line.heal());
    Ok(())
}

/// All clients at once, and many more of them.
async fn reconnect(world: &World) -> anyhow::Result<()> {
    let address = world.workers_line.address;
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    say(&world.redis_url, "CLIENT KILL TYPE normal SKIPME yes");
    tokio::time::sleep(Duration::from_millis(200)).await;
    clients.into_iter().for_each(|client| client.abort());
    Ok(())
}
