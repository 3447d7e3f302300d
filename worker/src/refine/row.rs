//! One record's slots -> one checked CSV line, or all the reasons why not.

use std::{fmt::Write as _, ops::Range};

use chrono_tz::Tz;
use nstore_shared::{
    config::numbers::Multiples,
    contract::{Contract, NulPolicy},
    storage::marker::{ChunkWarning, Quality},
};

use super::{
    check::{Check, Rule},
    csv,
    distinct::{Conflict, Distinct, Seen},
    fields::Slot,
    json, list,
    place::{Bounds, Place},
    quality::{RowTally, Tally},
    text::{self, TextFault},
    time::{self, Moment, TimeFault},
    zone::LocalZone,
};
use crate::extract::{Expected, Span};

/// What became of a record.
pub(super) enum Fate {
    /// A line was written.
    Row,
    /// It lies outside the chunk.
    Outside,
    /// Another row has its key.
    Duplicate,
    /// It does not fit; all reasons in one text.
    Rejected(String),
}

/// Writes the rows of one chunk.
pub(super) struct RowWriter {
    rules: Vec<Rule>,
    bounds: Option<Bounds>,
    distinct: Option<Distinct>,
    zone: LocalZone,
    nul: NulPolicy,
    tally: Tally,
    row: RowTally,
    /// Where the cells of the last row are, of a table with a key.
    cells: Vec<Range<usize>>,
    conflict: Option<Conflict>,
    text: String,
    bytes: Vec<u8>,
}

/// What one cell became.
enum Cell {
    /// A value was written.
    Value,
    /// There is none, and the reason.
    Null(String),
    /// So without a reason, which is the case of most nulls.
    PlainNull,
}

impl RowWriter {
    /// Compiles a contract; the error says what is wrong with it.
    pub(super) fn new(contract: &Contract, span: Span) -> Result<Self, String> {
        if let Some(name) = contract.key.iter().find(|name| contract.column(name).is_none()) {
            return Err(format!("its key names `{name}`, which is no column"));
        }
        let rules = contract.columns.iter().map(|column| Rule::new(contract, column));
        let rules = rules.collect::<Result<Vec<_>, String>>()?;
        let bounds =
            contract.range_column.as_deref().map(|name| Bounds::new(&rules, name, span)).transpose()?;
        let tally = Tally::new(rules.len());
        Ok(Self {
            rules,
            bounds,
            distinct: Distinct::new(contract),
            zone: LocalZone::new(span.zone, contract.ambiguous),
            nul: contract.nul,
            tally,
            row: RowTally::default(),
            cells: Vec::new(),
            conflict: None,
            text: String::new(),
            bytes: Vec::new(),
        })
    }

    /// Tells it what the source may send outside of the chunk.
    pub(super) fn expect(&mut self, expected: &Expected) {
        if let Some(bounds) = &mut self.bounds {
            bounds.expect(expected, self.zone.zone);
        }
    }

    /// How many slots a record has.
    pub(super) fn columns(&self) -> usize {
        self.rules.len()
    }

    /// Counts a record that no row can be made of.
    pub(super) fn count_reject(&mut self) {
        self.tally.rejected += 1;
    }

    /// Appends a record as a line, unless it does not fit, does not belong, or is there already.
    pub(super) fn write(&mut self, slots: &[Slot<'_>], out: &mut Vec<u8>) -> Fate {
        let start = out.len();
        let mut reasons = String::new();
        self.row.clear();
        self.cells.clear();
        for (column, slot) in slots.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            let cell = out.len();
            if let Err(fault) = self.cell(column, *slot, out) {
                let gap = if reasons.is_empty() { "" } else { "; " };
                let _ = write!(reasons, "{gap}column `{}`: {fault}", self.rules[column].name);
            }
            if self.distinct.is_some() {
                self.cells.push(cell..out.len());
            }
        }
        out.push(b'\n');
        self.tally.objects += 1;
        let fate = self.fate(reasons, out, start);
        match fate {
            Fate::Row => self.tally.add(&self.row),
            _ => out.truncate(start),
        }
        fate
    }

    fn fate(&mut self, reasons: String, out: &[u8], start: usize) -> Fate {
        let place = self.place();
        if let Some((moment, place)) = place.filter(|(_, place)| *place != Place::Inside) {
            // other faults of such a row are not this chunk's
            self.tally.outside.count(place, moment);
            return Fate::Outside;
        }
        if !reasons.is_empty() {
            self.tally.rejected += 1;
            return Fate::Rejected(reasons);
        }
        let Some(distinct) = &mut self.distinct else { return Fate::Row };
        match distinct.see(out, start, &self.cells) {
            Seen::First => return Fate::Row,
            Seen::Again => {
                if self.tally.duplicates == 0 {
                    self.tally.duplicate = distinct.key_of(out, &self.cells);
                }
                self.tally.duplicates += 1;
            }
            Seen::Differs(conflict) => {
                self.conflict.get_or_insert(conflict);
            }
        }
        Fate::Duplicate
    }

    /// The moment of the column that places a row, and where it lies.
    fn place(&self) -> Option<(Moment, Place)> {
        let bounds = self.bounds.as_ref()?;
        let (_, moment) = self.row.moments.iter().find(|(column, _)| *column == bounds.column)?;
        Some((*moment, bounds.place(*moment)))
    }

    /// Two rows with one key and different values, if there were any, and the names of the key's columns.
    pub(super) fn conflict(&self) -> Option<(&Conflict, String)> {
        Some((self.conflict.as_ref()?, self.distinct.as_ref()?.key_names()))
    }

    /// How many keys there were; `None` of a table without one.
    pub(super) fn keys(&self) -> Option<u64> {
        self.distinct.as_ref().map(Distinct::keys)
    }

