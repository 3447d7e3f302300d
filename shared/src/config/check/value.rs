//! Texts that mean something: durations, sizes, zones, types, formats, names, addresses. Pure.

use std::time::Duration;

use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use icu_locale_core::LanguageIdentifier;

use super::{address, keys};
use crate::{
    config::{
        cell_format::{CellFormat, CellFormatError},
        document::Wrong,
        nearest,
        numbers::{NumberStyle, NumberStyleError},
        path::{FORMS, FieldPath, PathError, PathStep},
        spec::{
            TimeFormat,
            budget::{BudgetKey, NoKey, NoRate, Rate},
        },
        template::{Template, TemplateError},
        time_pattern::{TimePattern, TimePatternError},
        zone_mark,
    },
    contract::{ColumnType, RejectLimit},
};

/// The longest duration that any of our settings can need.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const TYPES: [&str; 8] =
    ["text", "bigint", "numeric(p,s)", "double", "boolean", "date", "timestamptz", "jsonb"];
const FORMATS: [&str; 4] = ["epoch_s", "epoch_ms", "date", "iso8601"];

/// `500ms`, `15s`, `1d`; whole milliseconds, at most 366 days.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let found = humantime::parse_duration(text).map_err(|_| {
        Wrong::new(format!("`{text}` is no duration"), "write it with its unit: 500ms, 15s, 5m, 1d")
    })?;
    if found > LONGEST {
        return Err(Wrong::new(format!("`{text}` is longer than 366 days"), "write a shorter duration"));
    }
    if found.subsec_nanos() % 1_000_000 != 0 {
        return Err(Wrong::new(
            format!("`{text}` is finer than a millisecond"),
            "write whole milliseconds: 500ms",
        ));
    }
    Ok(found)
}

/// A duration that is not zero.
pub(crate) fn some_time(text: &str) -> Result<Duration, Wrong> {
    let found = duration(text)?;
    if found.is_zero() {
        Err(Wrong::new(format!("`{text}` is no time at all"), "write at least 1ms"))
    } else {
        Ok(found)
    }
}

/// Bytes: a plain number, or one with a unit such as `64MiB`.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "kB" | "KB" => Some(1000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor: u64| number.parse::<u64>().ok()?.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(Wrong::new(format!("`{text}` is no size"), "write bytes, or a unit: 64MiB, 1GiB")),
    }
}

/// An IANA zone.
pub(crate) fn zone(text: &str) -> Result<Tz, Wrong> {
    text.parse().map_err(|_| {
        let near = nearest::nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = near.map_or("write an IANA name such as Asia/Kolkata".to_owned(), |name| {
            format!("did you mean `{name}`?")
        });
        Wrong::new(format!("unknown time zone `{text}`"), hint)
    })
}

/// How often a source may be asked.
pub(crate) fn rate(text: &str) -> Result<Rate, Wrong> {
    let hint = "requests per second, minute, hour or day: 10/s, 100/min, 1000/h, 5000/d";
    text.parse().map_err(|error: NoRate| Wrong::new(error.to_string(), hint))
}

/// The name of a budget.
pub(crate) fn budget_key(text: &str) -> Result<BudgetKey, Wrong> {
    let hint = "1 to 100 characters of a-z, 0-9, `_` and `-`";
    text.parse().map_err(|error: NoKey| Wrong::new(error.to_string(), hint))
}

/// A number of rows, or a share such as `0.1%`.
pub(crate) fn reject_limit(text: &str) -> Result<RejectLimit, Wrong> {
    let share = || {
        let share = text.strip_suffix('%')?.trim().parse::<f64>().ok()?;
        (0.0..=100.0).contains(&share).then_some(RejectLimit::Share(share / 100.0))
    };
    text.parse().map(RejectLimit::Rows).ok().or_else(share).ok_or_else(|| {
        Wrong::new(
            format!("`{text}` is neither a number of rows nor a share of them"),
            "write 0, 10 or \"0.1%\"",
        )
    })
}

