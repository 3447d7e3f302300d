//! The list of workers, and what a draining one still has to do.

use nstore_shared::{
    chunk::SourceId,
    redis::fleet::{Holding, WorkerCard},
};

use super::{
    quantity::{bytes, count, grouped},
    table,
};
use crate::{commands::workers::Seen, run::SourceHold};

/// The workers, one a line; below it what each works on and cannot do.
pub(in crate::commands) fn table(workers: &[Seen], local: bool) -> String {
    if workers.is_empty() {
        let hint =
            if local { "nstore --local extract starts its own" } else { "start nstore-worker --kind api" };
        return format!("no worker is running: {hint}");
    }
    let mut table = table::table(&["worker", "host", "kind", "version", "busy", "heard", ""], &[4]);
    for Seen { card, heard_ms_ago, .. } in workers {
        table.add_row([
            card.id.clone(),
            card.host.clone(),
            card.kind.to_string(),
            card.version.clone(),
            format!("{}/{}", card.holds.len(), card.slots),
            heard_ms_ago.map_or_else(String::new, |ms| format!("{}.{}s ago", ms / 1000, ms % 1000 / 100)),
            (if card.draining { "draining" } else { "" }).to_owned(),
        ]);
    }
    let text = table::text(&table);
    let mut lines: Vec<String> = text.lines().take(1).map(str::to_owned).collect();
    for (line, worker) in text.lines().skip(1).zip(workers) {
        lines.push(line.to_owned());
        lines.extend(worker.card.holds.iter().map(|holding| format!("  {}", progress(holding))));
        lines.extend(worker.cannot.iter().map(|what| format!("  {what}")));
    }
    lines.join("\n")
}

/// Why nothing of a source is extracted for a while, and how that ends before its time.
pub(in crate::commands) fn hold(source: &SourceId, hold: &SourceHold, nstore: &str) -> String {
    let until = hold.until.format("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "{source}: on hold until {until}: {}; end the hold: {nstore} unpause --source {source}",
        hold.reason
    )
}

/// What a draining worker still has to do.
pub(in crate::commands) fn left(card: &WorkerCard) -> String {
    let chunks = count(card.holds.len() as u64, "chunk");
    if card.draining {
        format!("worker {} drains: {chunks} in hand", card.id)
    } else {
        format!("worker {} has not heard of it yet: {chunks} in hand", card.id)
    }
}

fn progress(holding: &Holding) -> String {
    let Holding { source, run, chunk, attempt, pages, rows, bytes: size } = holding;
    let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
    let (pages, rows) = (count(*pages, "page"), grouped(*rows));
    format!("{source} {chunk} of {run}{again}: {pages}, {rows} rows, {}", bytes(*size))
}

#[cfg(test)]
mod tests {
    use nstore_shared::chunk::Kind;

    use super::*;

    #[test]
    fn each_worker_says_what_it_does_and_cannot_do() {
        let card = WorkerCard {
            id: "shop-1-17-abcdef".into(),
            host: "shop-1.example.org".into(),
            kind: Kind::Api,
            version: "0.1.0".into(),
            slots: 4,
            lacks: vec![],
            without: vec![],
            lease_ms: 15_000,
            draining: false,
            holds: vec![],
            storage_url: String::new(),
            storage_id: String::new(),
            clock_ahead_ms: None,
        };
        let holding = Holding {
            source: "buyer_orders".parse().unwrap(),
            run: "20251123-040312-k3f9".parse().unwrap(),
            chunk: "2025-08-01_2025-08-04".parse().unwrap(),
            attempt: 2,
            pages: 3,
            rows: 2700,
            bytes: 500_000,
        };
        let idle =
            Seen { card: card.clone(), heard_ms_ago: Some(4250), cannot: vec!["leaves x alone".into()] };
        let busy = WorkerCard { draining: true, holds: vec![holding], id: "b".into(), ..card };
        assert_eq!(left(&busy), "worker b drains: 1 chunk in hand");
        let busy = Seen { card: busy, heard_ms_ago: None, cannot: vec![] };
        insta::assert_snapshot!(table(&[idle, busy], false));
        assert!(table(&[], false).contains("nstore-worker --kind api"));
        assert!(table(&[], true).contains("nstore --local extract"));
    }
}
