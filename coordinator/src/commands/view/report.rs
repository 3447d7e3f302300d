//! How a run stands or ended: a line per source, then each failed chunk with its error and what to do.

use nstore_shared::chunk::RunId;

use super::{
    quantity::{bytes, grouped},
    table,
};
use crate::run::{FailedChunk, PauseScope, RunReport, SourceReport, Verdict};

/// More failed chunks of one source are counted, not listed: a terminal holds no more.
const LISTED: usize = 200;

/// The report as text, with the reason of a cancelled run; `nstore` stands before the commands that it proposes.
pub(in crate::commands) fn of_run(report: &RunReport, cancelled: Option<&str>, nstore: &str) -> String {
    let reason = cancelled.map_or_else(String::new, |reason| format!(": {reason}"));
    let head = format!("run {}: {}{reason}", report.run, word(report.verdict));
    let mut parts = vec![head, sources(report)];
    parts.extend(failures(report, nstore));
    let paused = report.sources.iter().filter_map(|source| pause(source, &report.run, nstore));
    let said: Vec<String> = paused
        .chain(report.sources.iter().filter_map(remark))
        .chain(report.sources.iter().flat_map(loads))
        .collect();
    if !said.is_empty() {
        parts.push(said.join("\n"));
    }
    parts.extend(next(report, nstore));
    parts.join("\n\n")
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "all good",
        Verdict::Open => "open",
        Verdict::Partial => "partial",
        Verdict::Failed => "failed",
        Verdict::Cancelled => "cancelled",
    }
}

fn sources(report: &RunReport) -> String {
    let mut header = vec!["source", "chunks", "rows", "size"];
    if report.upload {
        header.extend(["loaded", "rows loaded", "there already"]);
    }
    header.extend(["rejected", "stands"]);
    let numbers: Vec<usize> = (1..header.len() - 1).collect();
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
            row.push(format!("{}/{}", status.loaded_chunks, status.chunks_total));
            row.extend([grouped(status.loaded_rows), grouped(status.skipped_rows)]);
        }
        row.extend([grouped(status.rejected), stands(source)]);
        table.add_row(row);
    }
    table::text(&table)
}

fn stands(source: &SourceReport) -> String {
    let status = &source.status;
    let paused = source.verdict == Verdict::Open && status.paused.is_some();
    let counts = [
        (status.running, "running"),
        (status.retryable, "again later"),
        (status.discarded, "failed"),
        (status.refused, "refused"),
    ];
    let said: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .chain(paused.then(|| "paused".to_owned()))
        .collect();
    match said.is_empty() {
        true => word(source.verdict).to_owned(),
        false => format!("{} ({})", word(source.verdict), said.join(", ")),
    }
}

fn failures(report: &RunReport, nstore: &str) -> Option<String> {
    let mut table = table::table(&["failed chunk", "source", "why"], &[]);
    let mut any = false;
    for source in &report.sources {
        for failed in source.failed.iter().take(LISTED) {
            any = true;
            table.add_row([failed.range.to_string(), source.status.source.to_string(), why(failed)]);
        }
        if source.failed.len() > LISTED {
            let more = format!("and {} more", source.failed.len() - LISTED);
            table.add_row([
                more,
                source.status.source.to_string(),
                format!("see them all with: {nstore} status {} --json", report.run),
            ]);
        }
    }
    any.then(|| table::text(&table))
}

