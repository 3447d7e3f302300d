//! YAML files become plain structs, or the list of all that is wrong with them.
//!
//! - [`spec`]: what a source is, resolved and free of secrets
//! - [`template`]: texts with a chunk's dates in them; [`cell_format`]: how a page writes the values of a column
//! - [`numbers`]: how texts write numbers; [`time_pattern`], [`zone_mark`]: how they write times and their zones
//! - [`path`]: where a value is inside a JSON document
//! - [`nearest`]: which name a mistyped one means; [`place`]: what a storage URL names
//! - [`secrets`]: values for secret names, from the environment or a file; redaction by value
//! - [`setting`]: a variable, or the file that its `_FILE` names
//!
//! The way of a file: `files` reads it, `tree` parses it with the place of every key and value, `fill` fills
//! variables in, `shape` holds it against the JSON Schema that its structs in `raw` lead to, `check` knows the
//! rules behind the shape. Each step reports all faults that it meets, and the next one still looks at what is
//! right. Nothing here connects to anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use chrono_tz::Tz;

use crate::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    contract::Contract,
};

mod by_file;
pub mod cell_format;
mod check;
mod document;
mod evidence;
mod files;
mod fill;
mod load;
pub mod nearest;
pub mod numbers;
pub mod path;
pub mod place;
mod raw;
mod redact;
pub mod secrets;
mod shape;
pub mod spec;
pub mod template;
pub mod time_pattern;
mod tree;
pub mod zone_mark;

pub use by_file::setting;
pub use evidence::evidence_gap;
pub use load::{load, load_for, load_services};
use secrets::Secrets;
use spec::{SecretRef, SourceSpec};

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
    /// What is not a fault but should be known, of the sources asked for.
    pub warnings: Vec<Fault>,
    /// Sources that were not asked for and have faults, with their number.
    pub broken: BTreeMap<String, usize>,
    /// Where each of the services came from, by `redis.url`, `redis.prefix`, `postgres.url`, `postgres.schema`
    /// and `storage.url`.
    pub services_from: BTreeMap<String, String>,
    /// The zone of sources that declare none.
    pub timezone: Origin<Tz>,
    /// Each place where a source names a secret.
    pub secrets: Vec<SecretUse>,
}

impl Config {
    /// The names of all sources, of those with faults too.
    pub fn names(&self) -> BTreeSet<String> {
        self.sources.keys().map(ToString::to_string).chain(self.broken.keys().cloned()).collect()
    }

    /// The secrets that this host does not have, with the places that name them. Workers hold secrets, so
    /// elsewhere this is no more than a warning.
    pub fn missing_secrets(&self, secrets: &Secrets) -> Vec<Fault> {
        self.secrets
            .iter()
            .filter(|used| secrets.get(&used.name).is_none())
            .map(|used| used.missing(secrets))
            .collect()
    }
}

/// A place where a source names a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// Its name.
    pub name: SecretRef,
    /// The source's file.
    pub file: PathBuf,
    /// Line and column, from 1.
    pub at: (usize, usize),
}

impl SecretUse {
    fn missing(&self, secrets: &Secrets) -> Fault {
        let name = &self.name.0;
        let near =
            secrets.nearest(&self.name).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let variable = Secrets::variable(&self.name);
        Fault {
            file: self.file.clone(),
            at: Some(self.at),
            message: format!("secret `{name}` is in no credentials file and not in the environment"),
            hint: Some(format!("{near}set {variable}, or add it to the credentials file")),
        }
    }
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
    /// `file:…`, `s3://…`; holds no secret.
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

/// The config directory: `NSTORE_CONFIG`, else [`DEFAULT_DIR`].
pub fn directory(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    env("NSTORE_CONFIG")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from(DEFAULT_DIR), PathBuf::from)
}

/// The JSON Schemas of `pipeline.yaml`, a source file and a mapping file, by these names.
pub fn schemas() -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([
        ("pipeline", schemars::schema_for!(raw::pipeline::PipelineFile).to_value()),
        ("source", schemars::schema_for!(raw::source::SourceFile).to_value()),
        ("mapping", schemars::schema_for!(raw::mapping::MappingFile).to_value()),
    ])
}

/// What was asked for, or all that is wrong, in the order of files and lines.
fn all_or<T>(mut faults: Vec<Fault>, made: impl FnOnce() -> T) -> Result<T, Faults> {
    if faults.is_empty() {
        return Ok(made());
    }
    faults.sort();
    faults.dedup();
    Err(Faults(faults))
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

#[cfg(test)]
mod tests;
