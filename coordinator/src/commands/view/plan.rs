//! What a run would do, or was told to do.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use nstore_shared::{
    chunk::ExecutionMode,
    storage::manifest::{Manifest, SourcePlan},
};
use serde_json::{Value, json};

use super::quantity::count;
use crate::plan::Plan;

/// A plan as text.
pub(in crate::commands) fn for_people(plan: &Plan, upload: bool) -> String {
    let head = format!(
        "{} to {}, both days belong: {}, {}\nnothing is started (--dry-run)",
        plan.start,
        plan.end,
        count(plan.sources.len() as u64, "source"),
        count(plan.chunks() as u64, "chunk"),
    );
    with_sources(head, &plan.sources, upload)
}

/// A run's plan as text.
pub(in crate::commands) fn of_run(manifest: &Manifest) -> String {
    let chunks: usize = manifest.sources.iter().map(|plan| plan.chunks.len()).sum();
    let head = format!(
        "run {}: {} to {}, both days belong: {}, {}\nasked for at {}",
        manifest.run,
        manifest.start_date,
        manifest.end_date,
        count(manifest.sources.len() as u64, "source"),
        count(chunks as u64, "chunk"),
        manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC"),
    );
    with_sources(head, &manifest.sources, manifest.upload.enabled)
}

fn with_sources(head: String, sources: &[SourcePlan], upload: bool) -> String {
    let mut parts = vec![head];
    parts.extend(sources.iter().map(|plan| of_source(plan, upload)));
    parts.join("\n\n")
}

fn of_source(plan: &SourcePlan, upload: bool) -> String {
    let at_once = match plan.execution {
        ExecutionMode::Sequential => "one at a time, in order".to_owned(),
        ExecutionMode::Parallel => {
            let width = plan.width().filter(|width| *width < plan.parallel_workers);
            let source = width.map_or_else(String::new, |width| format!(", {width} by the source's width"));
            format!("up to {} at once{source}", plan.parallel_workers)
        }
    };
    let load = if upload { String::new() } else { " (not now: --upload is off)".to_owned() };
    [
        plan.source.to_string(),
        format!("  range      {}", instants(plan)),
        format!("  chunks     {}", chunks(plan)),
        format!("  execution  {}, {at_once} ({})", plan.execution, plan.execution_reason),
        format!("  upload     {} into {}{load}", plan.upload_mode, plan.contract.table),
    ]
    .join("\n")
}

/// `11 of 3 days, the last of 1: 2025-08-01_2025-08-04 ... 2025-08-31_2025-09-01`.
fn chunks(plan: &SourcePlan) -> String {
    let (Some(first), Some(last)) = (plan.chunks.first(), plan.chunks.last()) else { return "none".into() };
    let (from, to) = last.touched_days(plan.zone());
    let rest = (to - from).num_days();
    let size = count(u64::from(plan.chunk_days), "day");
    match plan.chunks.len() {
        1 => format!("1 of {}: {first}", count(rest.unsigned_abs(), "day")),
        many if rest == i64::from(plan.chunk_days) => format!("{many} of {size}: {first} ... {last}"),
        many => format!("{many} of {size}, the last of {rest}: {first} ... {last}"),
    }
}

/// `[2025-08-01 00:00, 2025-09-01 00:00) Asia/Kolkata`.
fn instants(plan: &SourcePlan) -> String {
    let zone = plan.zone();
    let (Some(first), Some(last)) = (plan.chunks.first(), plan.chunks.last()) else { return "none".into() };
    format!("[{}, {}) {zone}", wall(first.instants(zone).0, zone), wall(last.instants(zone).1, zone))
}

fn wall(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string()
}

/// A plan as a document.
pub(in crate::commands) fn as_json(plan: &Plan, upload: bool) -> Value {
    let sources: Vec<Value> = plan
        .sources
        .iter()
        .map(|source| {
            json!({
                "source": source.source,
                "range": instants(source),
                "timezone": source.zone().name(),
                "chunk_days": source.chunk_days,
                "chunks": source.chunks,
                "execution": source.execution,
                "execution_reason": source.execution_reason,
                "parallel_workers": source.parallel_workers,
                "upload_mode": source.upload_mode,
                "table": source.contract.table,
            })
        })
        .collect();
    json!({
        "dry_run": true,
        "start_date": plan.start,
        "end_date": plan.end,
        "upload": upload,
        "warnings": plan.warnings,
        "sources": sources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        plan,
        tests::{config, request},
    };

    #[test]
    fn a_plan_shows_instants_chunks_modes_and_reasons() {
        let config = config(&["buyer_orders", "buyer_tickets"], chrono_tz::Asia::Kolkata);
        let mut request = request("2025-08-01", "2025-08-31", &["buyer_orders", "buyer_tickets"]);
        request.chunk_sizes = vec![("buyer_tickets".into(), 31)];
        let plan = plan(&request, &config).unwrap();
        insta::assert_snapshot!(for_people(&plan, true));
        insta::assert_snapshot!(serde_json::to_string_pretty(&as_json(&plan, false)["sources"][1]).unwrap());
    }

    #[test]
    fn a_day_that_starts_late_is_shown_as_it_is() {
        let config = config(&["a"], chrono_tz::America::Sao_Paulo);
        let plan = plan(&request("2018-11-04", "2018-11-04", &["a"]), &config).unwrap();
        assert_eq!(instants(&plan.sources[0]), "[2018-11-04 01:00, 2018-11-05 00:00) America/Sao_Paulo");
    }
}
