//! `GET /v1/payments`: basic auth, count and skip, epoch seconds both included, newest first, ASCII JSON.

use std::ops::Range;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{Dialect, Params, array, header, number, number_or};
use crate::simulator::{rows::Api, stock::View, tokens::Tokens};

pub(super) struct Payments;

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, n| bits << 8 | usize::from(group.get(n).copied().unwrap_or(0)));
        for n in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * n) & 63];
            out.push(if n > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

impl Dialect for Payments {
    fn api(&self) -> Api {
        Api::BuyerRazorpay
    }

    fn path(&self) -> &'static str {
        "/v1/payments"
    }

    fn params(&self) -> &'static [&'static str] {
        &["from", "to", "count", "skip"]
    }

    fn lets_in(&self, headers: &HeaderMap, _: &Params, tokens: &Tokens) -> bool {
        let pair = format!("{}:{}", tokens.get("razorpay.key_id"), tokens.get("razorpay.key_secret"));
        header(headers, "authorization")
            .is_some_and(|value| value == format!("Basic {}", base64(pair.as_bytes())))
    }

    fn window(&self, params: &Params) -> Result<Range<i64>, String> {
        let (from, to) = (number::<i64>(params, "from")?, number::<i64>(params, "to")?);
        if from > to {
            return Err("from must be less than to".to_owned());
        }
        Ok(from.saturating_mul(1000)..to.saturating_add(1).saturating_mul(1000))
    }

    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String> {
        let count = number_or(params, "count", 10, 1..101)?;
        let skip = number_or(params, "skip", 0, 0..1 << 40)?;
        let items = view.newest_first(skip, count);
        Ok(json!({"entity": "collection", "count": items.len(), "items": array(items)}))
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        let code = if status < 500 { "BAD_REQUEST_ERROR" } else { "SERVER_ERROR" };
        json!({"error": {"code": code, "description": message, "field": null}})
    }

    fn drifts(&self) -> (&'static str, &'static str) {
        ("/items", "amount")
    }

    fn ascii(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in pairs {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
