//! Localised text -> plain text, by a column's declared format. Pure.
//!
//! All arithmetic is on the digits as text, so it is exact: `12.5%` is `0.125`, `1.2K` is `1200`.

use chrono::{NaiveDateTime, NaiveTime, Offset as _, SecondsFormat, TimeZone as _, Timelike as _};
use nstore_shared::config::{
    cell_format::CellFormat,
    numbers::{Multiples, tidied},
    time_pattern::{TimePattern, TimeRead},
    zone_mark::ZoneMark,
};

/// The plain form of a text: `2025-08-01`, `2025-08-01T00:15:00` (with the offset where the
/// text or the pattern has one), `1234.56`.
/// `None` when the text does not fit.
pub fn plain(format: &CellFormat, text: &str) -> Option<String> {
    match format {
        CellFormat::Time(pattern) => time(pattern, &tidied(text)),
        CellFormat::Number { .. } => format.number_style()?.plain(text, Multiples::Taken),
    }
}

/// A naive time as `2025-08-01T00:15:00`, with the fraction of its second only where there is one.
pub(super) fn iso(time: &NaiveDateTime) -> String {
    let fraction = match time.nanosecond() {
        0 => "",
        nanos if nanos % 1_000_000 == 0 => "%.3f",
        nanos if nanos % 1_000 == 0 => "%.6f",
        _ => "%.9f",
    };
    time.format(&format!("%Y-%m-%dT%H:%M:%S{fraction}")).to_string()
}

fn time(pattern: &str, text: &str) -> Option<String> {
    Some(match TimePattern::new(pattern).ok()?.read(text)? {
        TimeRead::Instant(instant) => instant.to_rfc3339_opts(SecondsFormat::AutoSi, false),
        TimeRead::Local(time, None) => iso(&time),
        TimeRead::Local(time, Some(ZoneMark::Offset(offset))) => format!("{}{offset}", iso(&time)),
        TimeRead::Local(time, Some(ZoneMark::Zone(zone))) => {
            let instant = zone.from_local_datetime(&time).earliest()?;
            instant.to_rfc3339_opts(SecondsFormat::AutoSi, false)
        }
        // what it means, the source's zone says; the mapping knows it
        TimeRead::Local(time, Some(ZoneMark::Abbreviation(word))) => format!("{} {word}", iso(&time)),
        TimeRead::Day(day, None) => day.to_string(),
        TimeRead::Day(day, Some(ZoneMark::Offset(offset))) => format!("{day}{offset}"),
        TimeRead::Day(day, Some(ZoneMark::Zone(zone))) => {
            let midnight = zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest()?;
            format!("{day}{}", midnight.offset().fix())
        }
        TimeRead::Day(_, Some(ZoneMark::Abbreviation(_))) => return None,
    })
}

#[cfg(test)]
mod tests;
