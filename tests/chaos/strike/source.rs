//! Sources that fail.

use nstore_shared::retry::FailureClass;
use nstore_tests::simulator::{
    Api,
    faults::{Fault as SourceFault, FaultKind},
};

use super::office::Side;
use crate::{
    schedule::Fault,
    world::{LEASE, World},
};

pub(super) async fn strike(
    world: &World,
    side: &Side,
    fault: Fault,
    rng: &mut fastrand::Rng,
) -> anyhow::Result<()> {
    let api = Api::HTTP[rng.usize(..Api::HTTP.len())];
    let (kind, times) = match fault {
        Fault::SourceRateLimits => (FaultKind::RateLimit, 3),
        Fault::SourceFails => (FaultKind::ErrorBurst, 4),
        Fault::SourceHangs => (FaultKind::Hang, 2),
        Fault::SourceHalfBody => (FaultKind::HalfBody, 3),
        Fault::SourceEndless => (FaultKind::Endless, 2),
        Fault::SourceBadJson => (FaultKind::BadJson, 2),
        Fault::SourceDrifts => (FaultKind::Drift, 1),
        _ => (FaultKind::Oom, 1),
    };
    let source = if kind == FaultKind::Oom { "network_observability" } else { api.name() };
    let refused = match kind {
        FaultKind::Drift => Some(FailureClass::Data),
        // of what has no halves
        FaultKind::Endless => Some(FailureClass::Config),
        _ => None,
    };
    side.refused.lock().await.extend(refused.map(|class| (source, class)));
    world.simulator.fault(SourceFault::new(source, kind).times(times));
    tokio::time::sleep(LEASE).await;
    world.simulator.clear_faults();
    Ok(())
}
