//! `nstore drain WORKER`: it claims nothing more, finishes what it has, and ends.

use std::time::Duration;

use nstore_shared::{
    redis::fleet::{Fleet, Standing},
    terminal,
};

use super::{
    access::{Access, Want},
    exit::{Exit, Refusal},
    interrupt::Interrupt,
    view,
};
use crate::cli::{DrainArgs, Global};

/// How often `--wait` looks.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn drain(global: &Global, args: &DrainArgs) -> anyhow::Result<Exit> {
    if global.local {
        let text = "the workers of --local end with the command that started them";
        let hint = "Ctrl-C on that command drains them; nstore local stop ends what a killed one left behind";
        return Err(Refusal::new(Exit::Usage, text, hint).into());
    }
    let interrupt = Interrupt::listen()?;
    let access = Access::open(global, Want::default()).await?;
    let fleet = access.house.redis.fleet();
    match fleet.standing(&args.worker).await? {
        Standing::Lives(_) => fleet.drain(&args.worker).await?,
        Standing::Lost => return Err(lost(&args.worker).into()),
        Standing::Unknown => return Err(unknown(&args.worker).into()),
    }
    if args.wait {
        return ended(&fleet, &args.worker, &interrupt).await;
    }
    view::print(&format!(
        "worker {} is asked to drain: it claims nothing more once it has heard that, and ends with its chunks\n\
         nstore workers shows how far it is",
        args.worker
    ));
    Ok(Exit::Good)
}

/// Waits until the worker has ended. Asks again as long as it lives, as Redis may have lost that it was asked.
async fn ended(fleet: &Fleet, worker: &str, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let mut told = String::new();
    loop {
        match fleet.standing(worker).await? {
            Standing::Unknown => {
                view::print(&format!("worker {worker} has ended"));
                return Ok(Exit::Good);
            }
            Standing::Lost => return Err(lost(worker).into()),
            Standing::Lives(card) => {
                fleet.drain(worker).await?;
                let now = view::workers::left(&card);
                if now != told {
                    terminal::tell(&now);
                    told = now;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = interrupt.wait(1) => {
                terminal::tell(&format!("no longer waited for; worker {worker} drains all the same"));
                return Ok(Exit::Partial);
            }
        }
    }
}

fn unknown(worker: &str) -> Refusal {
    let text = format!("no worker `{}` lives", worker.escape_debug());
    Refusal::new(
        Exit::Usage,
        text,
        "`nstore workers` shows those that do; one that is started again has a new name",
    )
}

fn lost(worker: &str) -> Refusal {
    let text =
        format!("worker {worker} was asked to drain and is not heard any more: it was killed, or is cut off");
    let hint = "its chunks run again elsewhere once their leases have lapsed; if it comes back it drains";
    Refusal::new(Exit::Failed, text, hint)
}
