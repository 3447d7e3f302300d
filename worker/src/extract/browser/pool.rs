//! The browsers of a worker: one per slot, kept between chunks of the same login and clock, replaced before they grow old.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nstore_shared::{chromium, config::spec::browser::BrowserClock};
use tracing::{debug, info};

use super::{
    chrome::{Chrome, ChromeError, Launch, binary, leftovers},
    login::millis,
};
use crate::extract::host::BrowserConfig;

/// Chunks that one browser works on.
const USES: u32 = 50;
/// How long it lives.
const AGE: Duration = Duration::from_secs(3600);
/// What it may hold after a chunk, in bytes.
const MEMORY: u64 = 1 << 30;

/// What a browser must be to serve a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The login that it holds.
    pub(super) login: String,
    /// Its clock and language.
    pub(super) clock: BrowserClock,
}

/// A browser that nobody uses right now.
struct Idle {
    chrome: Chrome,
    key: Key,
}

/// The browsers of a worker.
pub(crate) struct Pool {
    launch: Launch,
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// Looks for the program, tries it out, and removes what killed workers left behind.
    ///
    /// # Errors
    /// When no browser can be started here: what is missing, and what to do.
    pub(crate) async fn open(config: &BrowserConfig) -> Result<Self, String> {
        let told = |error: ChromeError| error.to_string();
        let binary = chromium::find(config.binary.as_deref()).map_err(|e| e.to_string())?;
        let folder = tokio::task::spawn_blocking(leftovers::own_folder).await;
        let profiles = folder
            .map_err(|e| e.to_string())?
            .map_err(|e| format!("no folder for the browsers' profiles: {e}"))?;
        // each source brings a clock of its own
        let clock = BrowserClock::of_zone(chrono_tz::UTC);
        let launch = Launch { binary, sandbox: !config.no_sandbox, profiles, clock };
        let version = match binary::try_out(&launch).await {
            Ok(version) => version,
            Err(error) => {
                leftovers::remove(&launch.profiles);
                return Err(told(error));
            }
        };
        let sandbox = if launch.sandbox { "on" } else { "off: NSTORE_BROWSER_SANDBOX says so" };
        info!(version, sandbox, "browser found");
        Ok(Self { launch, idle: Mutex::default() })
    }

    /// A browser that holds this login and has this clock, or a fresh one.
    pub(super) async fn take(&self, key: &Key) -> Result<Chrome, ChromeError> {
        let kept = {
            let mut idle = self.idle();
            let at = idle.iter().position(|one| one.key == *key);
            let kept = at.map(|at| idle.swap_remove(at).chrome);
            // one browser per slot: a fresh one takes the place of another login's
            let other = if kept.is_none() { idle.pop() } else { None };
            drop(idle);
            drop(other);
            kept
        };
        let mut chrome = match kept {
            Some(chrome) => chrome,
            None => {
                let asked = Instant::now();
                let chrome =
                    Chrome::start(Launch { clock: key.clock.clone(), ..self.launch.clone() }).await?;
                debug!(ms = millis(asked.elapsed()), "browser started");
                chrome
            }
        };
        chrome.uses += 1;
        chrome.watch.clear();
        Ok(chrome)
    }

    /// Keeps a browser for the next chunk, unless it has grown old. What broke is dropped instead.
    pub(super) fn give_back(&self, chrome: Chrome, key: &Key) {
        let (uses, age, memory) = (chrome.uses, chrome.age(), chrome.memory());
        if is_worn(uses, age, memory) {
            info!(uses, seconds = age.as_secs(), mib = memory >> 20, "browser replaced");
            return;
        }
        debug!(uses, mib = memory >> 20, "browser kept");
        self.idle().push(Idle { chrome, key: key.clone() });
    }

    /// Ends all browsers, those at work too, and removes what they wrote.
    pub(crate) async fn close(self: &Arc<Self>) {
        let pool = self.clone();
        // a task that breaks down leaves the rest to the next worker's start
        let _ = tokio::task::spawn_blocking(move || pool.end()).await;
    }

    fn end(&self) {
        self.idle().clear();
        leftovers::kill_all_of(&self.launch.profiles);
        leftovers::remove(&self.launch.profiles);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a browser has grown old: by chunks, by time, by bytes.
fn is_worn(uses: u32, age: Duration, memory: u64) -> bool {
    uses >= USES || age >= AGE || memory >= MEMORY
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_by_itself_makes_a_browser_old() {
        let second = Duration::from_secs(1);
        assert!(!is_worn(1, Duration::ZERO, 0), "memory that the system does not tell is none");
        assert!(!is_worn(USES - 1, AGE - second, MEMORY - 1));
        assert!(is_worn(USES, second, 1));
        assert!(is_worn(1, AGE, 1));
        assert!(is_worn(1, second, MEMORY));
    }
}
