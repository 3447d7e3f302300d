//! A request becomes a plan: which chunks of which sources, how they run, what their loads do. Pure: no clock, no I/O.
//!
//! - [`request`]: what a user asks for, as typed
//! - [`cut`]: a date range becomes chunks
//! - [`choose`]: overrides, and the automatic choice between parallel and sequential
//! - [`fault`]: all that is wrong with a request, at once
//! - [`typed`]: texts such as `a:3,b:5` and `-7d`
//! - [`naming`]: ids of runs
//!
//! The plan of one source keeps the promise that [`assert_plan`] states.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, Utc};
use nstore_shared::{
    chunk::{RunId, SourceId, UploadMode, start_of_day},
    config::{Config, Source},
    storage::manifest::{MANIFEST_VERSION, Manifest, SourcePlan, Upload},
};

pub mod choose;
pub mod cut;
pub mod fault;
pub mod naming;
pub mod request;
pub mod typed;

pub use cut::assert_plan;
pub use fault::{PlanError, PlanFault};
pub use request::{PlanRequest, RunFlags};

use request::Names;

/// From this size on, a failed chunk loses much.
const LARGE_CHUNK_DAYS: u32 = 30;
/// The largest size of a chunk: a leap year.
pub const MAX_CHUNK_DAYS: u32 = 366;
/// The longest range: longer ones are a typing mistake in the year.
pub const MAX_RANGE_DAYS: i64 = 36_600;
/// From so many chunks in flight on, a target API suffers more than the run gains.
const MANY_WORKERS: u32 = 8;
/// The most chunks in flight that may be asked for.
pub const MAX_WORKERS: u32 = 256;

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// First day.
    pub start: NaiveDate,
    /// Last day; it belongs.
    pub end: NaiveDate,
    /// One per source, in the order asked for.
    pub sources: Vec<SourcePlan>,
    /// What is no fault but worth a word.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Chunks of all sources.
    pub fn chunks(&self) -> usize {
        self.sources.iter().map(|plan| plan.chunks.len()).sum()
    }
}

/// Plans what is asked for.
///
/// # Errors
/// All faults of the request at once.
pub fn plan(request: &PlanRequest, config: &Config) -> Result<Plan, PlanError> {
    let mut names = Names::new(config);
    let mut faults = Vec::new();
    check_range(request, &mut faults);
    let sources = named_sources(request, &mut names, &mut faults);
    let overrides = choose::Overrides::collect(request, &sources, &mut names, &mut faults);
    let workers = choose::parallel_workers(request, config, &mut faults);
    let mut warnings = names.into_warnings();
    if workers > MANY_WORKERS {
        warnings.push(format!(
            "{workers} parallel workers: above {MANY_WORKERS} little is gained and the sources may be overloaded"
        ));
    }
    let mut plans = Vec::new();
    for (id, source) in &sources {
        let days = overrides.chunk_days(id, source, &mut faults);
        overrides.check_execution(id, source, &mut faults);
        check_upload(id, source, overrides.upload(id, source), request, &mut faults);
        // without faults there is a range to cut; with faults there is no plan
        if faults.is_empty() {
            plans.push(source_plan(request, id, source, days, &overrides, workers));
            warn(request, id, source, days, &mut warnings);
        }
    }
    if faults.is_empty() {
        Ok(Plan { start: request.start, end: request.end, sources: plans, warnings })
    } else {
        Err(PlanError(faults))
    }
}

/// The manifest of a planned run.
pub fn manifest(plan: &Plan, run: RunId, created_at: DateTime<Utc>, flags: &RunFlags) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        run,
        created_at,
        idempotency_key: flags.idempotency_key.clone(),
        start_date: plan.start,
        end_date: plan.end,
        upload: flags.upload,
        fail_fast: flags.fail_fast,
        detached: flags.detached,
        extracted_after: None,
        sources: plan.sources.clone(),
        refused: vec![],
    }
}

fn source_plan(
    request: &PlanRequest,
    id: &SourceId,
    source: &Source,
    days: u32,
    overrides: &choose::Overrides,
    workers: u32,
) -> SourcePlan {
    let chunks = cut::cut(request.start, request.end, days);
    let (execution, execution_reason) = overrides.execution(id, source, chunks.len());
    let plan = SourcePlan {
        source: id.clone(),
        spec: source.spec.clone(),
        contract: source.contract.clone(),
        chunk_days: days,
        execution,
        execution_reason,
        parallel_workers: choose::in_flight(execution, workers, source.spec.max_sessions()),
        upload_mode: overrides.upload(id, source),
        chunks,
    };
    if cfg!(debug_assertions) {
        assert_plan(&plan, request.start, request.end);
    }
    plan
}

fn check_range(request: &PlanRequest, faults: &mut Vec<PlanFault>) {
    let (start, end) = (request.start, request.end);
    if end < start {
        faults.push(PlanFault::EndBeforeStart { start, end });
    } else if (end - start).num_days() >= MAX_RANGE_DAYS || end.checked_add_days(Days::new(1)).is_none() {
        faults.push(PlanFault::RangeTooLong { start, end });
    }
}

/// The sources asked for, each known and once.
fn named_sources<'a>(
    request: &PlanRequest,
    names: &mut Names<'a>,
    faults: &mut Vec<PlanFault>,
) -> Vec<(SourceId, &'a Source)> {
    if request.sources.is_empty() {
        faults.push(PlanFault::NoSource { known: names.known() });
    }
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for typed in &request.sources {
        match names.find(typed, "--sources") {
            Ok((id, _)) if !seen.insert(id.clone()) => {
                faults.push(PlanFault::Twice { flag: "--sources", name: id.to_string() });
            }
            Ok((id, source)) => sources.push((id, source)),
            Err(fault) => faults.push(fault),
        }
    }
    sources
}

/// What an upload mode needs of the source's contract.
fn check_upload(
    id: &SourceId,
    source: &Source,
    mode: UploadMode,
    request: &PlanRequest,
    faults: &mut Vec<PlanFault>,
) {
    if source.contract.range_column.is_some() {
        return;
    }
    if mode == UploadMode::ReplaceRange {
        faults.push(PlanFault::NoRangeColumn { id: id.clone(), what: "upload mode replace_range" });
    }
    let Upload { reload, .. } = request.upload;
    if reload && mode == UploadMode::Append && source.contract.key.is_empty() {
        faults.push(PlanFault::NoRangeColumn { id: id.clone(), what: "--reload" });
    }
}

fn warn(request: &PlanRequest, id: &SourceId, source: &Source, days: u32, warnings: &mut Vec<String>) {
    // a size that the configuration sets is remarked upon where it stands
    if days > LARGE_CHUNK_DAYS && days != source.chunk_days.value {
        warnings.push(format!(
            "{id}: chunks of {days} days are above {LARGE_CHUNK_DAYS}: fewer to resume, more to lose when one fails"
        ));
    }
    let zone = source.spec.timezone;
    let after = request.end.checked_add_days(Days::new(1)).unwrap_or(request.end);
    if start_of_day(after, zone) > request.now {
        warnings
            .push(format!("{id}: {} has not ended in {zone}, its later rows will be missing", request.end));
    }
}

#[cfg(test)]
pub(crate) mod tests;
