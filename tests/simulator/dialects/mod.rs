//! How each API speaks: where it is, how it lets in, what its window means, what a page looks like.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range, str::FromStr};

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::{rows::Api, stock::View, tokens::Tokens};

mod buyer_orders;
mod buyer_razorpay;
mod buyer_tickets;
mod seller_orders;
mod seller_tickets;

/// The query of a request.
pub(crate) type Params = BTreeMap<String, String>;

/// One API's way to speak.
pub(crate) trait Dialect: Send + Sync {
    /// Which API it is.
    fn api(&self) -> Api;
    /// Where it answers.
    fn path(&self) -> &'static str;
    /// The parameters that it knows; others are refused.
    fn params(&self) -> &'static [&'static str];
    /// Whether the request carries the right secret.
    fn lets_in(&self, headers: &HeaderMap, params: &Params, tokens: &Tokens) -> bool;
    /// What is asked for: `[start, end)` in milliseconds since 1970.
    fn window(&self, params: &Params) -> Result<Range<i64>, String>;
    /// One page of it.
    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String>;
    /// An answer that is none.
    fn refusal(&self, status: u16, message: &str) -> Value;
    /// Where the records of a page lie, and a field of theirs whose type may be spoiled.
    fn drifts(&self) -> (&'static str, &'static str);
    /// Whether its JSON is written in ASCII alone.
    fn ascii(&self) -> bool {
        false
    }
}

/// The dialects of the five APIs.
pub(crate) const ALL: [&dyn Dialect; 5] = [
    &buyer_orders::Orders,
    &buyer_tickets::Tickets,
    &buyer_razorpay::Payments,
    &seller_orders::Orders,
    &seller_tickets::Tickets,
];

/// A parameter that must be there.
fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, String> {
    params.get(name).map(String::as_str).ok_or_else(|| format!("parameter {name} is missing"))
}

/// A number that must be there.
fn number<T: FromStr>(params: &Params, name: &str) -> Result<T, String> {
    required(params, name)?.parse().map_err(|_| format!("parameter {name} is not a number"))
}

/// A number within limits, or the default.
fn number_or(params: &Params, name: &str, default: u64, limits: Range<u64>) -> Result<u64, String> {
    let value = if params.contains_key(name) { number(params, name)? } else { default };
    if limits.contains(&value) {
        Ok(value)
    } else {
        Err(format!("parameter {name} must be {} to {}", limits.start, limits.end - 1))
    }
}

/// `Authorization: Bearer …`
fn has_bearer(headers: &HeaderMap, token: &str) -> bool {
    header(headers, "authorization").is_some_and(|value| value == format!("Bearer {token}"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The records as a JSON array.
fn array(records: Vec<Map<String, Value>>) -> Value {
    records.into_iter().map(Value::Object).collect()
}

/// JSON in ASCII alone: all else as `\uXXXX`, beyond the first plane as a surrogate pair.
pub(crate) fn to_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 4);
    for letter in json.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_json_is_the_same_json() {
        let text = "é😀\"\n\u{2028}";
        let json = to_ascii(&Value::from(text).to_string());
        assert!(json.is_ascii() && json.contains(r"\ud83d\ude00"));
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), Value::from(text));
    }
}
