//! Several answers of one view -> one list: parts are joined in their order, without doubles; what contradicts itself is
//! refused. Pure.
//!
//! - `question`: what was asked, taken apart

use std::collections::BTreeMap;

use super::decode::json::Records;
pub(super) use question::Question;
use question::Role;

mod question;

/// An answer that holds the wanted columns, and what was asked for it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) question: Question,
    pub(super) records: Records,
}

/// The rows of all parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) records: Records,
    /// In so many parts they came.
    pub(super) parts: u64,
    /// The rows of the last part.
    pub(super) last: u64,
    /// The rows of the largest part.
    pub(super) largest: u64,
}

/// Why several answers are not one list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PartsError {
    /// They are of several views.
    #[error(
        "the page got rows for {count} different questions, which differ in {differ}; narrow `url` to the one that is meant, or, where a later answer replaces an earlier one, say `parts: newest`"
    )]
    SeveralViews {
        /// How many.
        count: usize,
        /// In what.
        differ: String,
    },
    /// The same was asked again, and the answer was another one.
    #[error("the same part was asked for twice, with different answers: the list changed while it was read")]
    Changed,
    /// Rows before the first part, or between two parts, were not asked for.
    #[error(
        "the page asked for {what} {next}, and before it for none that reaches it: rows are missing between"
    )]
    Gap {
        /// `row` or `page`.
        what: &'static str,
        /// From where on.
        next: u64,
    },
    /// Two parts overlap, and their rows differ there.
    #[error(
        "two parts of the list overlap from row {0} on, and their rows differ: the list changed while it was read"
    )]
    Overlap(u64),
    /// Two parts are equal.
    #[error("two parts of the list have equal rows: the source seems to ignore which part is asked for")]
    Repeated,
}

/// Joins the answers of one view; they come in the order in which they were asked for.
pub(super) fn join(parts: Vec<Part>) -> Result<Joined, PartsError> {
    let parts = distinct(of_one_view(parts)?)?;
    if parts.len() < 2 {
        let records = parts.into_iter().next().map(|part| part.records).unwrap_or_default();
        let rows = records.hashes.len() as u64;
        return Ok(Joined { records, parts: 1, last: rows, largest: rows });
    }
    match (differing(&parts, Role::Offset), differing(&parts, Role::Page)) {
        (Some(positions), _) => match by_rows(parts.clone(), &positions) {
            // numbers that rise by one may be those of pages
            Err(PartsError::Overlap(_)) if in_sequence(&positions).is_ok() => {
                one_after_the_other(sorted(parts, &positions))
            }
            joined => joined,
        },
        (None, Some(positions)) => {
            in_sequence(&positions)?;
            one_after_the_other(sorted(parts, &positions))
        }
        (None, None) if only_sizes_differ(&parts) => {
            let from_start = vec![0; parts.len()];
            by_rows(parts, &from_start)
        }
        (None, None) => one_after_the_other(parts),
    }
}

/// The parts of the one view that has rows; answers without rows may be of another one.
fn of_one_view(parts: Vec<Part>) -> Result<Vec<Part>, PartsError> {
    let Some(newest) = parts.last().map(|part| owned(part.question.view())) else { return Ok(parts) };
    let is_other = |part: &Part| owned(part.question.view()) != newest;
    let others: Vec<&Part> =
        parts.iter().filter(|part| is_other(part) && !part.records.hashes.is_empty()).collect();
    if let Some(other) = others.first() {
        let (one, other) = (&newest, owned(other.question.view()));
        let keys = one.keys().chain(other.keys()).filter(|key| one.get(*key) != other.get(*key));
        let mut differ: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        differ.sort();
        differ.dedup();
        let mut views: Vec<_> = others.iter().map(|part| owned(part.question.view())).collect();
        views.sort();
        views.dedup();
        return Err(PartsError::SeveralViews { count: views.len() + 1, differ: differ.join(", ") });
    }
    Ok(parts.into_iter().filter(|part| owned(part.question.view()) == newest).collect())
}

