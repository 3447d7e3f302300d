//! Storage that refuses, is slow, is full, or holds something else than was written.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
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
        Fault::Unreadable => unreadable(world).await?,
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

/// Manifests that are forged, damaged and of a newer nstore lie beside the others for a while: lists name them and go on.
async fn unreadable(world: &World) -> anyhow::Result<()> {
    let documents =
        [("forged-cut", "{\"version\": "), ("forged-new", "{\"version\": 99}"), ("forged-odd", "[]")];
    let folder = |run: &str| world.folder.dir.join("runs").join(run);
    for (run, text) in documents {
        std::fs::create_dir_all(folder(run))?;
        std::fs::write(folder(run).join("manifest.json"), text)?;
    }
    for list in ["runs", "clean --older-than 1000d"] {
        let end = Instant::now() + LEASE * 20;
        loop {
            let exit = world.nstore(list).run(LEASE * 20).await;
            let told = format!("{}{}", exit.stdout, exit.stderr);
            if exit.code == Some(0) && documents.iter().all(|(run, _)| told.contains(run)) {
                break;
            }
            // another fault may keep it from its services
            ensure!(Instant::now() < end, "nstore {list}: {:?}\n{told}", exit.code);
            tokio::time::sleep(LEASE / 4).await;
        }
    }
    for (run, _) in documents {
        std::fs::remove_dir_all(folder(run))?;
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
