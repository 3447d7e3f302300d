//! Localised text -> plain text, by a column's declared format. Pure.
//!
//! All arithmetic is on the digits as text, so it is exact: `12.5%` is `0.125`, `1.2K` is `1200`.

use chrono::{
    NaiveDateTime, SecondsFormat, Timelike as _,
    format::{Parsed, StrftimeItems, parse},
};
use nstore_shared::config::cell_format::{CellFormat, plain_sign};

/// Longer texts are no numbers.
const LONGEST: usize = 200;

/// The plain form of a text: `2025-08-01`, `2025-08-01T00:15:00` (with the offset where the text has one), `1234.56`.
/// `None` when the text does not fit.
pub fn plain(format: &CellFormat, text: &str) -> Option<String> {
    match format {
        CellFormat::Time(pattern) => time(pattern, &tidied(text)),
        CellFormat::Number { group, decimal } if text.len() <= LONGEST => {
            number(&tidied(text), *group, *decimal)
        }
        CellFormat::Number { .. } => None,
    }
}

/// Without blanks around it and marks of writing direction, and with one kind of space and apostrophe.
fn tidied(text: &str) -> String {
    let is_mark = |sign: &char| matches!(sign, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}');
    let text: String = text.chars().filter(|sign| !is_mark(sign)).map(plain_sign).collect();
    text.trim().to_owned()
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
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    if parsed.hour_mod_12().is_some() && parsed.minute().is_none() {
        parsed.set_minute(0).ok()?;
    }
    if parsed.offset().is_some() {
        let instant = parsed.to_datetime().ok()?;
        return Some(instant.to_rfc3339_opts(SecondsFormat::AutoSi, false));
    }
    match parsed.to_naive_datetime_with_offset(0) {
        Ok(time) => Some(iso(&time)),
        Err(_) if parsed.hour_mod_12().is_none() && parsed.hour_div_12().is_none() => {
            parsed.to_naive_date().ok().map(|day| day.format("%Y-%m-%d").to_string())
        }
        Err(_) => None,
    }
}

/// How far a suffix moves the decimal point; the longest first where one begins another.
const SUFFIXES: [(&str, i32); 6] = [("bn", 9), ("k", 3), ("m", 6), ("b", 9), ("t", 12), ("%", -2)];

/// Signs of money that may stand before or behind a number.
fn is_currency(sign: char) -> bool {
    matches!(sign, '$' | '£' | '¥' | '¢' | '¤' | '\u{20a0}'..='\u{20cf}')
}

fn number(text: &str, group: Option<char>, decimal: char) -> Option<String> {
    let (mut rest, mut negative) = (text, false);
    let bare = |text: &str| text.trim_matches(|sign: char| sign == ' ' || is_currency(sign)).to_owned();
    // accounting: parentheses are a minus, and money may stand in or outside them
    let outside = bare(text);
    let inside = outside.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    if let Some(inside) = inside {
        (rest, negative) = (inside, true);
    }
    let (mut rest, shift) = suffix(rest);
    let mut signed = negative;
    let mut paid = false;
    while let Some(first) = rest.chars().next() {
        match first {
            '+' | '-' | '\u{2212}' if !signed => (signed, negative) = (true, first != '+'),
            _ if is_currency(first) && !paid => paid = true,
            ' ' => {}
            _ => break,
        }
        rest = &rest[first.len_utf8()..];
    }
    let digits = Digits::read(rest.strip_suffix(is_currency).unwrap_or(rest).trim_end(), group, decimal)?;
    Some(digits.shifted(shift, negative))
}

/// The text before a suffix, and how far the suffix moves the point. Money may stand behind it.
fn suffix(text: &str) -> (&str, i32) {
    let text = text.trim_end_matches(' ');
    let text = text.strip_suffix(is_currency).map_or(text, |text| text.trim_end_matches(' '));
    for (suffix, shift) in SUFFIXES {
        let at = text.len().saturating_sub(suffix.len());
        if text.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(suffix)) {
            return (text[..at].trim_end_matches(' '), shift);
        }
    }
    (text, 0)
}

/// A number's digits before and behind its point.
struct Digits {
    whole: String,
    fraction: String,
}

impl Digits {
    fn read(text: &str, group: Option<char>, decimal: char) -> Option<Self> {
        let (whole, fraction) = match text.split_once(decimal) {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let groups: Vec<&str> = match group {
            Some(group) => whole.split(group).collect(),
            None => vec![whole],
        };
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = groups.iter().all(|group| are_digits(group))
            && are_digits(fraction)
            && are_grouped(&groups)
            && (!whole.is_empty() || !fraction.is_empty());
        fits.then(|| Self { whole: groups.concat(), fraction: fraction.to_owned() })
    }

    /// As plain text, times ten to the power of `shift`.
    fn shifted(mut self, shift: i32, negative: bool) -> String {
        for _ in 0..shift {
            let next = if self.fraction.is_empty() { '0' } else { self.fraction.remove(0) };
            self.whole.push(next);
        }
        for _ in shift..0 {
            self.fraction.insert(0, self.whole.pop().unwrap_or('0'));
        }
        let whole = self.whole.trim_start_matches('0');
        let zero = whole.is_empty() && self.fraction.bytes().all(|digit| digit == b'0');
        let minus = if negative && !zero { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{minus}{whole}{point}{}", self.fraction)
    }
}

/// Groups of three; or, as India writes lakhs and crores, of two and a last one of three. A group that starts with
/// nought is none: `0,123` is a decimal in another country's writing.
fn are_grouped(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else { return true };
    let of =
        |size: usize| (1..=size).contains(&first.len()) && middle.iter().all(|group| group.len() == size);
    last.len() == 3 && (of(3) || of(2)) && !first.starts_with('0')
}

#[cfg(test)]
mod tests;
