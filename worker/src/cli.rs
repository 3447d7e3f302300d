//! What `nstore-worker` understands.

use std::{path::PathBuf, time::Duration};

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nstore_shared::{chunk::Kind, config, telemetry::LogFormat};

/// Claims chunks, extracts them and stores their CSVs; any number may run, on any hosts.
///
/// Exit codes: 0 it ended as asked, 1 failed, 2 usage or config, 4 a service is unreachable.
#[derive(Debug, Parser)]
#[command(
    name = "nstore-worker",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// Something else than working.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to work.
    #[command(flatten)]
    pub work: WorkArgs,
}

/// Something else than working.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a source for the first page of a day that has data, with this host's secrets
    Probe(ProbeArgs),
    /// Say whether the worker gets answers from Redis, by the file in NSTORE_HEALTH_FILE
    Health,
}

/// How to work.
#[derive(Debug, Args)]
pub struct WorkArgs {
    /// Which sources to extract
    #[arg(long, value_enum, required = true, env = "NSTORE_KIND")]
    pub kind: Option<KindArg>,
    /// Chunks to work on at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256), env = "NSTORE_CONCURRENCY")]
    pub concurrency: u32,
    /// Directory of pipeline.yaml and credentials.yaml
    #[arg(long, value_name = "DIR", default_value = config::DEFAULT_DIR, env = "NSTORE_CONFIG")]
    pub config: PathBuf,
    /// Where Redis is [default: as pipeline.yaml says]
    #[arg(long, value_name = "URL", env = "NSTORE_REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Where artifacts are stored [default: as pipeline.yaml says]
    #[arg(long, value_name = "URL", env = "NSTORE_STORAGE_URL")]
    pub storage_url: Option<String>,
    /// How long a claim lasts without a heartbeat
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease, env = "NSTORE_LEASE")]
    pub lease: Duration,
    /// How long running chunks may go on after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration, env = "NSTORE_GRACE")]
    pub grace: Duration,
    /// How log lines are written
    #[arg(long, value_enum, default_value = "text", env = "NSTORE_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}

/// What to probe.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The source's name
    pub source: String,
    /// Directory of the config
    #[arg(long, value_name = "DIR", default_value = config::DEFAULT_DIR, env = "NSTORE_CONFIG")]
    pub config: PathBuf,
    /// The day to ask for, in the source's zone; otherwise the newest days that have data, yesterday first
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<NaiveDate>,
    /// One JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Which sources a worker extracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Over HTTP
    Api,
    /// Through a headless browser
    Browser,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Api => Self::Api,
            KindArg::Browser => Self::Browser,
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    let sane = Duration::from_millis(300)..=Duration::from_secs(600);
    if sane.contains(&lease) { Ok(lease) } else { Err("a lease lasts 300ms to 10m".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["nstore-worker", "--kind", "api", "--lease", "1s"]).unwrap();
        assert_eq!(cli.work.lease, Duration::from_secs(1));
        let cli = Cli::try_parse_from(["nstore-worker", "probe", "buyer_orders", "--json"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Probe(ProbeArgs { json: true, .. }))));
        assert!(Cli::try_parse_from(["nstore-worker"]).is_err());
        assert!(Cli::try_parse_from(["nstore-worker", "--kind", "api", "--lease", "1ms"]).is_err());
    }
}
