//! One Chromium process, and the one thread that talks to it. The only place that knows `headless_chrome`.
//!
//! - [`binary`]: which Chromium, and whether it starts; [`launch`]: one process, its profile and its end
//! - [`bridge`]: how it is talked to, so that nobody else of this host can
//! - [`leftovers`]: what a killed worker left behind
//! - [`seat`]: what the thread can do with its page; [`tabs`]: the one that it works in, and others that pages open
//! - [`input`]: mouse and keys; [`held`]: the session that it holds
//! - [`watch`]: what the browser tells by itself, each thing as in [`told`]
//! - [`protocol`]: what the crate does not read of today's Chromium
//!
//! A call into the crate blocks, and its own time-outs break the connection. So the page's scripts end by
//! themselves, and a deadline here kills the process: the call in flight then fails at once.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

pub(crate) mod binary;
mod bridge;
mod held;
mod input;
pub(crate) mod launch;
pub(crate) mod leftovers;
mod protocol;
pub(crate) mod seat;
pub(crate) mod tabs;
mod told;
pub(crate) mod watch;

pub(crate) use input::Mouse;
pub(crate) use launch::Launch;
use launch::Process;
pub(crate) use seat::Seat;
use watch::Watch;

/// How long a browser may take to start.
const START: Duration = Duration::from_secs(60);
/// How much longer than a script's own limit the thread may be silent.
pub(crate) const SLACK: Duration = Duration::from_secs(10);

/// Between two looks at what a page told.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a browser could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChromeError {
    /// It does not start.
    #[error("chromium does not start: {0}")]
    Start(String),
    /// It is gone: killed, crashed, or its connection broke.
    #[error("the browser is gone: {0}")]
    Gone(String),
    /// It was silent past its deadline, and was killed.
    #[error("the page hung: no answer within {} s, the browser was killed", .0.as_secs())]
    Hung(Duration),
    /// The document that a script ran in is there no more.
    #[error("the page went away while it was read")]
    ContextLost,
    /// The document was gone before a script began to run in it.
    #[error("the page went away before it was read")]
    NoContext,
    /// A script in the page failed.
    #[error("{0}")]
    Script(String),
    /// The page could not be opened.
    #[error("the page cannot be reached: {0}")]
    Navigation(String),
    /// The browser answered otherwise than it should.
    #[error("the browser answered: {0}")]
    Protocol(String),
}

impl ChromeError {
    /// The browser can be used no more.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Gone(_) | Self::Hung(_))
    }
}

/// Work for the browser's thread.
type Job = Box<dyn FnOnce(&Seat) + Send>;

/// A running browser. When this is dropped, its process ends, and all that it wrote goes.
pub(crate) struct Chrome {
    jobs: mpsc::Sender<Job>,
    process: Arc<Process>,
    /// What it told by itself.
    pub(crate) watch: Arc<Watch>,
    started: Instant,
    /// Chunks that it has worked on.
    pub(crate) uses: u32,
    /// The session that it holds.
    pub(crate) session: Option<u64>,
}

impl Chrome {
    /// Starts a browser with a profile of its own.
    pub(crate) async fn start(launch: Launch) -> Result<Self, ChromeError> {
        let (ready_sender, ready) = oneshot::channel();
        let (jobs, work) = mpsc::channel::<Job>();
        let begun = Begun::default();
        let early = begun.0.clone();
        let spawned = std::thread::Builder::new().name("browser".to_owned());
        // the process dies with the thread that launched it: one thread for its whole life
        let thread = spawned.spawn(move || serve(&launch, &early, ready_sender, &work));
        thread.map_err(|e| ChromeError::Start(format!("no thread for it: {e}")))?;
        let (process, watch) = match timeout(START, ready).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(_)) => return Err(ChromeError::Start("its thread broke down".to_owned())),
            Err(_) => return Err(ChromeError::Start(format!("no answer within {} s", START.as_secs()))),
        };
        begun.0.take();
        Ok(Self { jobs, process, watch, started: Instant::now(), uses: 0, session: None })
    }

    /// Has the thread do something, which ends within `limit` by itself; else the browser is killed.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Seat) -> Result<T, ChromeError> + Send + 'static,
    ) -> Result<T, ChromeError> {
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |seat| drop(sender.send(work(seat))));
        self.jobs.send(job).map_err(|_| self.gone())?;
        // nobody listens any more: what hangs is cut off when the browser is dropped
        match timeout(limit + SLACK, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(self.gone())),
            Err(_) => {
                self.process.kill();
                Err(ChromeError::Hung(limit))
            }
        }
    }

    /// Waits until it is worth looking again at what the page told: a dead browser tells nothing any more.
    pub(crate) async fn look_again(&self) -> Result<(), ChromeError> {
        tokio::time::sleep(LOOK_AGAIN).await;
        if self.process.lives() { Ok(()) } else { Err(self.gone()) }
    }

    fn gone(&self) -> ChromeError {
        ChromeError::Gone(self.process.last_words())
    }

    /// Where downloads land.
    pub(crate) fn downloads(&self) -> std::path::PathBuf {
        self.process.downloads()
    }

    /// Bytes that it holds, shared pages counted by their share; 0 when the system does not tell.
    pub(crate) fn memory(&self) -> u64 {
        self.process.memory()
    }

    /// How long it has been running.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // whatever its thread waits for fails now; with no more jobs to come, the thread cleans up
        self.process.kill();
    }
}

