//! The result of a run: a line per source, then what failed with its error, what is to be known, and what to do.

use nstore_shared::{chunk::RunId, storage::marker::ChunkWarning};

use super::{
    failures,
    quantity::{bytes, count, grouped},
    table, workers,
};
use crate::run::{FailedChunk, PauseScope, RunReport, RunState, SourceReport, SourceStatus, Verdict};

/// More groups of failed chunks of one source are counted, not listed.
const MAX_GROUPS: usize = 50;

/// The report as text, with the reason of a cancelled run; `nstore` is written before the commands that it proposes.
pub(in crate::commands) fn of_run(report: &RunReport, cancelled: Option<&str>, nstore: &str) -> String {
    let reason = cancelled.map_or_else(String::new, |reason| format!(": {reason}"));
    let head = format!("run {}: {}{reason}", report.run, result(report));
    let mut parts = vec![head, sources(report)];
    parts.extend(failed_chunks(report, nstore));
    let paused = report.sources.iter().filter_map(|source| pause(source, &report.run, nstore));
    let held = report.sources.iter().filter_map(|source| hold(source, nstore));
    let remarks: Vec<String> = paused
        .chain(held)
        .chain(report.sources.iter().flat_map(remarks))
        .chain(report.sources.iter().flat_map(loads))
        .collect();
    if !remarks.is_empty() {
        parts.push(remarks.join("\n"));
    }
    parts.extend(next(report, nstore));
    parts.join("\n\n")
}

/// `complete (loaded)`, `complete, 2 chunks unproven (extracted only)`, `partial (load refused)`, `open`.
fn result(report: &RunReport) -> String {
    let mut text = word(report.verdict).to_owned();
    if report.verdict == Verdict::Complete && report.unproven > 0 {
        text.push_str(&format!(", {} unproven", count(report.unproven, "chunk")));
    }
    let state = report.state.label();
    if state != word(report.verdict) {
        text.push_str(&format!(" ({state})"));
    }
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "complete",
        Verdict::Open => "open",
        Verdict::Partial => "partial",
        Verdict::Failed => "failed",
        Verdict::Cancelled => "cancelled",
    }
}

fn sources(report: &RunReport) -> String {
    let mut header = vec!["source", "chunks", "rows", "size"];
    if report.upload {
        header.extend(["loaded", "rows loaded", "already present"]);
    }
    header.extend(["rejected", "proven", "status"]);
    let numbers: Vec<usize> = (1..header.len() - 2).collect();
    let mut table = table::table(&header, &numbers);
    for source in &report.sources {
        let status = &source.status;
        let mut row = vec![
            status.source.to_string(),
            format!("{}/{}", status.done, status.chunks_total),
            grouped(status.rows),
            bytes(status.bytes),
        ];
        if report.upload {
            row.extend(loaded(status, report.ledger_known));
        }
        row.extend([grouped(status.rejected), proven(source), source_status(source)]);
        table.add_row(row);
    }
    table::text(&table)
}

fn loaded(status: &SourceStatus, known: bool) -> [String; 3] {
    if !known {
        return ["?", "?", "?"].map(str::to_owned);
    }
    let chunks = format!("{}/{}", status.loaded_chunks, status.chunks_total);
    [chunks, grouped(status.loaded_rows), grouped(status.skipped_rows)]
}

/// `11/11 total`, `9/11 (total 8, empty page 1)`: stored chunks that are proven to be complete, and by what.
fn proven(source: &SourceReport) -> String {
    let evidence = &source.evidence;
    let of = format!("{}/{}", evidence.proven, evidence.proven + evidence.unproven);
    match evidence.evidence.len() {
        0 => of,
        1 => format!("{of} {}", evidence.evidence.keys().copied().collect::<String>()),
        _ => format!("{of} ({})", named(&evidence.evidence)),
    }
}

fn named(counts: &std::collections::BTreeMap<&'static str, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    named.join(", ")
}

fn source_status(source: &SourceReport) -> String {
    let status = &source.status;
    let paused = source.state == RunState::Paused;
    let counts = [
        (status.running, "running"),
        (status.retryable, "waiting for another attempt"),
        (status.discarded, "failed"),
        (status.refused, "refused"),
        (status.superseded, "superseded by newer data"),
    ];
    let details: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .chain(paused.then(|| "paused".to_owned()))
        .collect();
    let state = if paused { word(source.verdict) } else { source.state.label() };
    match details.is_empty() {
        true => state.to_owned(),
        false => format!("{state} ({})", details.join(", ")),
    }
}

