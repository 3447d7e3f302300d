//! One record's slots -> one checked CSV line, or all the reasons why not.

use std::fmt::Write as _;

use chrono::Datelike as _;
use nstore_shared::{
    chunk::start_of_day,
    contract::{ColumnType, Contract, NulPolicy},
    storage::marker::Quality,
};

use super::{
    csv,
    fields::Slot,
    json, number,
    quality::{RowTally, Tally},
    text::{self, TextFault},
    time::{self, Moment, Reader, TimeFault},
    zone::LocalZone,
};
use crate::extract::Span;

/// What became of a record.
pub(super) enum Fate {
    /// A line was written.
    Row,
    /// It lies outside the chunk.
    Outside,
    /// It does not fit; all reasons in one text.
    Rejected(String),
}

/// What is asked of one column's values.
struct Rule {
    name: String,
    check: Check,
    required: bool,
}

enum Check {
    Text,
    Bigint,
    Numeric { precision: u16, scale: u16 },
    Double,
    Boolean,
    Date(Reader),
    Timestamptz(Reader),
    Jsonb,
}

/// The column that says which chunk a row belongs to, and the chunk's moments of that kind: `[start, end)`.
struct Range {
    column: usize,
    start: Moment,
    end: Moment,
}

/// Writes the rows of one chunk.
pub(super) struct RowWriter {
    rules: Vec<Rule>,
    range: Option<Range>,
    zone: LocalZone,
    nul: NulPolicy,
    tally: Tally,
    row: RowTally,
    text: String,
    bytes: Vec<u8>,
}

impl RowWriter {
    /// Compiles a contract; the error says what is wrong with it.
    pub(super) fn new(contract: &Contract, span: Span) -> Result<Self, String> {
        if let Some(name) = contract.key.iter().find(|name| contract.column(name).is_none()) {
            return Err(format!("its key names `{name}`, which is no column"));
        }
        let rules = contract.columns.iter().map(|column| {
            let reader = || Reader::new(column.format.as_ref());
            let check = match column.kind {
                ColumnType::Text => Check::Text,
                ColumnType::Bigint => Check::Bigint,
                ColumnType::Numeric { precision, scale } => Check::Numeric { precision, scale },
                ColumnType::Double => Check::Double,
                ColumnType::Boolean => Check::Boolean,
                ColumnType::Date => Check::Date(reader()?),
                ColumnType::Timestamptz => Check::Timestamptz(reader()?),
                ColumnType::Jsonb => Check::Jsonb,
            };
            // a row without a key or a place in time could never be found again
            let needed =
                contract.key.contains(&column.name) || contract.range_column.as_ref() == Some(&column.name);
            Ok(Rule { name: column.name.clone(), check, required: column.required || needed })
        });
        let rules = rules.collect::<Result<Vec<_>, String>>()?;
        let range = contract.range_column.as_deref().map(|name| range(&rules, name, span)).transpose()?;
        let tally = Tally::new(rules.len());
        Ok(Self {
            rules,
            range,
            zone: LocalZone::new(span.zone),
            nul: contract.nul,
            tally,
            row: RowTally::default(),
            text: String::new(),
            bytes: Vec::new(),
        })
    }

    /// How many slots a record has.
    pub(super) fn columns(&self) -> usize {
        self.rules.len()
    }

    /// Counts a record that no row can be made of.
    pub(super) fn count_reject(&mut self) {
        self.tally.rejected += 1;
    }

    /// Appends a record as a line, unless it does not fit or does not belong.
    pub(super) fn write(&mut self, slots: &[Slot<'_>], out: &mut Vec<u8>) -> Fate {
        let start = out.len();
        let mut reasons = String::new();
        self.row.clear();
        for (column, slot) in slots.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            if let Err(fault) = self.cell(column, *slot, out) {
                let gap = if reasons.is_empty() { "" } else { "; " };
                let _ = write!(reasons, "{gap}column `{}`: {fault}", self.rules[column].name);
            }
        }
        out.push(b'\n');
        let outside = self.is_outside();
        if !outside && reasons.is_empty() {
            self.tally.add(&self.row);
            return Fate::Row;
        }
        out.truncate(start);
        if outside {
            self.tally.outside += 1;
            return Fate::Outside;
        }
        self.tally.rejected += 1;
        Fate::Rejected(reasons)
    }

    /// The figures on all rows.
    pub(super) fn finish(self) -> Quality {
        self.tally.finish(self.rules.iter().map(|rule| rule.name.as_str()))
    }

    /// Whether the row's own moment lies in another chunk; other faults of such a row are not this chunk's.
    fn is_outside(&self) -> bool {
        self.range.as_ref().is_some_and(|range| {
            let own = self.row.moments.iter().find(|(column, _)| *column == range.column);
            own.is_some_and(|(_, moment)| !(range.start..range.end).contains(moment))
        })
    }

    fn cell(&mut self, column: usize, slot: Slot<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match slot {
            Slot::Raw("null") | Slot::Absent => {
                if self.rules[column].required {
                    return Err("is required and has no value".to_owned());
                }
                self.row.nulls.push(column);
                Ok(())
            }
            Slot::Raw(raw) => self.value(column, raw, out),
            Slot::Blocked(words) => Err(format!("there is {words} on its path where an object should be")),
        }
    }

