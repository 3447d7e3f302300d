//! What says the zone of a written time: `Z`, `UTC`, `GMT`, an offset, the IANA name of a zone, or an abbreviation that
//! only the source's own zone can explain. Pure.

use std::{collections::HashSet, sync::LazyLock};

use chrono::{
    DateTime, Duration, FixedOffset, LocalResult, NaiveDateTime, Offset as _, TimeZone, Utc,
    format::{Fixed, Item, Numeric, StrftimeItems},
};
use chrono_tz::{OffsetName as _, TZ_VARIANTS, Tz};

/// The zone of a written time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneMark {
    /// So far from UTC.
    Offset(FixedOffset),
    /// A zone by its IANA name.
    Zone(Tz),
    /// An abbreviation such as `IST`. Several zones share most of them, so it counts only where the source's own zone is
    /// called so at that time.
    Abbreviation(String),
}

/// Words of a pattern that name two zones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` names two zones, `{first}` and `{second}`")]
pub struct TwoZones {
    pattern: String,
    first: String,
    second: String,
}

impl ZoneMark {
    /// The zone that a word names; `None` where it is not one.
    pub fn from_word(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("z") || is_utc(word) {
            return Some(Self::Offset(Utc.fix()));
        }
        let behind_utc = word.get(..3).filter(|start| is_utc(start)).and_then(|_| word.get(3..));
        if let Some(offset) = offset(behind_utc.unwrap_or(word)) {
            return Some(Self::Offset(offset));
        }
        if word.contains('/') {
            return word.parse().ok().map(Self::Zone);
        }
        let is_short = (2..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_short.then(|| Self::Abbreviation(word.to_owned()))
    }

    /// The instant of a local time: of two the earlier; `None` when there is none, or when the abbreviation is not what
    /// the source's own zone is called then.
    pub fn instant(&self, local: NaiveDateTime, own: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Offset(offset) => {
                let east = Duration::seconds(offset.local_minus_utc().into());
                local.checked_sub_signed(east).map(|utc| utc.and_utc())
            }
            Self::Zone(zone) => zone.from_local_datetime(&local).earliest().map(|time| time.to_utc()),
            Self::Abbreviation(word) => {
                let called = |time: &DateTime<Tz>| time.offset().abbreviation() == Some(word.as_str());
                let candidates = match own.from_local_datetime(&local) {
                    LocalResult::Single(time) => vec![time],
                    LocalResult::Ambiguous(first, second) => vec![first, second],
                    LocalResult::None => vec![],
                };
                candidates.into_iter().find(called).map(|time| time.to_utc())
            }
        }
    }
}

/// The zone that literal words of a strftime pattern name. Where the pattern reads an offset or a timestamp, words such
/// as the `GMT` of `GMT%z` say nothing more.
///
/// # Errors
/// When they name two that differ.
pub fn of_pattern(pattern: &str) -> Result<Option<ZoneMark>, TwoZones> {
    let mut found: Option<(String, ZoneMark)> = None;
    let (mut after_day, mut after_time) = (false, false);
    for item in StrftimeItems::new(pattern) {
        let literal = match &item {
            Item::Literal(text) => *text,
            Item::OwnedLiteral(text) => text,
            _ if tells_offset(&item) => return Ok(None),
            Item::Numeric(..) | Item::Fixed(_) => {
                after_time |= is_time(&item);
                after_day = true;
                continue;
            }
            _ => continue,
        };
        for word in words(literal) {
            let (is_literal_time, word) = without_literal_time(word);
            after_time |= is_literal_time;
            let Some(mark) = literal_word(word, after_day, after_time) else { continue };
            match &found {
                Some((first, earlier)) if *earlier != mark && !is_utc(first) => {
                    let (first, second) = (first.clone(), word.to_owned());
                    return Err(TwoZones { pattern: pattern.to_owned(), first, second });
                }
                _ => found = Some((word.to_owned(), mark)),
            }
        }
    }
    Ok(found.map(|(_, mark)| mark))
}

/// What may be a word of its own.
fn words(literal: &str) -> impl Iterator<Item = &str> {
    let is_part = |sign: char| sign.is_alphanumeric() || matches!(sign, '+' | '-' | ':' | '/' | '_' | '.');
    literal
        .split(move |sign: char| !is_part(sign))
        .map(|word| word.trim_matches('.'))
        .filter(|w| !w.is_empty())
}