fn failed_chunks(report: &RunReport, nstore: &str) -> Option<String> {
    let mut table = table::table(&["failed chunks", "source", "error"], &[]);
    let mut any = false;
    for source in &report.sources {
        let groups = failures::groups(&source.failed);
        for group in groups.iter().take(MAX_GROUPS) {
            any = true;
            table.add_row([group.ranges(), source.status.source.to_string(), error(group.first)]);
        }
        if groups.len() > MAX_GROUPS {
            table.add_row([
                format!("and {} other errors", groups.len() - MAX_GROUPS),
                source.status.source.to_string(),
                format!("see them all with: {nstore} status {} --json", report.run),
            ]);
        }
    }
    any.then(|| table::text(&table))
}

fn error(failed: &FailedChunk) -> String {
    let class = failed.class.map_or_else(|| "load".to_owned(), |class| class.to_string());
    let row = failed.row.as_ref().map_or_else(String::new, |row| format!("\nrow: {row}"));
    // the error of an attempt that kept a bundle may name it already
    let bundle = failed.bundle.as_ref().filter(|url| !failed.error.contains(url.as_str()));
    let bundle = bundle.map_or_else(String::new, |url| format!("\nfailure bundle: {url}"));
    format!("{class}: {}{row}{bundle}", failed.error.trim_end())
}

/// Why a source waits, and how it goes on.
fn pause(source: &SourceReport, run: &RunId, nstore: &str) -> Option<String> {
    let pause = source.status.paused.as_ref().filter(|_| source.verdict == Verdict::Open)?;
    let name = &source.status.source;
    let typed = match pause.scope {
        PauseScope::Run => run.to_string(),
        PauseScope::Source => format!("--source {name}"),
    };
    let since = pause.at.format("%Y-%m-%d %H:%M UTC");
    Some(format!("{name}: paused since {since}: {}; go on: {nstore} unpause {typed}", pause.reason))
}

/// Why a source is left alone for a while, and how that ends before its time.
fn hold(source: &SourceReport, nstore: &str) -> Option<String> {
    let hold = source.status.hold.as_ref().filter(|_| source.verdict == Verdict::Open)?;
    Some(workers::hold(&source.status.source, hold, nstore))
}

/// What became of rows that were not added as they came.
fn loads(source: &SourceReport) -> Vec<String> {
    let (name, status) = (&source.status.source, &source.status);
    let mut said = Vec::new();
    if status.changed_rows > 0 {
        said.push(format!(
            "{name}: {} changed since an earlier run: the table keeps the old values, as upload mode append does; \
             replace_range or replace takes the new ones",
            count(status.changed_rows, "row")
        ));
    }
    if status.refused_rows > 0 {
        said.push(format!(
            "{name}: the table refused {}, which the mapping allows: see the table nstore.rejects",
            count(status.refused_rows, "row")
        ));
    }
    if status.defaulted_rows > 0 {
        said.push(format!(
            "{name}: {} took a default of the table for a value that is absent or null",
            count(status.defaulted_rows, "row")
        ));
    }
    said
}

/// What is to be known of a source beside its failed chunks.
fn remarks(source: &SourceReport) -> Vec<String> {
    let name = &source.status.source;
    let status = &source.status;
    let mut found = Vec::new();
    if let Some(blocked) = &source.blocked {
        found.push(format!("{name}: nothing is loaded: {blocked}"));
    }
    if status.stopped {
        found.push(format!("{name}: a failed chunk stopped the later ones (on_discard: stop)"));
    }
    found.extend(unproven(source));
    for warning in &source.warnings {
        found.push(format!("{name}: {} ({})", warning.text, count(warning.chunks, "chunk")));
    }
    let warned =
        source.warnings.iter().any(|known| matches!(known.warning, ChunkWarning::OutsideWindow { .. }));
    if status.outside > 0 && !warned {
        found.push(format!(
            "{name}: {} rows came that lie outside what was asked, and were left out: rows may be missing at the \
             days' ends; compare `timezone` and `window.bounds`, or the dates of a page's filter, with the source's \
             documents",
            grouped(status.outside)
        ));
    }
    if let (Some(error), Verdict::Open) = (&status.last_error, source.verdict) {
        found.push(format!("{name}: the last attempt that failed: {error}"));
    }
    found
}