fn why(failed: &FailedChunk) -> String {
    let class = failed.class.map_or_else(|| "load".to_owned(), |class| class.to_string());
    let row = failed.row.as_ref().map_or_else(String::new, |row| format!("\nrow: {row}"));
    // the error of a try that kept one says so itself
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

/// What became of rows that were not added as they came.
fn loads(source: &SourceReport) -> Vec<String> {
    let (name, status) = (&source.status.source, &source.status);
    let mut said = Vec::new();
    if status.changed_rows > 0 {
        said.push(format!(
            "{name}: {} rows have changed since an earlier run: the table keeps the old ones, as upload mode append \
             does; replace_range or replace takes the new ones",
            grouped(status.changed_rows)
        ));
    }
    if status.refused_rows > 0 {
        said.push(format!(
            "{name}: the table refused {} rows, as many as the mapping allows: see the table nstore.rejects",
            grouped(status.refused_rows)
        ));
    }
    if status.defaulted_rows > 0 {
        said.push(format!(
            "{name}: {} rows took a default of the table for a value that is absent or null",
            grouped(status.defaulted_rows)
        ));
    }
    said
}

/// What is to be known of a source beside its chunks.
fn remark(source: &SourceReport) -> Option<String> {
    let name = &source.status.source;
    if let Some(blocked) = &source.blocked {
        return Some(format!("{name}: nothing is loaded: {blocked}"));
    }
    if source.status.stopped {
        return Some(format!("{name}: a failed chunk stopped the later ones (on_discard: stop)"));
    }
    if source.status.outside > 0 {
        return Some(format!(
            "{name}: {} rows came that lie outside what was asked, and were left out: rows may be missing at the \
             days' ends; compare `timezone` and `window.bounds`, or the dates of a page's filter, with the source's \
             documents",
            grouped(source.status.outside)
        ));
    }
    match (&source.status.last_error, source.verdict) {
        (Some(error), Verdict::Open) => Some(format!("{name}: the last try that failed: {error}")),
        _ => None,
    }
}

fn next(report: &RunReport, nstore: &str) -> Option<String> {
    let run = &report.run;
    let failed = report.sources.iter().any(|source| !source.failed.is_empty());
    match report.verdict {
        Verdict::Good | Verdict::Cancelled => None,
        // a paused one is not resumed but unpaused, as is said beside it
        Verdict::Open if report.sources.iter().any(|source| source.status.paused.is_some()) => None,
        Verdict::Open => Some(format!("go on: {nstore} resume {run}")),
        Verdict::Partial | Verdict::Failed if failed => Some(format!("try them again: {nstore} retry {run}")),
        // what was not extracted is told with its way out
        Verdict::Partial | Verdict::Failed
            if report.sources.iter().all(|source| complete_or_left_out(source)) =>
        {
            None
        }
        Verdict::Partial | Verdict::Failed => Some(format!("load it again: {nstore} load {run}")),
    }
}

fn complete_or_left_out(source: &SourceReport) -> bool {
    source.verdict == Verdict::Good || (source.blocked.is_some() && source.status.done == 0)
}

#[cfg(test)]
pub(in crate::commands) mod tests {
    use nstore_shared::{
        chunk::{ExecutionMode, UploadMode},
        retry::FailureClass,
    };

    use super::*;
    use crate::run::{Pause, SourceStatus};

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
            refused: 0,
            stopped: false,
            paused: None,
            last_error: None,
        }
    }

    fn report(verdict: Verdict, sources: Vec<SourceReport>) -> RunReport {
        RunReport { run: "20251123-040312-k3f9".parse().unwrap(), verdict, upload: true, sources }
    }

    fn good(source: &str) -> SourceReport {
        let status =
            SourceStatus { done: 11, running: 0, loaded_chunks: 11, skipped_rows: 12, ..status(source) };
        SourceReport { status, verdict: Verdict::Good, failed: vec![], blocked: None }
    }

    #[test]
    fn a_good_end_is_short() {
        let report = report(Verdict::Good, vec![good("buyer_orders"), good("buyer_razorpay")]);
        insta::assert_snapshot!(of_run(&report, None, "nstore"));
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
            status: SourceStatus { done: 10, running: 0, discarded: 1, ..status("network_observability") },
            verdict: Verdict::Partial,
            failed: vec![FailedChunk {
                bundle: Some(network.into()),
                ..failed(
                    "2025-08-03_2025-08-05",
                    Some(FailureClass::Transient),
                    "step 3 (wait_for #grid): not there after 20s",
                    None,
                )
            }],
            blocked: None,
        };
        let tickets = SourceReport {
            status: SourceStatus { done: 9, running: 0, discarded: 2, refused: 1, ..status("buyer_tickets") },
            verdict: Verdict::Partial,
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
            blocked: None,
        };
        let report = report(Verdict::Partial, vec![good("buyer_orders"), tickets, browser]);
        insta::assert_snapshot!(of_run(&report, None, "nstore --local"));
    }

    #[test]
    fn an_open_run_says_what_it_does_and_how_to_go_on() {
        let mut open = SourceReport {
            status: SourceStatus {
                retryable: 1,
                last_error: Some("503 after 5 tries".into()),
                ..status("a")
            },
            verdict: Verdict::Open,
            failed: vec![],
            blocked: None,
        };
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
        let source = |name: &str, scope| SourceReport {
            status: SourceStatus { paused: Some(pause(scope)), ..status(name) },
            verdict: Verdict::Open,
            failed: vec![],
            blocked: None,
        };
        let sources = vec![source("a", PauseScope::Run), source("b", PauseScope::Source), good("c")];
        insta::assert_snapshot!(of_run(&report(Verdict::Open, sources), None, "nstore"));
    }

    #[test]
    fn many_failures_are_counted() {
        let one = FailedChunk {
            range: "2025-08-04_2025-08-07".parse().unwrap(),
            class: Some(FailureClass::Transient),
            error: "503".into(),
            row: None,
            bundle: None,
        };
        let source = SourceReport {
            status: status("a"),
            verdict: Verdict::Failed,
            failed: vec![one; 205],
            blocked: None,
        };
        let text = of_run(&report(Verdict::Failed, vec![source]), None, "nstore --local");
        assert!(text.contains("and 5 more"), "{text}");
        assert_eq!(text.matches("2025-08-04_2025-08-07").count(), 200);
        assert!(text.contains("nstore --local status 20251123-040312-k3f9 --json"), "{text}");
    }
}
