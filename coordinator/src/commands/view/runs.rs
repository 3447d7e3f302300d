//! Lists: the runs there are, and how much is stored.

use std::collections::BTreeMap;

use nstore_shared::storage::upkeep::Usage;

use super::{
    quantity::{bytes, count, grouped},
    table,
};
use crate::commands::runs::Stored;

/// The runs, one a line.
pub(in crate::commands) fn table(runs: &[Stored], storage: &str) -> String {
    if runs.is_empty() {
        return format!("no run in storage at {storage}");
    }
    let mut table =
        table::table(&["run", "asked for", "days", "sources", "chunks", "rows", "upload", "status"], &[4, 5]);
    for run in runs {
        table.add_row([
            run.run.to_string(),
            run.created_at.format("%Y-%m-%d %H:%M").to_string(),
            format!("{}..{}", run.start_date, run.end_date),
            run.sources.join(","),
            format!("{}/{}", run.committed, run.chunks),
            grouped(run.rows),
            (if run.upload { "yes" } else { "no" }).to_owned(),
            status(run),
        ]);
    }
    table::text(&table)
}

/// How far a run has come, and how much of it is unproven.
fn status(run: &Stored) -> String {
    match run.unproven {
        0 => run.state.label().to_owned(),
        unproven => format!("{} ({} unproven)", run.state.label(), count(unproven, "chunk")),
    }
}

/// How much each source takes.
pub(in crate::commands) fn usage(url: &str, free: Option<u64>, usage: &BTreeMap<String, Usage>) -> String {
    let mut table = table::table(&["source", "files", "size"], &[1, 2]);
    for (source, used) in usage {
        table.add_row([source.clone(), grouped(used.files), bytes(used.bytes)]);
    }
    let used: u64 = usage.values().map(|used| used.bytes).sum();
    let free = free.map_or_else(String::new, |free| format!(", {} free", bytes(free)));
    format!("storage at {url}: {} used{free}\n\n{}", bytes(used), table::text(&table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_listed_with_how_far_they_have_come() {
        use crate::run::{RunState, Verdict};
        let run = |name: &str, verdict, state, committed| Stored {
            run: format!("20251123-040312-{name}").parse().unwrap(),
            created_at: "2025-11-23T04:03:12Z".parse().unwrap(),
            start_date: "2025-08-01".parse().unwrap(),
            end_date: "2025-08-31".parse().unwrap(),
            sources: vec!["buyer_orders".into(), "buyer_tickets".into()],
            upload: state != RunState::ExtractedOnly,
            cancelled: state == RunState::Cancelled,
            paused: state == RunState::Paused,
            state,
            verdict,
            chunks: 11,
            committed,
            discarded: 0,
            loaded: Some(0),
            unproven: u64::from(name == "bbbb"),
            rows: committed * 1000,
        };
        let runs = [
            run("aaaa", Verdict::Complete, RunState::Loaded, 11),
            run("bbbb", Verdict::Complete, RunState::ExtractedOnly, 11),
            run("cccc", Verdict::Partial, RunState::PartlyLoaded, 9),
            run("dddd", Verdict::Failed, RunState::LoadRefused, 11),
            run("eeee", Verdict::Open, RunState::Open, 4),
            run("ffff", Verdict::Open, RunState::Paused, 4),
            run("gggg", Verdict::Failed, RunState::Failed, 0),
            run("hhhh", Verdict::Cancelled, RunState::Cancelled, 4),
            run("iiii", Verdict::Open, RunState::LoadUnknown, 11),
        ];
        insta::assert_snapshot!(table(&runs, "file:///srv"));
        assert_eq!(table(&[], "file:///srv"), "no run in storage at file:///srv");
    }
}
