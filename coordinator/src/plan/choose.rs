//! Overrides of the command line, and the automatic choice between parallel and sequential.

use std::collections::BTreeMap;

use nstore_shared::{
    chunk::{ExecutionMode, Kind, SourceId, UploadMode},
    config::{Config, Source},
};

use super::{
    MAX_CHUNK_DAYS, MAX_WORKERS,
    fault::PlanFault,
    request::{Names, PlanRequest},
};

/// From so many chunks on, the automatic choice is parallel.
const CHUNKS_WORTH_PARALLEL: usize = 4;

/// What the command line says of each source; it stands above `pipeline.yaml`, which stands above the source's file.
#[derive(Debug, Default)]
pub struct Overrides {
    chunk_days: BTreeMap<SourceId, u32>,
    execution: BTreeMap<SourceId, Option<ExecutionMode>>,
    upload: BTreeMap<SourceId, UploadMode>,
}

impl Overrides {
    /// Takes the request's maps; a name that is unknown, doubled or not asked for is a fault.
    pub(super) fn collect(
        request: &PlanRequest,
        sources: &[(SourceId, &Source)],
        names: &mut Names<'_>,
        faults: &mut Vec<PlanFault>,
    ) -> Self {
        Self {
            chunk_days: by_source("--chunk-sizes", &request.chunk_sizes, sources, names, faults),
            execution: by_source("--execution-mode", &request.execution_modes, sources, names, faults),
            upload: by_source("--upload-mode", &request.upload_modes, sources, names, faults),
        }
    }

    /// Days per chunk.
    pub(super) fn chunk_days(&self, id: &SourceId, source: &Source, faults: &mut Vec<PlanFault>) -> u32 {
        let (days, from) = match self.chunk_days.get(id) {
            Some(days) => (*days, "--chunk-sizes"),
            None => (source.chunk_days.value, source.chunk_days.from.as_str()),
        };
        if !(1..=MAX_CHUNK_DAYS).contains(&days) {
            faults.push(PlanFault::ChunkSize { id: id.clone(), days, from: from.to_owned() });
        }
        days
    }

    /// How the chunks run, and why so.
    pub(super) fn execution(&self, id: &SourceId, source: &Source, chunks: usize) -> (ExecutionMode, String) {
        let asked = self.asked(id, source);
        asked.unwrap_or_else(|| automatic(source.spec.kind(), source.rate_limit_strict, chunks))
    }

    /// What is asked for must be possible with the sessions that the source's login may have.
    pub(super) fn check_execution(&self, id: &SourceId, source: &Source, faults: &mut Vec<PlanFault>) {
        let asked = self.asked(id, source);
        faults.extend(asked.and_then(|asked| one_session(id, asked, source.spec.max_sessions())));
    }

    /// The mode that the command line or a file asks for, and which of them.
    fn asked(&self, id: &SourceId, source: &Source) -> Option<(ExecutionMode, String)> {
        match self.execution.get(id) {
            Some(choice) => choice.map(|mode| (mode, "asked for by --execution-mode".to_owned())),
            None => source.execution.value.map(|mode| (mode, source.execution.from.clone())),
        }
    }

    /// What the loads do.
    pub(super) fn upload(&self, id: &SourceId, source: &Source) -> UploadMode {
        self.upload.get(id).copied().unwrap_or(source.upload.value)
    }
}

/// Chunks in parallel need a session each.
pub(super) fn one_session(
    id: &SourceId,
    (mode, from): (ExecutionMode, String),
    max_sessions: u32,
) -> Option<PlanFault> {
    (mode == ExecutionMode::Parallel && max_sessions <= 1)
        .then(|| PlanFault::OneSession { id: id.clone(), from })
}

/// The users' rule where nothing is said: the first that fits.
pub fn automatic(kind: Kind, rate_limit_strict: bool, chunks: usize) -> (ExecutionMode, String) {
    if kind == Kind::Browser {
        return (ExecutionMode::Sequential, "automatic: browser sources run in order".into());
    }
    if rate_limit_strict {
        return (ExecutionMode::Sequential, "automatic: rate_limit_strict is set".into());
    }
    if chunks < CHUNKS_WORTH_PARALLEL {
        let are = if chunks == 1 { "1 chunk is".to_owned() } else { format!("{chunks} chunks are") };
        return (ExecutionMode::Sequential, format!("automatic: {are} fewer than {CHUNKS_WORTH_PARALLEL}"));
    }
    (ExecutionMode::Parallel, format!("automatic: {chunks} chunks are {CHUNKS_WORTH_PARALLEL} or more"))
}

/// The most chunks in flight per source, unless it runs in order.
pub(super) fn parallel_workers(request: &PlanRequest, config: &Config, faults: &mut Vec<PlanFault>) -> u32 {
    let (workers, from) = match request.parallel_workers {
        Some(workers) => (workers, "--parallel-workers"),
        None => (config.parallel_workers.value, config.parallel_workers.from.as_str()),
    };
    if !(1..=MAX_WORKERS).contains(&workers) {
        faults.push(PlanFault::Workers { workers, from: from.to_owned() });
    }
    workers
}

/// The most chunks of one source in flight.
pub(super) fn in_flight(mode: ExecutionMode, workers: u32, max_sessions: u32) -> u32 {
    match mode {
        ExecutionMode::Sequential => 1,
        ExecutionMode::Parallel => workers.min(max_sessions),
    }
}

fn by_source<T: Copy>(
    flag: &'static str,
    pairs: &[(String, T)],
    sources: &[(SourceId, &Source)],
    names: &mut Names<'_>,
    faults: &mut Vec<PlanFault>,
) -> BTreeMap<SourceId, T> {
    let mut found = BTreeMap::new();
    for (typed, value) in pairs {
        match names.find(typed, flag) {
            Err(fault) => faults.push(fault),
            Ok((id, _)) if !sources.iter().any(|(asked, _)| *asked == id) => {
                faults.push(PlanFault::NotAsked { flag, name: id.to_string() });
            }
            Ok((id, _)) => {
                if found.insert(id.clone(), *value).is_some() {
                    faults.push(PlanFault::Twice { flag, name: id.to_string() });
                }
            }
        }
    }
    found
}
