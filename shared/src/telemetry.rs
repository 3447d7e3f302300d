//! Tracing set-up for both binaries: to standard error, filtered by `NSTORE_LOG`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // the only failure is "already started", as in tests that start several parts in one process
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    drop(started);
}
