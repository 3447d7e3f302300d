//! What a user asks for, as typed, and which source is meant by a name.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use nstore_shared::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    config::{Config, Source, nearest},
    storage::manifest::Upload,
};

use super::fault::PlanFault;

/// What a user asks for. Names are as typed; the pairs keep their order, so that a doubled one is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRequest {
    /// First day.
    pub start: NaiveDate,
    /// Last day; it belongs.
    pub end: NaiveDate,
    /// The sources.
    pub sources: Vec<String>,
    /// Days per chunk, by source.
    pub chunk_sizes: Vec<(String, u32)>,
    /// Execution, by source; `None` is the automatic choice.
    pub execution_modes: Vec<(String, Option<ExecutionMode>)>,
    /// What loads do, by source.
    pub upload_modes: Vec<(String, UploadMode)>,
    /// Chunks in flight per source.
    pub parallel_workers: Option<u32>,
    /// Whether and how rows are loaded.
    pub upload: Upload,
    /// The present: for the warning that a day has not ended.
    pub now: DateTime<Utc>,
}

/// What a run is told beside its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFlags {
    /// The user's key.
    pub idempotency_key: Option<String>,
    /// Whether and how rows are loaded.
    pub upload: Upload,
    /// The first source that fails ends the others.
    pub fail_fast: bool,
    /// Loading is left to `nstore serve`.
    pub detached: bool,
}

/// Finds sources by what users call them.
pub(super) struct Names<'a> {
    config: &'a Config,
    warnings: BTreeSet<String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, warnings: BTreeSet::new() }
    }

    /// All names, for people; those of sources with faults too.
    pub(super) fn known(&self) -> Vec<String> {
        self.config.names().into_iter().collect()
    }

    /// The source that `typed` means; a name of the replaced program is taken with a warning.
    pub(super) fn find(
        &mut self,
        typed: &str,
        flag: &'static str,
    ) -> Result<(SourceId, &'a Source), PlanFault> {
        if let Some(found) = lookup(self.config, typed) {
            return Ok(found);
        }
        if let Some(found) = nearest::alias(typed).and_then(|new| lookup(self.config, new)) {
            self.warnings.insert(format!("`{typed}` is called {} here: taken as that", found.0));
            return Ok(found);
        }
        let known = self.known();
        let near = nearest::nearest(typed, known.iter().map(String::as_str)).map(str::to_owned);
        Err(PlanFault::UnknownSource { flag, name: typed.to_owned(), near, known })
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_iter().collect()
    }
}

fn lookup<'a>(config: &'a Config, name: &str) -> Option<(SourceId, &'a Source)> {
    config.sources.iter().find(|(id, _)| id.as_str() == name).map(|(id, source)| (id.clone(), source))
}

/// The day that it is now in every zone of the named sources, so that "yesterday" has ended for all of them.
/// Unknown names are left to [`super::plan`].
pub fn today(config: &Config, sources: &[String], now: DateTime<Utc>) -> NaiveDate {
    let mut names = Names::new(config);
    let zones = sources.iter().filter_map(|typed| names.find(typed, "--sources").ok());
    let days = zones.map(|(_, source)| now.with_timezone(&source.spec.timezone).date_naive());
    days.min().unwrap_or_else(|| now.date_naive())
}
