//! Texts of the command line: `a:3,b:5`, `2025-08-01`, `yesterday`, `-7d`, `30d`.

use std::{str::FromStr, time::Duration};

use chrono::{Days, NaiveDate};
use nstore_shared::chunk::{ExecutionMode, UploadMode};

/// `source:value` pairs in the order typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs<T>(pub Vec<(String, T)>);

/// What is wrong with a text; names the part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypedError(String);

/// A value that may stand in a pair.
pub trait PairValue: Sized {
    /// What a right one looks like.
    const RIGHT: &'static str;
    /// Reads it.
    fn read(text: &str) -> Option<Self>;
}

impl PairValue for u32 {
    const RIGHT: &'static str = "a number of days such as 3";
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl PairValue for Option<ExecutionMode> {
    const RIGHT: &'static str = "parallel, sequential or auto";
    fn read(text: &str) -> Option<Self> {
        match text {
            "parallel" => Some(Some(ExecutionMode::Parallel)),
            "sequential" => Some(Some(ExecutionMode::Sequential)),
            "auto" => Some(None),
            _ => None,
        }
    }
}

impl PairValue for UploadMode {
    const RIGHT: &'static str = "append, replace or replace_range";
    fn read(text: &str) -> Option<Self> {
        [Self::Append, Self::Replace, Self::ReplaceRange].into_iter().find(|mode| mode.to_string() == text)
    }
}

impl<T: PairValue> FromStr for Pairs<T> {
    type Err = TypedError;

    fn from_str(text: &str) -> Result<Self, TypedError> {
        let (mut pairs, mut wrong) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                None | Some(("", _)) => wrong.push(format!("`{part}` is not source:value")),
                Some((name, value)) => match T::read(value) {
                    Some(value) => pairs.push((name.to_owned(), value)),
                    None => wrong.push(format!("`{part}`: `{value}` is not {}", T::RIGHT)),
                },
            }
        }
        if wrong.is_empty() && pairs.is_empty() {
            wrong.push("there is no source:value in it".into());
        }
        if wrong.is_empty() { Ok(Self(pairs)) } else { Err(TypedError(wrong.join("; "))) }
    }
}

/// A day as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypedDate {
    /// `2025-08-01`.
    Day(NaiveDate),
    /// Days before today: `today`, `yesterday`, `-7d`.
    Ago(u16),
}

impl TypedDate {
    /// The day meant, where it is `today`.
    pub fn resolve(self, today: NaiveDate) -> NaiveDate {
        match self {
            Self::Day(day) => day,
            Self::Ago(days) => today.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MIN),
        }
    }
}

impl FromStr for TypedDate {
    type Err = TypedError;

    fn from_str(text: &str) -> Result<Self, TypedError> {
        let wrong = || TypedError("a date is YYYY-MM-DD, today, yesterday, or -7d for seven days ago".into());
        match text {
            "today" => Ok(Self::Ago(0)),
            "yesterday" => Ok(Self::Ago(1)),
            _ => match text.strip_prefix('-') {
                Some(ago) => {
                    let days = ago.strip_suffix('d').and_then(|days| days.parse().ok());
                    days.map(Self::Ago).ok_or_else(wrong)
                }
                None => calendar_day(text).map(Self::Day).ok_or_else(wrong),
            },
        }
    }
}

/// Ten characters, so that `2025-8-1` and `12025-08-01` are not taken for something near.
fn calendar_day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (day.format("%Y-%m-%d").to_string() == text).then_some(day)
}

/// A span of time as typed: `45s`, `30m`, `24h`, `30d`.
///
/// # Errors
/// When it is no whole number with one of these units.
pub fn span(text: &str) -> Result<Duration, TypedError> {
    let wrong = || TypedError(format!("`{text}` is no span of time such as 30m, 24h or 30d"));
    let unit = text.chars().last().filter(char::is_ascii).ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    // beyond a few centuries calendars end, and so do the dates that this is taken from
    let total = number.checked_mul(seconds).filter(|total| *total <= 10_000_000_000).ok_or_else(wrong)?;
    Ok(Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_faults_name_the_pair() {
        let sizes: Pairs<u32> = "buyer_orders:3, buyer_tickets:5".parse().unwrap();
        assert_eq!(sizes.0, [("buyer_orders".to_owned(), 3), ("buyer_tickets".to_owned(), 5)]);
        let modes: Pairs<Option<ExecutionMode>> = "a:parallel,b:sequential,c:auto".parse().unwrap();
        assert_eq!(modes.0[2], ("c".to_owned(), None));
        let uploads: Pairs<UploadMode> = "a:append,b:replace_range,".parse().unwrap();
        assert_eq!(uploads.0[1].1, UploadMode::ReplaceRange);

        let wrong = |text: &str| text.parse::<Pairs<u32>>().unwrap_err().to_string();
        assert_eq!(
            wrong("a:3,b:x,c"),
            "`b:x`: `x` is not a number of days such as 3; `c` is not source:value"
        );
        assert_eq!(wrong("a:-1"), "`a:-1`: `-1` is not a number of days such as 3");
        assert_eq!(wrong(":3"), "`:3` is not source:value");
        assert_eq!(wrong(" , "), "there is no source:value in it");
        let wrong = "a:fast".parse::<Pairs<Option<ExecutionMode>>>().unwrap_err().to_string();
        assert_eq!(wrong, "`a:fast`: `fast` is not parallel, sequential or auto");
        let wrong = "a:upsert".parse::<Pairs<UploadMode>>().unwrap_err().to_string();
        assert_eq!(wrong, "`a:upsert`: `upsert` is not append, replace or replace_range");
    }

    #[test]
    fn dates_are_days_or_relative_to_today() {
        let today = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap();
        let day = |text: &str| text.parse::<TypedDate>().unwrap().resolve(today).to_string();
        assert_eq!(day("2025-08-01"), "2025-08-01");
        assert_eq!(day("today"), "2025-03-01");
        assert_eq!(day("yesterday"), "2025-02-28");
        assert_eq!(day("-7d"), "2025-02-22");
        assert_eq!(day("-366d"), "2024-02-29");
        for wrong in
            ["", "tomorrow", "2025-8-1", "2025-02-29", "01-08-2025", "-d", "-7", "7d", "--7d", "12025-08-01"]
        {
            assert!(wrong.parse::<TypedDate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(span("0s").unwrap(), Duration::ZERO);
        for wrong in ["", "30", "d", "3ä", "1.5h", "-1h", "99999999999999d", "ä"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
