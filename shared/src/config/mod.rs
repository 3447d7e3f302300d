//! YAML files become plain structs, or the list of all that is wrong with them.
//!
//! - [`spec`]: what a source is, resolved and free of secrets
//! - [`secrets`]: values for secret names, from the environment or a file
//!
//! Nothing here connects to anything.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;

use crate::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    contract::Contract,
};

pub mod secrets;
pub mod spec;

use spec::SourceSpec;

/// Where `NSTORE_CONFIG` points when it is not set.
pub const DEFAULT_DIR: &str = "config";

/// Everything under the config directory, resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory it was read from.
    pub dir: PathBuf,
    /// Where the services are.
    pub services: Services,
    /// Chunks of a run and source in flight, unless a flag says otherwise.
    pub parallel_workers: Origin<u32>,
    /// The sources by name.
    pub sources: BTreeMap<SourceId, Source>,
    /// What is no fault but worth a word.
    pub warnings: Vec<Fault>,
}

/// Where Redis, Postgres and storage are. All that a worker needs of `pipeline.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// `redis://…`; may hold a password.
    pub redis_url: String,
    /// What all keys in Redis start with; `nstore` unless said.
    pub redis_prefix: String,
    /// `postgresql://…`; may hold a password.
    pub postgres_url: String,
    /// The schema of the target tables.
    pub postgres_schema: String,
    /// `file:…`.
    pub storage_url: String,
}

/// One source with what may be overridden on the command line.
#[derive(Debug, Clone)]
pub struct Source {
    /// What workers need.
    pub spec: SourceSpec,
    /// What its rows look like.
    pub contract: Contract,
    /// Days per chunk.
    pub chunk_days: Origin<u32>,
    /// How its chunks are run; `None` is the automatic choice.
    pub execution: Origin<Option<ExecutionMode>>,
    /// What its loads do.
    pub upload: Origin<UploadMode>,
    /// The API minds its limits: sequential unless said.
    pub rate_limit_strict: bool,
}

/// A value and where it came from, for `status --show-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<T> {
    /// The value.
    pub value: T,
    /// `default`, `config/pipeline.yaml:9`, `--chunk-sizes`.
    pub from: String,
}

/// One thing that is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1; `None` when the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// All that is wrong with a config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

/// How a config is read.
pub struct LoadOptions<'a> {
    /// Looks a variable up: `std::env::var` in the binaries.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// `--timezone`: the zone of sources that declare none.
    pub timezone: Option<Tz>,
}

/// Reads and checks everything under `dir`.
///
/// # Errors
/// All faults at once, each with its place.
pub fn load(dir: &Path, options: &LoadOptions<'_>) -> Result<Config, Faults> {
    let _ = (dir, (options.env)(""), options.timezone);
    unimplemented!()
}

/// Reads the services alone: the environment, then `pipeline.yaml` if it is there. Sources are not looked at.
///
/// # Errors
/// All faults of `pipeline.yaml`'s service sections.
pub fn load_services(dir: &Path, options: &LoadOptions<'_>) -> Result<Services, Faults> {
    let _ = (dir, (options.env)(""), options.timezone);
    unimplemented!()
}

/// The JSON Schemas of `pipeline.yaml`, a source file and a mapping file, by these names.
pub fn schemas() -> BTreeMap<&'static str, serde_json::Value> {
    unimplemented!()
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  {hint}"))
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.0.len();
        writeln!(f, "config: {count} problem{}\n", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}
