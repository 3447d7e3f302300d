//! Scenes of workers that stand still, and of what they store.

use nstore_tests::{
    context::Fault as LineFault,
    simulator::{
        Api,
        faults::{Fault as SourceFault, FaultKind},
    },
};
use rustix::process::Signal;

use super::scene::{FIRST, Scene, until};
use crate::{oracle::Findings, world::LEASE};

/// Where an API of the scene says that a window is too large.
const CAP: u16 = 418;

/// A worker stands still in the middle of a sequential source, and wakes up when others are far ahead. It has not
/// heard from Redis by then.
pub(super) async fn a_worker_wakes_up_long_after_its_lease(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, .. } = &scene;
    // a chunk takes several requests
    world.edit("sources/seller_orders.yaml", "limit: 250", "limit: 5");
    let run = scene.submit("seller_orders", "2025-08-05", 1, "--upload").await?;
    let frozen = scene.worker();
    let starts = || {
        let mut starts: Vec<String> = vec![];
        for request in world.simulator.requests() {
            let start = request.query.split('&').find(|pair| pair.starts_with("since_ms="));
            starts.extend(start.map(str::to_owned).filter(|start| !starts.contains(start)));
        }
        starts.len()
    };
    until("a chunk in the middle", async || world.simulator.requests().len() >= 2).await?;
    // by now it waits for the next answer: no step is half done
    tokio::time::sleep(LEASE / 20).await;
    frozen.signal(Signal::STOP);
    world.workers_line.harm("", usize::MAX, LineFault::Blackhole);
    let (_other, daemon) = (world.worker_by(&world.office_line).start(), scene.daemon());
    until("chunks behind it", async || starts() >= 3).await?;
    frozen.signal(Signal::CONT);
    tokio::time::sleep(LEASE).await;
    world.workers_line.heal();
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::SellerOrders, "2025-08-05").await
}

/// More is to be asked of a source at once than its budget gives.
pub(super) async fn workers_share_a_budget(scene: Scene) -> anyhow::Result<Findings> {
    let last = "2025-08-20";
    let run = scene.submit("buyer_orders", last, 1, "--parallel-workers 4 --upload").await?;
    let (_workers, daemon) = ([scene.worker(), scene.worker()], scene.daemon());
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::BuyerOrders, last).await
}

/// A worker's marker is on its way for so long that another worker's stands when it arrives.
pub(super) async fn a_marker_arrives_late(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, side } = &scene;
    let late = LEASE * 5;
    let run = scene.submit("buyer_orders", FIRST, 1, "--upload").await?;
    let marker = format!("chunks/buyer_orders/{run}/2025-08-01_2025-08-02.g1.json");
    let line = scene.store_line()?;
    line.harm(&scene.request("PUT", &marker)?, 1, LineFault::Delay(late));
    let frozen = scene.worker();
    until("a marker on its way", async || line.met() == 1).await?;
    frozen.signal(Signal::STOP);
    let arrives = tokio::time::Instant::now() + late;
    let _other = world.worker_by(&world.office_line).start();
    until("another's marker", async || world.keys().await.contains(&marker)).await?;
    side.witness.look(world).await?;
    tokio::time::sleep_until(arrives + LEASE / 2).await;
    frozen.signal(Signal::CONT);
    tokio::time::sleep(LEASE).await;
    let daemon = scene.daemon();
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::BuyerOrders, FIRST).await
}

/// A marker is written, and its writer does not hear of it.
pub(super) async fn the_reply_to_a_marker_is_lost(scene: Scene) -> anyhow::Result<Findings> {
    let run = scene.submit("buyer_orders", FIRST, 1, "--upload").await?;
    let marker = format!("chunks/buyer_orders/{run}/2025-08-01_2025-08-02.g1.json");
    scene.store_line()?.harm(&scene.request("PUT", &marker)?, 1, LineFault::DropReply);
    let (_worker, daemon) = (scene.worker(), scene.daemon());
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::BuyerOrders, FIRST).await
}

/// A loader does not find a file and voids its outcome, another one loads it meanwhile; when the chunk is extracted
/// again, its source says that it holds too much.
pub(super) async fn a_loaded_chunk_meets_a_cap(scene: Scene) -> anyhow::Result<Findings> {
    let Scene { world, side } = &scene;
    let (source, last) = ("seller_tickets", "2025-08-02");
    let split = format!(
        "mapping: seller_tickets\nerror_handlers: [{{ when: {{ codes: [{CAP}] }}, action: split_window }}]"
    );
    world.edit("sources/seller_tickets.yaml", "mapping: seller_tickets", &split);
    let run = scene.submit(source, last, 2, "--upload").await?;
    let _worker = scene.worker();
    let artifact = scene.stored(source, &run, 1).await?.swap_remove(0);
    let void = format!("chunks/{source}/{run}/2025-08-01_2025-08-03.g1.void.json");
    let line = scene.store_line()?;
    side.witness.damage(&artifact).await;
    line.harm(&scene.request("GET", &artifact)?, 1, LineFault::status("404 Not Found"));
    line.harm(&scene.request("PUT", &void)?, 1, LineFault::Delay(LEASE * 2));
    let capped = SourceFault { status: Some(CAP), ..SourceFault::new(source, FaultKind::ErrorBurst) };
    world.simulator.fault(capped);
    let daemon = scene.daemon();
    until("a void on its way", async || line.met() == 2).await?;
    world.nstore(&format!("load {run}")).run(LEASE * 10).await;
    until("the void", async || world.keys().await.contains(&void)).await?;
    let again = format!("chunks/{source}/{run}/2025-08-01_2025-08-03.g2.json");
    until("its next outcome", async || world.keys().await.contains(&again)).await?;
    scene.ended(&run, &daemon).await?;
    scene.look_at(Api::SellerTickets, last).await
}