/// A process that cannot be talked to yet: whoever gives up waiting for it ends it.
#[derive(Default)]
struct Begun(Arc<Early>);

/// The process, from its launch until somebody owns it.
#[derive(Default)]
struct Early(Mutex<Option<Arc<Process>>>);

impl Early {
    fn put(&self, process: Arc<Process>) {
        *launch::locked(&self.0) = Some(process);
    }

    fn take(&self) -> Option<Arc<Process>> {
        launch::locked(&self.0).take()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.take().inspect(|process| process.kill());
    }
}

type Ready = oneshot::Sender<Result<(Arc<Process>, Arc<Watch>), ChromeError>>;

/// The thread: launches, then does one job after the other until nobody can ask any more.
fn serve(launch: &Launch, early: &Early, ready: Ready, work: &mpsc::Receiver<Job>) {
    let process = match Process::launch(launch) {
        Ok(process) => Arc::new(process),
        Err(error) => return drop(ready.send(Err(error))),
    };
    early.put(process.clone());
    if ready.is_closed() {
        return process.end();
    }
    let seat = match Seat::take(&process, &launch.clock) {
        Ok(seat) => seat,
        Err(error) => {
            process.end();
            return drop(ready.send(Err(ChromeError::Start(format!("{error}; {}", process.last_words())))));
        }
    };
    if ready.send(Ok((process.clone(), seat.watch.clone()))).is_ok() {
        while let Ok(job) = work.recv() {
            job(&seat);
        }
    }
    process.end();
}

#[cfg(test)]
mod tests {
    use nstore_shared::config::spec::browser::BrowserClock;

    use super::*;

    /// The crate itself waits 20 s for what a dead browser will never do.
    const MISSED: Duration = Duration::from_secs(10);

    async fn kill(launch: &Launch) -> usize {
        let profiles = launch.profiles.clone();
        tokio::task::spawn_blocking(move || leftovers::kill_all_of(&profiles)).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_browser_that_dies_while_it_starts_is_missed_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let binary = nstore_shared::chromium::find(None).unwrap();
        let sandbox = !rustix::process::getuid().is_root();
        let clock = BrowserClock::of_zone(chrono_tz::UTC);
        let launch = Launch { binary, sandbox, profiles: dir.path().to_owned(), clock };
        for lived in (0..).map(|n| Duration::from_millis(n * 100)) {
            let start = tokio::spawn(Chrome::start(launch.clone()));
            tokio::time::sleep(lived).await;
            let (started, since, mut killed) = (start.is_finished(), Instant::now(), 0);
            // more than once: what is just becoming another program is overlooked
            while killed == 0 || !start.is_finished() {
                killed += kill(&launch).await;
                assert!(since.elapsed() < MISSED, "after {lived:?}");
            }
            let gone = match start.await.unwrap() {
                Ok(chrome) => {
                    chrome.ask(MISSED, |seat| seat.goto("about:blank")).await.map(drop).unwrap_err()
                }
                Err(error) => error,
            };
            assert!(gone.is_final(), "after {lived:?}: {gone}");
            if started {
                return;
            }
        }
    }
}