/// How a time is written.
pub(crate) fn time_format(text: &str) -> Result<TimeFormat, Wrong> {
    match text {
        "epoch_s" => return Ok(TimeFormat::EpochS),
        "epoch_ms" => return Ok(TimeFormat::EpochMs),
        "date" => return Ok(TimeFormat::Date),
        "iso8601" => return Ok(TimeFormat::Iso8601),
        _ => {}
    }
    if !text.contains('%') {
        let near = nearest::nearest(text, FORMATS);
        let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        let hint = format!("{near}formats: {}, or a strftime pattern such as %d/%m/%Y", FORMATS.join(", "));
        return Err(Wrong::new(format!("unknown format `{text}`"), hint));
    }
    if StrftimeItems::new(text).any(|item| item == Item::Error) {
        let hint = "as in %Y-%m-%d %H:%M:%S; write %% for a plain %";
        return Err(Wrong::new(format!("`{text}` is no strftime pattern"), hint));
    }
    Ok(TimeFormat::Strftime(text.to_owned()))
}

/// How a time is written in records, which are read and not only written: the pattern must name a day.
pub(crate) fn record_format(text: &str) -> Result<TimeFormat, Wrong> {
    let format = time_format(text)?;
    let TimeFormat::Strftime(pattern) = &format else { return Ok(format) };
    match TimePattern::new(pattern) {
        Ok(_) => Ok(format),
        Err(error) => {
            let hint = match error {
                TimePatternError::NoDay(_) => "a pattern for a column needs year, month and day",
                TimePatternError::TwoZones(_) => "name the zone once",
                TimePatternError::Syntax(_) => "as in %Y-%m-%d %H:%M:%S; write %% for a plain %",
            };
            Err(Wrong::new(error.to_string(), hint))
        }
    }
}

/// How a bound of a window is written: its words must not name two zones.
pub(crate) fn bound_format(text: &str) -> Result<TimeFormat, Wrong> {
    let format = time_format(text)?;
    if let TimeFormat::Strftime(pattern) = &format {
        zone_mark::of_pattern(pattern)
            .map_err(|error| Wrong::new(error.to_string(), "name the zone once"))?;
    }
    Ok(format)
}

/// The type of a column.
pub(crate) fn column_type(text: &str) -> Result<ColumnType, Wrong> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    match compact.as_str() {
        "text" => Ok(ColumnType::Text),
        "bigint" => Ok(ColumnType::Bigint),
        "double" => Ok(ColumnType::Double),
        "boolean" => Ok(ColumnType::Boolean),
        "date" => Ok(ColumnType::Date),
        "timestamptz" => Ok(ColumnType::Timestamptz),
        "jsonb" => Ok(ColumnType::Jsonb),
        // a comma ends a value within braces
        other if other.starts_with("numeric(") && !other.contains([')', ',']) => Err(Wrong::new(
            format!("`{text}` is cut off at its comma"),
            "within { } put it in quotes: type: 'numeric(12,2)'",
        )),
        other => match other.strip_prefix("numeric(").and_then(|rest| rest.strip_suffix(')')) {
            Some(inside) => numeric(text, inside),
            None => Err(unknown_type(text)),
        },
    }
}

fn numeric(text: &str, inside: &str) -> Result<ColumnType, Wrong> {
    let hint = "numeric(p,s): p digits in all, 1 to 1000, s of them after the point";
    let numbers = inside.split_once(',').and_then(|(p, s)| Some((p.parse().ok()?, s.parse().ok()?)));
    match numbers {
        Some((precision @ 1..=1000, scale)) if scale <= precision => {
            Ok(ColumnType::Numeric { precision, scale })
        }
        Some(_) => Err(Wrong::new(format!("`{text}` is out of range"), hint)),
        None => Err(Wrong::new(format!("`{text}` is no numeric type"), hint)),
    }
}

fn unknown_type(text: &str) -> Wrong {
    let meant = match text.to_lowercase().as_str() {
        "int" | "integer" | "smallint" | "int4" | "int8" | "long" => Some("bigint"),
        "string" | "str" | "varchar" | "char" | "uuid" => Some("text"),
        "float" | "real" | "float8" | "double precision" => Some("double"),
        "bool" => Some("boolean"),
        "timestamp" | "datetime" => Some("timestamptz"),
        "json" | "object" => Some("jsonb"),
        "numeric" | "decimal" | "money" => Some("numeric(12,2)"),
        _ => nearest::nearest(text, TYPES),
    };
    let meant = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    Wrong::new(format!("unknown type `{text}`"), format!("{meant}types: {}", TYPES.join(", ")))
}

