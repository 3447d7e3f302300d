//! Storage that refuses, is slow, is full, or holds something else than was written.

use std::time::Duration;

use anyhow::Context as _;
use nstore_tests::context::Fault as LineFault;

use super::office::Side;
use crate::{
    schedule::Fault,
    world::{LEASE, World},
};

pub(super) async fn strike(world: &World, side: &Side, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::DiskFull => {
            if let Some(room) = &world.storage_room {
                room.fill(LEASE).await?;
            }
        }
        Fault::FlippedBit => {
            tokio::time::timeout(LEASE * 2, flip(world, side)).await.unwrap_or(Ok(()))?;
        }
        _ => {
            let line = world.s3_line.as_ref().context("a round on S3")?;
            match fault {
                Fault::StoreRefuses => line.harm("", usize::MAX, LineFault::status("503 Slow Down")),
                Fault::StoreSlow => line.harm("", usize::MAX, LineFault::Delay(LEASE / 4)),
                _ => line.harm("PUT ", 3, LineFault::DropReply),
            }
            tokio::time::sleep(LEASE).await;
            line.heal();
        }
    }
    Ok(())
}

/// Flips a bit of the next artifact whose marker stands.
async fn flip(world: &World, side: &Side) -> anyhow::Result<()> {
    let markers = |keys: &[String]| -> Vec<String> {
        let orders = keys.iter().filter(|key| key.starts_with("chunks/buyer_orders/"));
        orders.filter(|key| key.ends_with(".json") && !key.ends_with(".void.json")).cloned().collect()
    };
    let before = markers(&world.keys().await);
    loop {
        let keys = world.keys().await;
        let fresh = markers(&keys).into_iter().find(|marker| !before.contains(marker));
        let of = fresh.as_deref().and_then(|marker| marker.strip_suffix("json"));
        let artifact = of.and_then(|of| keys.iter().find(|key| key.starts_with(of) && key.ends_with(".csv")));
        if let Some(artifact) = artifact {
            side.witness.damage(artifact).await;
            let path = world.folder.dir.join(artifact);
            let mut bytes = std::fs::read(&path)?;
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
                std::fs::write(&path, bytes)?;
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