    /// Sums over all records so far.
    /// Times that a clock change repeats, as a warning.
    pub(super) fn repeated_times(&self) -> Option<ChunkWarning> {
        self.zone.warning()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The name of the column that places a row, and whether the source's bounds are days.
    pub(super) fn range_column(&self) -> Option<(&str, bool)> {
        self.bounds.as_ref().map(|bounds| (self.rules[bounds.column].name.as_str(), bounds.whole_days))
    }

    /// The columns whose field no record had so far.
    pub(super) fn absent(&self) -> impl Iterator<Item = (usize, &Rule)> {
        let seen = &self.tally.fields_seen;
        self.rules.iter().enumerate().filter(|(column, _)| !seen[*column] && self.tally.objects > 0)
    }

    /// The figures on all rows.
    pub(super) fn finish(self) -> Quality {
        self.tally.finish(self.rules.iter().map(|rule| rule.name.as_str()))
    }

    fn cell(&mut self, column: usize, slot: Slot<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let rule = &self.rules[column];
        let slot = if rule.rest.is_empty() { slot } else { list::follow(slot, &rule.rest) };
        if slot != Slot::Absent {
            self.tally.fields_seen[column] = true;
        }
        let cell = match slot {
            Slot::Raw("null") => Cell::PlainNull,
            Slot::Absent if rule.required => {
                Cell::Null(format!("and the record has no field `{}`", rule.path))
            }
            Slot::Absent => Cell::PlainNull,
            Slot::Raw(raw) => self.value(column, raw, out)?,
            Slot::Blocked(words) => {
                return Err(format!("there is {words} on its path where an object should be"));
            }
        };
        let why = match cell {
            Cell::Value => return Ok(()),
            Cell::PlainNull => None,
            Cell::Null(why) => Some(why),
        };
        if self.rules[column].required {
            return Err(why.map_or("is required and is null".to_owned(), |why| format!("is required, {why}")));
        }
        self.row.nulls.push(column);
        Ok(())
    }

    fn value(&mut self, column: usize, raw: &str, out: &mut Vec<u8>) -> Result<Cell, String> {
        let rule = &self.rules[column];
        let check = &rule.check;
        let is_nested = raw.starts_with(['{', '[']);
        if let (Check::Jsonb, true) = (check, is_nested || rule.null_values.is_empty()) {
            return self.jsonb(raw, out);
        }
        if is_nested {
            return Err(format!("{} is no {}", shown(raw), check.words()));
        }
        let is_text = raw.starts_with('"');
        let inside = if is_text { &raw[1..raw.len() - 1] } else { raw };
        let (plain, nul) = text::unescape(inside, &mut self.text)
            .map_err(|fault| format!("{} {}", shown(raw), fault.words()))?;
        if rule.null_values.iter().any(|value| value == plain) {
            let why = || format!("and {} means no value here", shown(raw));
            return Ok(if rule.required { Cell::Null(why()) } else { Cell::PlainNull });
        }
        match check {
            Check::Jsonb => return self.jsonb(raw, out),
            Check::Text if nul => {
                return nul_text(plain, self.nul, &mut self.row, out)
                    .map_err(|fault| format!("{} {fault}", shown(raw)));
            }
            Check::Text => {
                csv::field(out, plain.as_bytes());
                return Ok(Cell::Value);
            }
            _ => {}
        }
        let localised;
        let plain = match rule.numbers {
            Some(style) if is_text => {
                localised = style
                    .plain(plain, Multiples::Refused)
                    .ok_or_else(|| format!("{} is not a number written as {style}", shown(raw)))?;
                &localised
            }
            _ => plain,
        };
        let moment = check
            .scalar(plain, is_text, &mut self.zone, out)
            .map_err(|fault| refused(raw, check, fault, self.zone.zone))?;
        if let Some(moment) = moment {
            time::write(out, moment);
            self.row.moments.push((column, moment));
        }
        Ok(Cell::Value)
    }

    fn jsonb(&mut self, raw: &str, out: &mut Vec<u8>) -> Result<Cell, String> {
        self.bytes.clear();
        let stripped = json::compact(raw, self.nul, &mut self.bytes);
        self.row.nul_stripped += stripped.map_err(|fault| format!("{} {fault}", shown(raw)))?;
        csv::field(out, &self.bytes);
        Ok(Cell::Value)
    }
}

/// Why a value was refused.
fn refused(raw: &str, check: &Check, fault: Option<TimeFault>, zone: Tz) -> String {
    let value = shown(raw);
    match fault {
        Some(TimeFault::Gap) => format!("{value} is skipped by a clock change in {zone}"),
        Some(TimeFault::Repeated) => format!("{value} is repeated by a clock change in {zone}"),
        Some(TimeFault::Reach) => format!("{value} is outside the years 1 to 9999"),
        Some(TimeFault::Zone) => format!(
            "{value} names a zone that is not certain: it is not UTC, GMT, an offset or an IANA name, and {zone} is \
             not called so at that time"
        ),
        Some(TimeFault::Format) | None => format!("{value} is no {}", check.words()),
    }
}

/// A text that holds NULs.
fn nul_text(
    plain: &str,
    nul: NulPolicy,
    row: &mut RowTally,
    out: &mut Vec<u8>,
) -> Result<Cell, &'static str> {
    if nul == NulPolicy::Reject {
        return Err(TextFault::Nul.words());
    }
    let kept = plain.replace('\0', "");
    row.nul_stripped += (plain.len() - kept.len()) as u64;
    csv::field(out, kept.as_bytes());
    Ok(Cell::Value)
}

/// A value in a reason: the start of it.
fn shown(raw: &str) -> String {
    const LONGEST: usize = 60;
    let inside = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    match inside.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &inside[..end]),
        None => format!("`{inside}`"),
    }
}