/// A path to a value inside a JSON document.
pub(crate) fn path(text: &str) -> Result<FieldPath, Wrong> {
    text.parse().map_err(|error: PathError| Wrong::new(error.to_string(), FORMS))
}

/// A path to a field of a record, which is an object.
pub(crate) fn field_path(text: &str) -> Result<FieldPath, Wrong> {
    let found = path(text)?;
    match found.steps().first() {
        None => Err(Wrong::new("a path is empty", FORMS)),
        Some(PathStep::Where { .. }) => Err(Wrong::new(
            format!("`{text}` looks for an entry of a list, but a record is an object"),
            "begin with the field that holds the list, as in fields[name=status].value",
        )),
        Some(PathStep::Key(_)) => Ok(found),
    }
}

/// How texts write the numbers of a column.
pub(crate) fn number_style(text: &str) -> Result<NumberStyle, Wrong> {
    text.parse().map_err(|error: NumberStyleError| {
        Wrong::new(error.to_string(), "write a number with its signs, as in numbers: \"1,234.50\"")
    })
}

/// Words of `[a-z0-9_]` with dots between them.
pub(crate) fn secret(name: &str) -> Result<(), Wrong> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.len() <= 200 && name.split('.').all(|part| !part.is_empty() && part.bytes().all(word)) {
        return Ok(());
    }
    let hint = "lower-case words with dots between them, such as razorpay.key_id; never the value itself";
    Err(Wrong::new("this is no name of a secret", hint))
}

/// A name in Postgres; `what` says of which thing.
pub(crate) fn identifier(what: &str, text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(Wrong::new(format!("the name of a {what} is empty"), "give it a name"));
    }
    if text.len() > 63 {
        let message = format!("the {what} name `{text}` has {} bytes", text.len());
        return Err(Wrong::new(message, "Postgres cuts names off after 63 bytes: shorten it"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new(format!("the {what} name {text:?} holds a control character"), "remove it"));
    }
    Ok(())
}

/// An element of a page, as far as that can be told without the page.
pub(crate) fn selector(text: &str) -> Result<(), Wrong> {
    let hint = "CSS such as #startDate, XPath such as //button[1], or text=Apply";
    if text.strip_prefix("text=").unwrap_or(text).trim().is_empty() {
        return Err(Wrong::new("an empty selector names no element", hint));
    }
    let odd = |mark: char| text.matches(mark).count() % 2 == 1;
    let pair = |open: char, close: char| text.matches(open).count() != text.matches(close).count();
    if text.starts_with("text=") || !(odd('"') || pair('[', ']') || pair('(', ')')) {
        return Ok(());
    }
    Err(Wrong::new(format!("`{text}` is no selector: a bracket or quote is not closed"), hint))
}

/// A language, as browsers name it: `en-US`. The shape of the tag is checked; browsers know more languages than lists.
pub(crate) fn locale(text: &str) -> Result<String, Wrong> {
    let hint = "a BCP 47 tag such as en-US, de-DE or hi";
    let wrong = || Wrong::new(format!("`{text}` is not a valid locale"), hint);
    let found = text.parse::<LanguageIdentifier>().map_err(|_| wrong())?;
    // a word such as `german` has the shape of a language as well, and browsers take it for none
    let usual = matches!(found.language.as_str().len(), 2 | 3) && found.language.as_str() != "und";
    if usual && !text.contains('_') { Ok(found.to_string()) } else { Err(wrong()) }
}

/// A text with dates of the chunk in it.
pub(crate) fn template(text: &str) -> Result<Template, Wrong> {
    text.parse().map_err(|error: TemplateError| Wrong::new(error.to_string(), error.hint()))
}

/// How a page writes times or numbers.
pub(crate) fn cell_format(text: &str) -> Result<CellFormat, Wrong> {
    // the error says what would be right
    text.parse().map_err(|error: CellFormatError| Wrong { message: error.to_string(), hint: None })
}

