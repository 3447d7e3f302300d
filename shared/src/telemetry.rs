//! Tracing set-up for both binaries: to standard error, filtered by `NSTORE_LOG`.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::terminal;

/// What these crates say at finer levels are frames as they go over the wire, with passwords and cookies in them: not
/// written, whatever the filter asks for. The first tells each connection that ends, and calls it a warning.
const CAPS: [(&str, Level); 2] = [("headless_chrome", Level::ERROR), ("tungstenite", Level::WARN)];

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `NSTORE_LOG` holds a filter such as `info` or `nstore_worker=debug`;
/// `default` stands where it is not set. A second call changes nothing.
pub fn init(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("NSTORE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // no colours: what a source sent could not be told from them
    let lines = fmt::layer().with_ansi(false).with_writer(terminal::log);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // the only failure is "already started", as in tests that start several parts in one process
    drop(tracing_subscriber::registry().with(filter).with(filter_fn(may_be_written)).with(lines).try_init());
}

fn may_be_written(what: &Metadata<'_>) -> bool {
    CAPS.iter().all(|(name, cap)| {
        let rest = what.target().strip_prefix(name);
        let is_of_it = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        !is_of_it || what.level() <= cap
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_goes_over_the_wire_to_a_browser_is_not_written_whatever_is_asked_for() {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::new("trace,headless_chrome::browser::tab=trace");
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(filter_fn(may_be_written))
            .with(fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "headless_chrome::browser::tab", "canary 1");
            tracing::debug!(target: "headless_chrome", "canary 2");
            tracing::trace!(target: "tungstenite::protocol", "canary 3");
            tracing::error!(target: "headless_chrome::browser", "shown 1");
            tracing::trace!(target: "tungstenite_of_ours", "shown 2");
            tracing::trace!("shown 3");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("canary"), "{written}");
        assert_eq!(written.matches("shown").count(), 3, "{written}");
    }
}