/// How many chunks are unproven, what was seen instead of a proof, and what to do.
fn unproven(source: &SourceReport) -> Option<String> {
    let evidence = &source.evidence;
    if evidence.unproven == 0 {
        return None;
    }
    let (are, they) = if evidence.unproven == 1 { ("is", "it is") } else { ("are", "they are") };
    let seen = match evidence.weak_evidence.is_empty() {
        true => String::new(),
        false => format!(" (only seen: {})", named(&evidence.weak_evidence)),
    };
    let hint = source.evidence_hint.as_ref().map_or_else(
        || "compare their rows with the source".to_owned(),
        |hint| format!("in the source's file, {hint}"),
    );
    Some(format!(
        "{}: {} {are} unproven: nothing shows that {they} complete{seen}; {hint}; `require_evidence: true` fails \
         such chunks",
        source.status.source,
        count(evidence.unproven, "chunk"),
    ))
}

fn next(report: &RunReport, nstore: &str) -> Option<String> {
    let run = &report.run;
    let failed = report.sources.iter().any(|source| !source.failed.is_empty());
    match report.verdict {
        Verdict::Complete | Verdict::Cancelled => None,
        Verdict::Open if report.state == RunState::LoadUnknown => None,
        // a paused one is not resumed but unpaused, as is said beside it
        Verdict::Open if report.sources.iter().any(|source| source.status.paused.is_some()) => None,
        Verdict::Open => Some(format!("go on: {nstore} resume {run}")),
        Verdict::Partial | Verdict::Failed if failed => Some(format!("try them again: {nstore} retry {run}")),
        // what was not extracted is told with its way out
        Verdict::Partial | Verdict::Failed if report.sources.iter().all(complete_or_left_out) => None,
        Verdict::Partial | Verdict::Failed => Some(format!("load it again: {nstore} load {run}")),
    }
}

fn complete_or_left_out(source: &SourceReport) -> bool {
    source.verdict == Verdict::Complete || (source.blocked.is_some() && source.status.done == 0)
}

#[cfg(test)]
pub(in crate::commands) mod tests {
    use nstore_shared::{
        chunk::{ExecutionMode, UploadMode},
        retry::FailureClass,
    };

    use super::*;
    use crate::run::{EvidenceCounts, Pause, SourceWarning};

    /// A source half way.
    pub(in crate::commands) fn status(source: &str) -> SourceStatus {
        SourceStatus {
            source: source.parse().unwrap(),
            mode: ExecutionMode::Parallel,
            upload_mode: UploadMode::Append,
            chunks_total: 11,
            done: 5,
            running: 2,
            retryable: 0,
            discarded: 0,
            cancelled: 0,
            rows: 123_456,
            bytes: 7_654_321,
            rejected: 0,
            outside: 0,
            loaded_chunks: 4,
            loaded_rows: 98_765,
            skipped_rows: 0,
            changed_rows: 0,
            refused_rows: 0,
            defaulted_rows: 0,
            superseded: 0,
            refused: 0,
            stopped: false,
            paused: None,
            hold: None,
            last_error: None,
        }
    }

    fn report(verdict: Verdict, sources: Vec<SourceReport>) -> RunReport {
        RunReport {
            run: "20251123-040312-k3f9".parse().unwrap(),
            verdict,
            state: match verdict {
                Verdict::Complete => RunState::Loaded,
                Verdict::Open => RunState::Open,
                Verdict::Partial => RunState::PartlyLoaded,
                Verdict::Failed => RunState::Failed,
                Verdict::Cancelled => RunState::Cancelled,
            },
            upload: true,
            ledger_known: true,
            unproven: sources.iter().map(|source| source.evidence.unproven).sum(),
            sources,
        }
    }

    /// A source with this status, nothing failed, all that is stored proven.
    pub(in crate::commands) fn source(
        status: SourceStatus,
        verdict: Verdict,
        state: RunState,
    ) -> SourceReport {
        let evidence = EvidenceCounts {
            proven: status.done,
            evidence: std::collections::BTreeMap::from([("total", status.done)]),
            ..EvidenceCounts::default()
        };
        SourceReport {
            status,
            verdict,
            state,
            evidence,
            evidence_hint: None,
            warnings: vec![],
            failed: vec![],
            blocked: None,
        }
    }