/// Holds a text against what its schema says that it means (`x-means`).
pub(crate) fn check(means: &str, text: &str) -> Result<(), Wrong> {
    match means {
        "duration" => duration(text).map(drop),
        "time above zero" => some_time(text).map(drop),
        "size" => size(text).map(drop),
        "zone" => zone(text).map(drop),
        "rate" => rate(text).map(drop),
        "budget key" => budget_key(text).map(drop),
        "reject limit" => reject_limit(text).map(drop),
        "time format" => bound_format(text).map(drop),
        "record format" => record_format(text).map(drop),
        "column type" => column_type(text).map(drop),
        "locale" => locale(text).map(drop),
        "selector" => selector(text),
        "template" => template(text).map(drop),
        "selector template" => selector(text).and_then(|()| template(text).map(drop)),
        "cell format" => cell_format(text).map(drop),
        "path" if text.is_empty() => Err(Wrong::new("a path is empty", FORMS)),
        "path" | "path or nothing" => path(text).map(drop),
        "field path" => field_path(text).map(drop),
        "number style" => number_style(text).map(drop),
        "schema" => identifier("schema", text),
        "secret" => secret(text),
        "key" => keys::key(text),
        other => address::check(other, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("0s").unwrap(), Duration::ZERO);
        assert_eq!(duration("1d").unwrap(), Duration::from_secs(86_400));
        for bad in ["", "15", "fast", "2years", "1us"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(some_time("0s").is_err());
        assert_eq!(size("64MiB").unwrap(), 64 << 20);
        assert_eq!(size("1000").unwrap(), 1000);
        for bad in ["", "0", "MiB", "64 parsecs", "99999999999GiB", "-1"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn formats() {
        assert_eq!(time_format("%d/%m/%Y").unwrap(), TimeFormat::Strftime("%d/%m/%Y".into()));
        assert!(time_format("%Q").is_err());
        assert!(time_format("%").is_err());
        assert!(time_format("epoch").unwrap_err().hint.unwrap().starts_with("did you mean `epoch_s`"));
        assert!(record_format("%Y-%m-%d %H:%M:%S").is_ok());
        assert!(record_format("%s").is_ok());
        assert!(record_format("%d.%m.%y").is_ok());
        assert!(record_format("%H:%M").is_err());
        assert!(record_format("%Y-%m").is_err());
        for (pattern, whole) in
            [("%Y-%m-%d", true), ("%d %B %Y", true), ("%FT%T", false), ("%s", false), ("%+", false)]
        {
            assert_eq!(TimeFormat::Strftime(pattern.into()).is_whole_day(), whole, "{pattern}");
        }
        assert!(record_format("%F %T %Z").is_ok());
        assert!(bound_format("%F %T UTC").is_ok());
        assert!(bound_format("%F %TZ +05:30").unwrap_err().message.contains("two zones"));
    }

    #[test]
    fn types() {
        assert_eq!(column_type("numeric(12, 2)").unwrap(), ColumnType::Numeric { precision: 12, scale: 2 });
        for bad in
            ["numeric(0,0)", "numeric(1001,0)", "numeric(2,3)", "numeric(5)", "numeric", "numeric(a,b)"]
        {
            assert!(column_type(bad).is_err(), "{bad}");
        }
        let hint = |text| column_type(text).unwrap_err().hint.unwrap();
        assert!(hint("bigintt").starts_with("did you mean `bigint`?"));
        assert!(hint("int").starts_with("did you mean `bigint`?"));
        assert!(hint("zebra").starts_with("types: text, bigint"));
    }

    #[test]
    fn names_zones_and_limits() {
        assert!(identifier("column", &"x".repeat(63)).is_ok());
        assert!(identifier("column", &"é".repeat(32)).is_err());
        assert!(identifier("column", "").is_err());
        for (text, canonical) in
            [("en-US", "en-US"), ("hi", "hi"), ("de-de", "de-DE"), ("zh-Hant-TW", "zh-Hant-TW")]
        {
            assert_eq!(locale(text).unwrap(), canonical);
        }
        for bad in ["", "german", "en_US", "de-DE.UTF-8", "C", "und", "en-"] {
            assert!(locale(bad).is_err(), "{bad}");
        }
        assert_eq!(zone("Asia/Calcuta").unwrap_err().hint.unwrap(), "did you mean `Asia/Calcutta`?");
        assert_eq!(reject_limit("0.5%").unwrap(), RejectLimit::Share(0.005));
        assert_eq!(reject_limit("10").unwrap(), RejectLimit::Rows(10));
        for bad in ["-1", "101%", "x", "%", "NaN%"] {
            assert!(reject_limit(bad).is_err(), "{bad}");
        }
    }
}
