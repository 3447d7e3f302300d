//! What goes over the wire: arguments of the functions, and their answers. Nothing that Redis says is trusted:
//! an answer of another shape is an error, never a panic.

use std::{fmt::Display, str::FromStr, time::Duration};

use redis::{Cmd, Value};

use super::RedisError;
use crate::chunk::ChunkState;

/// No error text in Redis is longer, in bytes.
const TEXT_LIMIT: usize = 500;

/// No wait is longer: a year.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

const STATES: [(ChunkState, &str); 7] = [
    (ChunkState::Available, "a"),
    (ChunkState::Running, "r"),
    (ChunkState::Retryable, "t"),
    (ChunkState::Completed, "c"),
    (ChunkState::Split, "s"),
    (ChunkState::Discarded, "d"),
    (ChunkState::Cancelled, "x"),
];

/// Adds arguments to a command one after the other.
pub(super) trait Push {
    /// As its text.
    fn push(&mut self, value: impl Display) -> &mut Self;
    /// As `1` or `0`.
    fn push_flag(&mut self, value: bool) -> &mut Self;
    /// As whole milliseconds.
    fn push_millis(&mut self, value: Duration) -> &mut Self;
    /// As text, cut where it gets too long.
    fn push_cut(&mut self, text: &str) -> &mut Self;
}

impl Push for Cmd {
    fn push(&mut self, value: impl Display) -> &mut Self {
        self.arg(value.to_string())
    }

    fn push_flag(&mut self, value: bool) -> &mut Self {
        self.arg(if value { "1" } else { "0" })
    }

    fn push_millis(&mut self, value: Duration) -> &mut Self {
        self.push(value.min(LONGEST_WAIT).as_millis())
    }

    fn push_cut(&mut self, text: &str) -> &mut Self {
        let mut end = text.len().min(TEXT_LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.arg(&text[..end])
    }
}

/// How the library writes a state.
pub(super) fn letter(state: ChunkState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("", |(_, letter)| letter)
}

/// The answer that was expected here did not come.
pub(super) fn unexpected(what: &str, value: &Value) -> RedisError {
    let mut shown = format!("{value:?}");
    if let Some((end, _)) = shown.char_indices().nth(80) {
        shown.truncate(end);
    }
    RedisError::Protocol(format!("{what} expected, not {shown}"))
}

/// An array.
pub(super) fn array(value: Value) -> Result<Vec<Value>, RedisError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Set(items) => Ok(items),
        other => Err(unexpected("an array", &other)),
    }
}

/// An array of exactly `N` items.
pub(super) fn items<const N: usize>(value: Value) -> Result<[Value; N], RedisError> {
    array(value)?.try_into().map_err(|items| unexpected(&format!("{N} items"), &Value::Array(items)))
}

/// An array whose items belong together in groups of `N`.
pub(super) fn groups<const N: usize>(value: Value) -> Result<Vec<[Value; N]>, RedisError> {
    let mut rest = array(value)?.into_iter();
    let mut found = Vec::with_capacity(rest.len() / N);
    while rest.len() > 0 {
        let group: Vec<Value> = rest.by_ref().take(N).collect();
        found
            .push(group.try_into().map_err(|group| unexpected(&format!("{N} items"), &Value::Array(group)))?);
    }
    Ok(found)
}

/// A text.
pub(super) fn text(value: Value) -> Result<String, RedisError> {
    match value {
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map_err(|bad| unexpected("utf-8", &Value::BulkString(bad.into_bytes())))
        }
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text),
        other => Err(unexpected("a text", &other)),
    }
}

/// The text of one server, or of each that was asked.
pub(super) fn of_each(value: Value) -> Result<Vec<String>, RedisError> {
    match value {
        Value::Map(answers) => answers.into_iter().map(|(_, answer)| text(answer)).collect(),
        one => text(one).map(|one| vec![one]),
    }
}

/// A number, sent as one or as text.
pub(super) fn number<T: TryFrom<i64>>(value: &Value) -> Result<T, RedisError> {
    let read = match value {
        Value::Int(n) => Some(*n),
        Value::BulkString(bytes) => str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    read.and_then(|n| T::try_from(n).ok()).ok_or_else(|| unexpected("a number", value))
}

/// An id, a range: what reads itself from text.
pub(super) fn parse<T: FromStr<Err: Display>>(value: Value) -> Result<T, RedisError> {
    text(value)?.parse().map_err(|bad: T::Err| RedisError::Protocol(bad.to_string()))
}

/// A state, from its letter.
pub(super) fn state(value: &Value) -> Result<ChunkState, RedisError> {
    let found = match value {
        Value::BulkString(bytes) => STATES.iter().find(|(_, letter)| letter.as_bytes() == bytes.as_slice()),
        _ => None,
    };
    found.map(|(state, _)| *state).ok_or_else(|| unexpected("a state", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkRange;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        assert!(array(bulk("x")).is_err());
        assert!(items::<2>(Value::Array(vec![Value::Nil])).is_err());
        assert!(groups::<2>(Value::Array(vec![Value::Nil; 3])).is_err());
        assert!(text(Value::BulkString(vec![0xff])).is_err());
        assert!(number::<u32>(&Value::Int(-1)).is_err());
        assert!(number::<u64>(&bulk("1e99")).is_err());
        assert!(parse::<ChunkRange>(bulk("2025-08-04_2025-08-01")).is_err());
        assert!(state(&bulk("q")).is_err());
        assert_eq!(number::<u64>(&bulk("17")).unwrap(), 17);
        assert_eq!(groups::<2>(Value::Array(vec![Value::Nil; 4])).unwrap().len(), 2);
    }

    #[test]
    fn every_state_has_a_letter_of_its_own() {
        for (known, letter_of) in STATES {
            assert_eq!(letter(known), letter_of);
            assert_eq!(state(&bulk(letter_of)).unwrap(), known);
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let mut cmd = redis::cmd("X");
        cmd.push_cut(&"ü".repeat(400)).push_cut(&format!("x{}", "ü".repeat(400)));
        let lengths: Vec<usize> = cmd
            .args_iter()
            .filter_map(|arg| match arg {
                redis::Arg::Simple(bytes) => Some(bytes.len()),
                _ => None,
            })
            .collect();
        assert_eq!(lengths, [1, 500, 499]);
    }
}