/// A literal word of a pattern, if it is meant as a zone.
fn literal_word(word: &str, after_day: bool, after_time: bool) -> Option<ZoneMark> {
    let mark = ZoneMark::from_word(word)?;
    let is_meant = match &mark {
        ZoneMark::Offset(_) if word.starts_with(['+', '-']) => {
            after_time || (after_day && word.contains(':'))
        }
        ZoneMark::Offset(_) if word.eq_ignore_ascii_case("z") => after_day,
        ZoneMark::Offset(_) | ZoneMark::Zone(_) => true,
        ZoneMark::Abbreviation(word) => after_day && ABBREVIATIONS.contains(word),
    };
    is_meant.then_some(mark)
}

/// What zones are called in these years.
static ABBREVIATIONS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    // a January and a July
    let times = [1_736_942_400, 1_752_580_800].map(|at| DateTime::from_timestamp(at, 0).unwrap_or_default());
    let of = |zone: &Tz, time: &DateTime<Utc>| {
        zone.offset_from_utc_datetime(&time.naive_utc()).abbreviation().map(str::to_owned)
    };
    TZ_VARIANTS.iter().flat_map(|zone| times.iter().filter_map(move |time| of(zone, time))).collect()
});

/// What follows a time of day that a pattern says in letters, as in `%Y-%m-%dT00:00:00Z`.
fn without_literal_time(word: &str) -> (bool, &str) {
    let digits = word.strip_prefix('T').unwrap_or(word);
    let end = digits.find(|sign: char| !(sign.is_ascii_digit() || matches!(sign, ':' | '.')));
    let (time, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let is_time = time.len() >= 5 && time.as_bytes()[2] == b':';
    if is_time { (true, rest) } else { (false, word) }
}

/// Whether an item reads how far a time is from UTC.
pub(crate) fn tells_offset(item: &Item<'_>) -> bool {
    matches!(
        item,
        Item::Numeric(Numeric::Timestamp, _)
            | Item::Fixed(
                Fixed::RFC2822
                    | Fixed::RFC3339
                    | Fixed::TimezoneOffset
                    | Fixed::TimezoneOffsetColon
                    | Fixed::TimezoneOffsetDoubleColon
                    | Fixed::TimezoneOffsetTripleColon
                    | Fixed::TimezoneOffsetColonZ
                    | Fixed::TimezoneOffsetZ
            )
    )
}

fn is_time(item: &Item<'_>) -> bool {
    let hours = [Numeric::Hour, Numeric::Hour12, Numeric::Minute, Numeric::Second];
    matches!(item, Item::Numeric(kind, _) if hours.contains(kind))
}

fn is_utc(word: &str) -> bool {
    word.eq_ignore_ascii_case("utc") || word.eq_ignore_ascii_case("gmt")
}

/// `+05:30`, `+0530`, `+05` or `+5:30`; at most 18 hours, which is more than any zone has.
fn offset(text: &str) -> Option<FixedOffset> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' | '\u{2212}' => -1,
        _ => return None,
    };
    let digits = text.trim_start_matches(['+', '-', '\u{2212}']);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| {
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = hours * 3_600 + minutes * 60;
    (minutes < 60 && seconds <= 18 * 3_600).then(|| FixedOffset::east_opt(sign * seconds)).flatten()
}

#[cfg(test)]
mod tests {
    use chrono_tz::{Asia::Kolkata, Europe::Berlin};
    use proptest::prelude::*;

    use super::*;

    fn east(seconds: i32) -> Option<ZoneMark> {
        FixedOffset::east_opt(seconds).map(ZoneMark::Offset)
    }

