//! Dead letters and rejected rows as text.

use nstore_shared::storage::marker::{Dropped, Void, VoidReason};

use super::{
    quantity::{count, grouped},
    table,
};
use crate::commands::{discarded::Shown, rejects::Rejected};

/// Of an error, the list shows so many characters of its first line.
const ERROR_CHARS: usize = 80;
/// Of a record, the list shows so many.
const RECORD_CHARS: usize = 120;

/// Dead letters, one a line.
pub(in crate::commands) fn table(letters: &[Shown], hidden: u64) -> String {
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!("{} dropped before; --all shows them", count(hidden, "chunk")),
    };
    if letters.is_empty() {
        let none = "no chunk is discarded";
        return if hidden.is_empty() { none.to_owned() } else { format!("{none}, {hidden}") };
    }
    let mut table = table::table(&["chunk", "when", "class", "tries", "error"], &[3]);
    for letter in letters {
        let mark = if letter.dropped { "dropped: " } else { "" };
        table.add_row([
            letter.name.clone(),
            letter.finished_at.format("%Y-%m-%d %H:%M").to_string(),
            letter.class.to_string(),
            letter.attempts.to_string(),
            format!("{mark}{}", cut(letter.error.lines().next().unwrap_or_default(), ERROR_CHARS)),
        ]);
    }
    let text = table::text(&table);
    if hidden.is_empty() { text } else { format!("{text}\n{hidden}") }
}

/// One dead letter, with all that is known of it.
pub(in crate::commands) fn whole(
    letter: &Shown,
    dropped: Option<&Dropped>,
    earlier: &[Void],
    commands: &str,
) -> String {
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let mut lines = vec![
        format!("chunk     {}", letter.name),
        format!("class     {}", letter.class),
        format!("error     {}", letter.error.replace('\n', "\n          ")),
        format!("tries     {}", letter.attempts),
        format!("worker    {}", letter.worker),
        format!("began     {}", time(letter.started_at)),
        format!("ended     {}", time(letter.finished_at)),
    ];
    lines.extend(letter.bundle.iter().map(|bundle| format!("bundle    {bundle}")));
    lines.extend(letter.rejects.iter().map(|file| format!("rejects   {file}")));
    lines.extend(earlier.iter().map(|void| {
        let why = match void.reason {
            VoidReason::Damaged => "its file was damaged",
            VoidReason::Retried => "retried after",
            VoidReason::Outdated => "extracted anew",
        };
        format!("earlier   {}, {why}: {}", time(void.at), void.detail.lines().next().unwrap_or_default())
    }));
    lines.push(match dropped {
        Some(dropped) => format!("dropped   {}: {}", time(dropped.at), dropped.reason),
        None => format!("\nrun it again: {commands} discarded retry {}", letter.name),
    });
    if letter.rejects.is_some() {
        lines.push(format!("see its rejected rows: {commands} rejects show {}", letter.name));
    }
    lines.join("\n")
}

/// Chunks with rejected rows, and the first of these.
pub(in crate::commands) fn rejects(chunks: &[Rejected]) -> String {
    if chunks.is_empty() {
        return "no row was rejected".to_owned();
    }
    let mut lines = Vec::new();
    for chunk in chunks {
        let what = if chunk.discarded { "; the chunk is discarded" } else { "" };
        lines.push(format!("{}  {}{what}, in {}", chunk.name, count(chunk.rejected, "row"), chunk.file));
        for reject in &chunk.first {
            lines.push(format!("    {}: {}", reject.reason, cut(&reject.record, RECORD_CHARS)));
        }
        let rest = chunk.rejected.saturating_sub(chunk.first.len() as u64);
        if rest > 0 && !chunk.first.is_empty() {
            lines.push(format!("    and {} more", grouped(rest)));
        }
        if chunk.gone {
            lines.push("    the file is gone".to_owned());
        }
    }
    lines.join("\n")
}

/// A text's beginning.
fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rejects::First;

    fn letter(dropped: bool) -> Shown {
        Shown {
            chunk: "buyer_orders/r1/2025-08-01_2025-08-04".into(),
            name: "buyer_orders/r1/2025-08-01..2025-08-03".into(),
            source: "buyer_orders".parse().unwrap(),
            run: "r1".parse().unwrap(),
            range: "2025-08-01_2025-08-04".parse().unwrap(),
            generation: 2,
            class: nstore_shared::retry::FailureClass::Data,
            error: format!("3 of 9 records do not fit {}\nthe second line", "x".repeat(90)),
            attempts: 3,
            bundle: Some("file:///srv/failures/b".into()),
            rejects: Some("file:///srv/chunks/r.rejects.jsonl".into()),
            worker: "host-1-s0".parse().unwrap(),
            started_at: "2025-08-05T01:02:03Z".parse().unwrap(),
            finished_at: "2025-08-05T01:03:03Z".parse().unwrap(),
            dropped,
        }
    }

    #[test]
    fn dead_letters_are_listed_and_shown() {
        insta::assert_snapshot!(table(&[letter(false), letter(true)], 1));
        assert_eq!(table(&[], 0), "no chunk is discarded");
        assert_eq!(table(&[], 2), "no chunk is discarded, 2 chunks dropped before; --all shows them");
        let at = "2025-08-06T00:00:00Z".parse().unwrap();
        let void = Void { version: 1, at, reason: VoidReason::Retried, detail: "no luck".into() };
        insta::assert_snapshot!(whole(&letter(false), None, &[void], "nstore"));
        let dropped = Dropped { version: 1, at, reason: "the shop has closed".into() };
        let text = whole(&letter(true), Some(&dropped), &[], "nstore");
        assert!(text.contains("the shop has closed") && !text.contains("discarded retry"), "{text}");
    }

    #[test]
    fn rejected_rows_are_listed_with_the_first_ones() {
        let first =
            |n| First { reason: format!("`id` {n} is no number"), record: format!("{{\"id\":\"{n}\"}}") };
        let chunk = |rejected, discarded, first, gone| Rejected {
            chunk: "buyer_orders/r1/2025-08-01_2025-08-04".into(),
            name: "buyer_orders/r1/2025-08-01..2025-08-03".into(),
            file: "file:///srv/r.rejects.jsonl".into(),
            rejected,
            discarded,
            gone,
            first,
        };
        let chunks = [
            chunk(1_234, false, vec![first(1), first(2)], false),
            chunk(1, true, vec![first(3)], false),
            chunk(7, false, vec![], true),
        ];
        insta::assert_snapshot!(rejects(&chunks));
        assert_eq!(rejects(&[]), "no row was rejected");
    }
}
