//! PostgreSQL, and those who stand in the loader's way there.

use std::time::Duration;

use nstore_tests::context::Fault as LineFault;

use crate::{
    schedule::Fault,
    world::{LEASE, World},
};

const COPYING: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY%' \
                       AND state = 'active' AND pid <> pg_backend_pid()";
const ANY: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                   AND pid <> pg_backend_pid()";

pub(super) async fn strike(world: &World, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::BackendKilled => {
            let end = tokio::time::Instant::now() + LEASE;
            while tokio::time::Instant::now() < end {
                if world.number(COPYING).await.is_some_and(|ended| ended > 0) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.number(ANY).await;
        }
        Fault::PostgresKilled => {
            let mut postgres = world.postgres.lock().await;
            postgres.server.kill();
            tokio::time::sleep(LEASE / 2).await;
            postgres.server.restart()?;
        }
        Fault::CutAtCommit => {
            world.postgres_line.harm("COMMIT", 3, LineFault::DropReply);
            tokio::time::sleep(LEASE).await;
            world.postgres_line.heal();
        }
        Fault::TableLocked => {
            hold(world, "LOCK TABLE public.buyer_orders IN ACCESS EXCLUSIVE MODE", LEASE * 2).await;
        }
        Fault::DatabaseFull => {
            if let Some(room) = &world.tables_room {
                room.fill(LEASE).await?;
            }
        }
        _ => hold(world, "SELECT count(*) FROM public.buyer_tickets", LEASE * 2).await,
    }
    Ok(())
}

/// Keeps a transaction open; there may be no such table yet.
async fn hold(world: &World, sql: &str, time: Duration) {
    let Ok((client, connection)) = tokio_postgres::connect(&world.postgres_url, tokio_postgres::NoTls).await
    else {
        return;
    };
    let running = tokio::spawn(connection);
    if client.batch_execute(&format!("BEGIN; {sql}")).await.is_ok() {
        tokio::time::sleep(time).await;
    }
    drop(client);
    drop(running.await);
}