    #[test]
    fn words_name_zones() {
        for word in ["Z", "z", "UTC", "utc", "GMT", "+00:00", "-0000", "GMT+0"] {
            assert_eq!(ZoneMark::from_word(word), east(0), "{word}");
        }
        for word in ["+05:30", "+0530", "UTC+05:30", "GMT+5:30"] {
            assert_eq!(ZoneMark::from_word(word), east(19_800), "{word}");
        }
        assert_eq!(ZoneMark::from_word("-08"), east(-28_800));
        assert_eq!(ZoneMark::from_word("Asia/Kolkata"), Some(ZoneMark::Zone(Kolkata)));
        assert_eq!(ZoneMark::from_word("IST"), Some(ZoneMark::Abbreviation("IST".to_owned())));
        for word in ["", "+", "+5:3", "+0560", "+99:00", "+19:00", "Asia/Calcuta", "noon today", "+05:30:00"]
        {
            assert_eq!(ZoneMark::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn literal_words_of_a_pattern_count() {
        let mark = |pattern: &str| of_pattern(pattern).unwrap();
        for pattern in [
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%d %H:%M:%S UTC",
            "%a, %d %b %Y %H:%M:%S GMT",
            "%Y-%m-%dT%H:%M:%S%.fZ",
            "%Y-%m-%dT%H:%M:%S+00:00",
            "%Y-%m-%d %H:%M (UTC)",
            "UTC %Y-%m-%d %H:%M",
            "%Y-%m-%dT00:00:00Z",
            "%Y-%m-%dT00:00:00.000Z",
            "%Y-%m-%d 00:00:00 UTC",
            "%Y-%m-%dZ",
            "%Y-%m-%dT%H:%M:%SZ[UTC]",
        ] {
            assert_eq!(mark(pattern), east(0), "{pattern}");
        }
        for pattern in
            ["%Y-%m-%d %H:%M:%S+0530", "%d.%m.%Y %H:%M +05:30", "%H:%M UTC+5:30 %d.%m.%Y", "%F %T UTC +05:30"]
        {
            assert_eq!(mark(pattern), east(19_800), "{pattern}");
        }
        assert_eq!(mark("%F %T Europe/Berlin"), Some(ZoneMark::Zone(Berlin)));
        assert_eq!(mark("%F %T IST"), Some(ZoneMark::Abbreviation("IST".to_owned())));
        for pattern in [
            "%Y-%m-%d",
            "%d/%m/%Y %H:%M:%S",
            "%d-%m-2025",
            "%d. %B %Y, %H Uhr",
            "%H:%M HRS %d/%m/%y",
            "%F %T%z",
            "%a %b %d %Y %T GMT%z",
            "%s UTC",
            "Zone %F",
            "%Y-%m-%dT00:00:00",
            "at %F",
        ] {
            assert_eq!(mark(pattern), None, "{pattern}");
        }
        let error = of_pattern("%F %TZ +05:30").unwrap_err().to_string();
        assert!(error.contains("two zones, `Z` and `+05:30`"), "{error}");
    }

    #[test]
    fn an_abbreviation_counts_where_the_own_zone_is_called_so() {
        let local = |text: &str| text.parse::<NaiveDateTime>().unwrap();
        let at = |word: &str, text: &str, own| {
            ZoneMark::from_word(word).unwrap().instant(local(text), own).map(|time| time.to_rfc3339())
        };
        let utc = |text: &str| Some(format!("{text}+00:00"));
        assert_eq!(at("IST", "2025-08-01T10:00:00", Kolkata), utc("2025-08-01T04:30:00"));
        assert_eq!(at("IST", "2025-08-01T10:00:00", Berlin), None);
        assert_eq!(at("EST", "2025-08-01T10:00:00", Kolkata), None);
        assert_eq!(at("CEST", "2025-08-01T10:00:00", Berlin), utc("2025-08-01T08:00:00"));
        assert_eq!(at("CET", "2025-08-01T10:00:00", Berlin), None, "it is summer");
        assert_eq!(at("CEST", "2025-10-26T02:30:00", Berlin), utc("2025-10-26T00:30:00"));
        assert_eq!(at("CET", "2025-10-26T02:30:00", Berlin), utc("2025-10-26T01:30:00"), "the second of two");
        assert_eq!(at("Europe/Berlin", "2025-08-01T10:00:00", Kolkata), utc("2025-08-01T08:00:00"));
        assert_eq!(at("+0530", "2025-08-01T10:00:00", Berlin), utc("2025-08-01T04:30:00"));
    }

    proptest! {
        #[test]
        fn any_word_may_come(word in any::<String>(), odd in "[-+:/A-Z0-9a-z]{0,8}") {
            for word in [word, odd] {
                let _ = (ZoneMark::from_word(&word), of_pattern(&word));
            }
        }

        #[test]
        fn offsets_are_read_as_chrono_writes_them(minutes in -18 * 60..=18 * 60_i32) {
            let offset = FixedOffset::east_opt(minutes * 60).unwrap();
            prop_assert_eq!(ZoneMark::from_word(&offset.to_string()), Some(ZoneMark::Offset(offset)));
        }
    }
}