    fn value(&mut self, column: usize, raw: &str, out: &mut Vec<u8>) -> Result<(), String> {
        let check = &self.rules[column].check;
        if let Check::Jsonb = check {
            self.bytes.clear();
            let stripped = json::compact(raw, self.nul, &mut self.bytes);
            self.row.nul_stripped += stripped.map_err(|fault| format!("{} {fault}", shown(raw)))?;
            csv::field(out, &self.bytes);
            return Ok(());
        }
        if raw.starts_with(['{', '[']) {
            return Err(format!("{} is no {}", shown(raw), check.words()));
        }
        let is_text = raw.starts_with('"');
        let inside = if is_text { &raw[1..raw.len() - 1] } else { raw };
        let (plain, nul) = text::unescape(inside, &mut self.text)
            .map_err(|fault| format!("{} {}", shown(raw), fault.words()))?;
        if let Check::Text = check {
            return if nul {
                nul_text(plain, self.nul, &mut self.row, out)
                    .map_err(|fault| format!("{} {fault}", shown(raw)))
            } else {
                csv::field(out, plain.as_bytes());
                Ok(())
            };
        }
        match check.scalar(plain, is_text, &mut self.zone, out) {
            Ok(Some(moment)) => {
                time::write(out, moment);
                self.row.moments.push((column, moment));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(Some(TimeFault::Gap)) => {
                Err(format!("{} is skipped by a clock change in {}", shown(raw), self.zone.zone))
            }
            Err(Some(TimeFault::Reach)) => Err(format!("{} is outside the years 1 to 9999", shown(raw))),
            Err(_) => Err(format!("{} is no {}", shown(raw), check.words())),
        }
    }
}

impl Check {
    /// Writes a number or boolean; a date or time is left to the caller.
    fn scalar(
        &self,
        plain: &str,
        is_text: bool,
        zone: &mut LocalZone,
        out: &mut Vec<u8>,
    ) -> Result<Option<Moment>, Option<TimeFault>> {
        let fits = match self {
            Self::Bigint => number::integer(plain).is_some(),
            Self::Numeric { precision, scale } => number::fits_numeric(plain, *precision, *scale),
            Self::Double => number::fits_double(plain),
            Self::Boolean => {
                let value = truth(plain, is_text).ok_or(None)?;
                out.extend_from_slice(if value { b"true" } else { b"false" });
                return Ok(None);
            }
            Self::Date(reader) => {
                return reader.day(plain, zone.zone).map(|day| Some(Moment::Day(day))).map_err(Some);
            }
            Self::Timestamptz(reader) => {
                return reader.instant(plain, zone).map(|micros| Some(Moment::Instant(micros))).map_err(Some);
            }
            Self::Text | Self::Jsonb => false,
        };
        if !fits {
            return Err(None);
        }
        // what was checked digit by digit needs no quotes
        out.extend_from_slice(plain.as_bytes());
        Ok(None)
    }

    fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Bigint => "bigint".to_owned(),
            Self::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            Self::Double => "double".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Date(reader) => format!("date {}", reader.words()),
            Self::Timestamptz(reader) => format!("timestamptz {}", reader.words()),
            Self::Jsonb => "jsonb".to_owned(),
        }
    }
}

/// The chunk's bounds in the kind of the column that places a row.
fn range(rules: &[Rule], name: &str, span: Span) -> Result<Range, String> {
    let column = rules.iter().position(|rule| rule.name == name);
    let column = column.ok_or_else(|| format!("its range_column `{name}` is no column"))?;
    // the first day that starts at or after an instant
    let day = |instant: chrono::DateTime<chrono::Utc>| {
        let day = instant.with_timezone(&span.zone).date_naive();
        let later = i32::from(start_of_day(day, span.zone) < instant);
        Moment::Day(day.num_days_from_ce() + later)
    };
    let (start, end) = match rules[column].check {
        Check::Date(_) => (day(span.start), day(span.end)),
        Check::Timestamptz(_) => {
            (Moment::Instant(span.start.timestamp_micros()), Moment::Instant(span.end.timestamp_micros()))
        }
        _ => return Err(format!("its range_column `{name}` is neither a date nor a timestamptz")),
    };
    Ok(Range { column, start, end })
}

/// JSON's booleans, and what databases and spreadsheets make of them.
fn truth(plain: &str, is_text: bool) -> Option<bool> {
    match plain {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        "t" if is_text => Some(true),
        "f" if is_text => Some(false),
        _ => None,
    }
}

/// A text that holds NULs.
fn nul_text(plain: &str, nul: NulPolicy, row: &mut RowTally, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if nul == NulPolicy::Reject {
        return Err(TextFault::Nul.words());
    }
    let kept = plain.replace('\0', "");
    row.nul_stripped += (plain.len() - kept.len()) as u64;
    csv::field(out, kept.as_bytes());
    Ok(())
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
