//! Lists: the runs there are, and how much is stored.

use std::collections::BTreeMap;

use nstore_shared::storage::upkeep::Usage;

use super::{
    quantity::{bytes, grouped},
    table,
};
use crate::commands::runs::Stored;

/// The runs, one a line.
pub(in crate::commands) fn table(runs: &[Stored], storage: &str) -> String {
    if runs.is_empty() {
        return format!("no run in storage at {storage}");
    }
    let mut table =
        table::table(&["run", "asked for", "days", "sources", "chunks", "rows", "upload", "stands"], &[4, 5]);
    for run in runs {
        table.add_row([
            run.run.to_string(),
            run.created_at.format("%Y-%m-%d %H:%M").to_string(),
            format!("{} to {}", run.start_date, run.end_date),
            run.sources.join(","),
            format!("{}/{}", run.committed, run.chunks),
            grouped(run.rows),
            (if run.upload { "yes" } else { "no" }).to_owned(),
            run.state().to_owned(),
        ]);
    }
    table::text(&table)
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
    fn runs_are_listed_with_how_they_stand() {
        let run = |name: &str, chunks, committed, discarded, cancelled| Stored {
            run: name.parse().unwrap(),
            created_at: "2025-11-23T04:03:12Z".parse().unwrap(),
            start_date: "2025-08-01".parse().unwrap(),
            end_date: "2025-08-31".parse().unwrap(),
            sources: vec!["buyer_orders".into(), "buyer_tickets".into()],
            upload: true,
            cancelled,
            paused: name.ends_with("ffff"),
            chunks,
            committed,
            discarded,
            rows: committed * 1000,
        };
        let runs = [
            run("20251123-040312-aaaa", 11, 11, 0, false),
            run("20251123-040312-bbbb", 11, 4, 0, false),
            run("20251123-040312-cccc", 11, 9, 2, false),
            run("20251123-040312-dddd", 2, 0, 2, false),
            run("20251123-040312-eeee", 11, 4, 0, true),
            run("20251123-040312-ffff", 11, 4, 0, false),
        ];
        insta::assert_snapshot!(table(&runs, "file:///srv"));
        assert_eq!(table(&[], "file:///srv"), "no run in storage at file:///srv");
    }
}