    fn complete(name: &str) -> SourceReport {
        let status =
            SourceStatus { done: 11, running: 0, loaded_chunks: 11, skipped_rows: 12, ..status(name) };
        source(status, Verdict::Complete, RunState::Loaded)
    }

    #[test]
    fn a_complete_run_is_short() {
        let report = report(Verdict::Complete, vec![complete("buyer_orders"), complete("buyer_razorpay")]);
        insta::assert_snapshot!(of_run(&report, None, "nstore"));
    }

    #[test]
    fn rows_that_were_not_added_as_they_came_are_told() {
        let mut source = complete("items");
        source.status.changed_rows = 1;
        source.status.refused_rows = 2;
        source.status.defaulted_rows = 3_000;
        let text = of_run(&report(Verdict::Complete, vec![source]), None, "nstore");
        for words in [
            "items: 1 row changed since an earlier run: the table keeps the old values",
            "replace_range or replace takes the new ones",
            "items: the table refused 2 rows",
            "items: 3,000 rows took a default of the table",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn a_source_that_was_left_out_is_told_with_its_way_out_and_no_other() {
        let status = SourceStatus { done: 0, running: 0, loaded_chunks: 0, ..status("tickets") };
        let blocked = Some("it would erase 3 days; --allow-shrink allows it".to_owned());
        let left_out = SourceReport { blocked, ..source(status, Verdict::Failed, RunState::LoadRefused) };
        let text = of_run(&report(Verdict::Partial, vec![complete("items"), left_out]), None, "nstore");
        assert!(text.contains("tickets: nothing is loaded: it would erase 3 days; --allow-shrink"), "{text}");
        assert!(!text.contains("load it again"), "{text}");
    }

    #[test]
    fn each_failed_chunk_has_its_error_and_the_way_out() {
        let failed = |range: &str, class, error: &str, row: Option<&str>| FailedChunk {
            range: range.parse().unwrap(),
            class,
            error: error.into(),
            row: row.map(Into::into),
            bundle: None,
        };
        let network = "file:///srv/nstore/failures/network_observability/20251123-040312-k3f9/\
                       2025-08-03_2025-08-05.g1.host-1-s0-3";
        let browser = SourceReport {
            failed: vec![FailedChunk {
                bundle: Some(network.into()),
                ..failed(
                    "2025-08-03_2025-08-05",
                    Some(FailureClass::Transient),
                    "step 3 (wait_for #grid): not there after 20s",
                    None,
                )
            }],
            ..source(
                SourceStatus { done: 10, running: 0, discarded: 1, ..status("network_observability") },
                Verdict::Partial,
                RunState::PartlyLoaded,
            )
        };
        let tickets = SourceReport {
            failed: vec![
                failed("2025-08-04_2025-08-07", Some(FailureClass::Data), "page 2 is html, not json", None),
                failed(
                    "2025-08-07_2025-08-10",
                    Some(FailureClass::Auth),
                    "401 from http://localhost/tickets",
                    None,
                ),
                failed(
                    "2025-08-10_2025-08-13",
                    None,
                    "value too long for type character varying(3)",
                    Some("7,abcd"),
                ),
            ],
            ..source(
                SourceStatus { done: 9, running: 0, discarded: 2, refused: 1, ..status("buyer_tickets") },
                Verdict::Partial,
                RunState::PartlyLoaded,
            )
        };
        let report = report(Verdict::Partial, vec![complete("buyer_orders"), tickets, browser]);
        insta::assert_snapshot!(of_run(&report, None, "nstore --local"));
    }

    #[test]
    fn an_open_run_says_what_it_does_and_how_to_go_on() {
        let status =
            SourceStatus { retryable: 1, last_error: Some("503 after 5 tries".into()), ..status("a") };
        let mut open = source(status, Verdict::Open, RunState::Open);
        let mut shown = report(Verdict::Open, vec![open.clone()]);
        shown.upload = false;
        insta::assert_snapshot!(of_run(&shown, None, "nstore"));
        open.verdict = Verdict::Failed;
        open.blocked = Some("days 2025-08-01 to 2025-08-03 are held by run x".into());
        assert!(
            of_run(&report(Verdict::Failed, vec![open]), None, "nstore").contains("nothing is loaded: days")
        );
    }

    #[test]
    fn a_paused_source_says_why_and_how_it_goes_on() {
        let pause = |scope| Pause {
            scope,
            at: "2025-11-23T04:03:12Z".parse().unwrap(),
            reason: "the API is being moved".into(),
        };
        let waits = |name: &str, scope| {
            let status = SourceStatus { paused: Some(pause(scope)), ..status(name) };
            source(status, Verdict::Open, RunState::Paused)
        };
        let sources = vec![waits("a", PauseScope::Run), waits("b", PauseScope::Source), complete("c")];
        insta::assert_snapshot!(of_run(&report(Verdict::Open, sources), None, "nstore"));
    }

    #[test]
    fn the_same_error_of_many_chunks_is_shown_once() {
        let one = |day: u32| FailedChunk {
            range: format!("2025-08-{day:02}_2025-08-{:02}", day + 1).parse().unwrap(),
            class: Some(FailureClass::Transient),
            error: format!("503 from http://h/orders?from=2025-08-{day:02} after 5 tries"),
            row: None,
            bundle: None,
        };
        let failed = SourceReport {
            failed: (1..=19).map(one).collect(),
            ..source(status("a"), Verdict::Failed, RunState::Failed)
        };
        let text = of_run(&report(Verdict::Failed, vec![failed]), None, "nstore --local");
        assert_eq!(text.matches("503 from").count(), 1, "{text}");
        assert!(text.contains("19 chunks: 2025-08-01..2025-08-19  a"), "{text}");
    }

    #[test]
    fn many_different_errors_are_counted() {
        let one = |n: u8| FailedChunk {
            range: "2025-08-04_2025-08-07".parse().unwrap(),
            class: Some(FailureClass::Transient),
            error: format!("column {}", "x".repeat(usize::from(n))),
            row: None,
            bundle: None,
        };
        let failed = SourceReport {
            failed: (1..=55).map(one).collect(),
            ..source(status("a"), Verdict::Failed, RunState::Failed)
        };
        let text = of_run(&report(Verdict::Failed, vec![failed]), None, "nstore --local");
        assert!(text.contains("and 5 other errors"), "{text}");
        assert_eq!(text.matches("2025-08-04..2025-08-06").count(), MAX_GROUPS);
        assert!(text.contains("nstore --local status 20251123-040312-k3f9 --json"), "{text}");
    }

    #[test]
    fn what_is_unproven_and_what_is_warned_of_is_said() {
        let mut unproven = complete("x");
        unproven.evidence = EvidenceCounts {
            proven: 9,
            unproven: 2,
            evidence: std::collections::BTreeMap::from([("total", 8), ("empty page", 1)]),
            weak_evidence: std::collections::BTreeMap::from([("single page", 2)]),
        };
        unproven.evidence_hint = Some("name `total_path` under `paginator`".into());
        let warning = ChunkWarning::FieldAbsent { column: "email".into(), path: "e_mail".into(), hint: None };
        let text = warning.to_string();
        unproven.warnings = vec![SourceWarning { warning, text, chunks: 3 }];
        let report = report(Verdict::Complete, vec![unproven, complete("y")]);
        insta::assert_snapshot!(of_run(&report, None, "nstore"));
        let json = serde_json::json!(report);
        assert_eq!(json["verdict"], "complete");
        assert_eq!(json["unproven"], 2);
        let source = &json["sources"][0];
        assert_eq!((&source["proven"], &source["evidence"]["total"]), (&9.into(), &8.into()));
        assert_eq!(
            (&source["warnings"][0]["chunks"], &source["warnings"][0]["column"]),
            (&3.into(), &"email".into())
        );
    }

    #[test]
    fn without_the_ledger_nothing_is_said_of_loads() {
        let mut shown = report(Verdict::Open, vec![complete("a")]);
        (shown.state, shown.ledger_known) = (RunState::LoadUnknown, false);
        (shown.sources[0].verdict, shown.sources[0].state) = (Verdict::Open, RunState::LoadUnknown);
        let text = of_run(&shown, None, "nstore");
        assert!(text.starts_with("run 20251123-040312-k3f9: open (extracted, load unknown)"), "{text}");
        assert!(text.contains('?') && !text.contains("98,765") && !text.contains("resume"), "{text}");
    }
}
