//! `nstore serve`: stays, and loads the runs that were started with `--detach`.

use super::{
    access::{Access, Want},
    exit::Exit,
    interrupt::Interrupt,
};
use crate::{cli::Global, local::site::MAX_SLOTS, serve};

pub(super) async fn serve(global: &Global) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let access =
        Access::open(global, Want { postgres: true, slots: MAX_SLOTS, beside: false, ..Want::default() })
            .await?;
    let served = serve::serve(access.house.clone(), interrupt.wait(1)).await;
    access.close(Some(&interrupt)).await;
    served?;
    Ok(Exit::Good)
}
