//! Scenes of what comes into tables, and when.

use anyhow::{Context as _, bail, ensure};
use nstore_tests::{context::Fault as LineFault, simulator::Api};

use super::scene::{FIRST, Scene, until};
use crate::{oracle::Findings, strike::office, world::LEASE};

/// The last of four days.
const LAST: &str = "2025-08-04";
const DAYS: usize = 4;

/// Chunks of a table without a key are committed, and their loader does not hear of it.
pub(super) async fn the_reply_to_commit_is_lost(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, .. } = &scene;
    let run = scene.submit("seller_tickets", LAST, 1, "--upload").await?;
    let daemon = scene.daemon();
    until("someone who loads", async || daemon.stderr().contains(&run)).await?;
    // it registers the run once more: after that it has nothing to commit but loads
    tokio::time::sleep(LEASE / 2).await;
    world.postgres_line.harm("COMMIT", 3, LineFault::DropReply);
    let _worker = scene.worker();
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::SellerTickets, LAST).await
}

/// A letter of a stored file becomes another one.
pub(super) async fn a_stored_file_is_changed(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, side } = &scene;
    let run = scene.submit("buyer_orders", FIRST, 1, "--upload").await?;
    let _worker = scene.worker();
    let artifact = scene.stored("buyer_orders", &run, 1).await?.swap_remove(0);
    side.witness.damage(&artifact).await;
    let path = world.folder.dir.join(artifact);
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    let letter = bytes[middle..].iter_mut().find(|byte| byte.is_ascii_lowercase()).context("a letter")?;
    *letter ^= 1;
    std::fs::write(&path, bytes)?;
    let daemon = scene.daemon();
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::BuyerOrders, FIRST).await
}

/// Days that a table without a key holds are asked for by another run.
pub(super) async fn days_are_asked_for_again(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, .. } = &scene;
    let first = scene.submit("seller_tickets", LAST, 1, "--upload").await?;
    let (_worker, daemon) = (scene.worker(), scene.daemon());
    scene.ended(&first, &daemon).await?;
    let again = Scene::extract("seller_tickets", LAST, 1, "--upload");
    let exit = world.nstore(&again).run(LEASE * 10).await;
    match exit.code {
        Some(0) => scene.ended(&office::run_of(&exit)?, &daemon).await?,
        // refused, as it should be
        Some(2) => {}
        code => bail!("nstore {again}: {code:?}\n{}", exit.stderr),
    }
    scene.look_at(Api::SellerTickets, LAST).await
}

/// A run is cancelled while its load waits for the table.
pub(super) async fn a_run_is_cancelled_in_its_load(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, side } = &scene;
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                 WHERE c.relname = 'buyer_orders' AND NOT l.granted";
    let run = scene.submit("buyer_orders", FIRST, 1, "--upload").await?;
    let _worker = scene.worker();
    scene.stored("buyer_orders", &run, 1).await?;
    let (client, connection) = tokio_postgres::connect(&world.postgres_url, tokio_postgres::NoTls).await?;
    let running = tokio::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE public.buyer_orders IN ACCESS EXCLUSIVE MODE").await?;
    let _daemon = scene.daemon();
    until("a load that waits", async || world.number(waits).await == Some(1)).await?;
    let exit = world.nstore(&format!("cancel {run}")).run(LEASE * 10).await;
    ensure!(exit.code == Some(0), "cancel: {:?}\n{}", exit.code, exit.stderr);
    side.cancelled.lock().await.push((run.clone(), office::loaded(world, &run).await?));
    drop(client);
    running.await??;
    tokio::time::sleep(LEASE * 2).await;
    scene.look().await
}

/// Two runs replace the same days, and the one that was extracted first is loaded last.
pub(super) async fn older_data_comes_later(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, .. } = &scene;
    let _worker = scene.worker();
    let mut runs = vec![];
    for _ in 0..2 {
        let how = "--upload --upload-mode buyer_orders:replace_range";
        let run = scene.submit("buyer_orders", LAST, 1, how).await?;
        scene.stored("buyer_orders", &run, DAYS).await?;
        runs.push(run);
    }
    for run in runs.iter().rev() {
        world.good(&format!("load {run}")).await?;
    }
    scene.look_at(Api::BuyerOrders, LAST).await
}