fn owned(fields: BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What was asked for more than once counts once: the newest answer, where it is all there is.
fn distinct(parts: Vec<Part>) -> Result<Vec<Part>, PartsError> {
    let mut kept: Vec<Part> = Vec::new();
    let mut changed = false;
    for part in parts {
        match kept.iter_mut().find(|known| known.question.sense() == part.question.sense()) {
            Some(known) => {
                changed |= known.records.hashes != part.records.hashes;
                *known = part;
            }
            None => kept.push(part),
        }
    }
    if changed && kept.len() > 1 { Err(PartsError::Changed) } else { Ok(kept) }
}

/// The numbers of the one field of a role that is not the same in all parts; where it is absent, the first one's.
fn differing(parts: &[Part], role: Role) -> Option<Vec<u64>> {
    let numbers: Vec<_> = parts.iter().map(|part| part.question.numbers(role)).collect();
    let keys: std::collections::BTreeSet<&str> =
        numbers.iter().flat_map(|fields| fields.keys().copied()).collect();
    let of_key =
        |key: &str| -> Vec<Option<u64>> { numbers.iter().map(|fields| fields.get(key).copied()).collect() };
    let values =
        keys.into_iter().map(of_key).find(|values| values.windows(2).any(|pair| pair[0] != pair[1]))?;
    let least = values.iter().flatten().min().copied().unwrap_or_default();
    // a first part is often asked for without a number
    let first = if role == Role::Page { least.saturating_sub(1) } else { 0 };
    Some(values.into_iter().map(|value| value.unwrap_or(first)).collect())
}

fn only_sizes_differ(parts: &[Part]) -> bool {
    let without_sizes = |part: &Part| {
        let sizes = part.question.numbers(Role::Size);
        let sense = part.question.sense().into_iter().filter(|(key, _)| !sizes.contains_key(key));
        owned(sense.collect())
    };
    parts.windows(2).all(|pair| without_sizes(&pair[0]) == without_sizes(&pair[1]))
}

fn sorted(parts: Vec<Part>, positions: &[u64]) -> Vec<Part> {
    let mut placed: Vec<(u64, Part)> = positions.iter().copied().zip(parts).collect();
    placed.sort_by_key(|(position, _)| *position);
    placed.into_iter().map(|(_, part)| part).collect()
}

/// Pages from the first one on, without a gap.
fn in_sequence(positions: &[u64]) -> Result<(), PartsError> {
    let mut rising = positions.to_vec();
    rising.sort_unstable();
    let gap = |next: u64| Err(PartsError::Gap { what: "page", next });
    match rising.first() {
        Some(first) if *first > 1 => return gap(*first),
        _ => {}
    }
    rising.windows(2).find(|pair| pair[1] > pair[0] + 1).map_or(Ok(()), |pair| gap(pair[1]))
}

fn one_after_the_other(parts: Vec<Part>) -> Result<Joined, PartsError> {
    none_repeated(&parts)?;
    let mut joined = Joined::default();
    for part in parts {
        joined.add(part.records, 0);
    }
    Ok(joined)
}

fn none_repeated(parts: &[Part]) -> Result<(), PartsError> {
    let mut seen = std::collections::HashSet::new();
    let filled = parts.iter().map(|part| &part.records.hashes).filter(|hashes| !hashes.is_empty());
    for hashes in filled {
        if !seen.insert(hashes) {
            return Err(PartsError::Repeated);
        }
    }
    Ok(())
}

/// Parts that say at which row they begin.
fn by_rows(parts: Vec<Part>, positions: &[u64]) -> Result<Joined, PartsError> {
    let mut placed: Vec<(u64, Part)> = positions.iter().copied().zip(parts).collect();
    placed.sort_by_key(|(position, part)| (*position, part.records.hashes.len()));
    let base = placed.first().map_or(0, |(position, _)| *position);
    if base > 1 {
        return Err(PartsError::Gap { what: "row", next: base });
    }
    let mut joined = Joined::default();
    for (at, (position, part)) in placed.into_iter().enumerate() {
        let (known, rows) = (&joined.records.hashes, &part.records.hashes);
        let begin = usize::try_from(position - base).unwrap_or(usize::MAX);
        if begin > known.len() && !rows.is_empty() {
            return Err(PartsError::Gap { what: "row", next: position });
        }
        let overlap = known.len().saturating_sub(begin).min(rows.len());
        if overlap > 0 && known[begin..begin + overlap] != rows[..overlap] {
            return Err(PartsError::Overlap(position));
        }
        if at > 0 && overlap == 0 && !rows.is_empty() && known.ends_with(rows) && known.len() == rows.len() {
            return Err(PartsError::Repeated);
        }
        joined.add(part.records, overlap);
    }
    Ok(joined)
}

impl Joined {
    /// Takes a part, without as many rows at its beginning.
    fn add(&mut self, mut part: Records, without: usize) {
        let rows = part.hashes.len() as u64;
        (self.parts, self.last, self.largest) = (self.parts + 1, rows, self.largest.max(rows));
        self.records.table.rows.extend(part.table.rows.drain(without..));
        self.records.hashes.extend(part.hashes.drain(without..));
        if self.records.found.is_empty() {
            self.records.found = part.found;
        } else {
            for (found, also) in self.records.found.iter_mut().zip(part.found) {
                *found |= also;
            }
        }
    }

    /// Whether the last part is as large as a part can be: then another one may follow.
    pub(super) fn may_go_on(&self, cap: Option<u64>) -> bool {
        let full = if self.parts > 1 { self.last == self.largest } else { false };
        self.last > 0 && (full || cap.is_some_and(|cap| self.last >= cap))
    }
}

#[cfg(test)]
mod tests;
