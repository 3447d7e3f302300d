//! Ctrl-C, SIGTERM and a terminal that goes away: the first asks to stop, the second to hurry.

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Counts the requests to stop.
pub(super) struct Interrupt {
    count: watch::Receiver<u32>,
}

impl Interrupt {
    /// From now on a signal ends nothing by itself.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        let mut interrupt = on(SignalKind::interrupt())?;
        let mut terminate = on(SignalKind::terminate())?;
        let mut hangup = on(SignalKind::hangup())?;
        let (counter, count) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                counter.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count })
    }

    /// Ends once so many requests came.
    pub(super) fn wait(&self, times: u32) -> impl Future<Output = ()> + Send + use<> {
        let mut count = self.count.clone();
        async move {
            if count.wait_for(|count| *count >= times).await.is_err() {
                // no one counts any more: the runtime is going down
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether one came.
    pub(super) fn came(&self) -> bool {
        *self.count.borrow() > 0
    }
}
