//! `GET /support/v2/tickets`: key in a header, an opaque cursor, UTC instants, the upper one excluded.

use std::ops::Range;

use axum::http::HeaderMap;
use chrono::DateTime;
use serde_json::{Value, json};

use super::{Dialect, Params, array, header, number_or, required};
use crate::simulator::{rows::Api, stock::View, tokens::Tokens};

pub(super) struct Tickets;

/// A cursor belongs to its window: offset and bounds, in hexadecimal so that nobody computes with it.
fn cursor(offset: u64, window: &Range<i64>) -> String {
    hex::encode(format!("v2/{offset}/{}/{}", window.start, window.end))
}

fn offset_of(text: &str, window: &Range<i64>) -> Option<u64> {
    let plain = String::from_utf8(hex::decode(text).ok()?).ok()?;
    let offset = plain.split('/').nth(1)?.parse().ok()?;
    (cursor(offset, window) == text).then_some(offset)
}

impl Dialect for Tickets {
    fn api(&self) -> Api {
        Api::BuyerTickets
    }

    fn path(&self) -> &'static str {
        "/support/v2/tickets"
    }

    fn params(&self) -> &'static [&'static str] {
        &["created_after", "created_before", "cursor", "limit"]
    }

    fn lets_in(&self, headers: &HeaderMap, _: &Params, tokens: &Tokens) -> bool {
        header(headers, "x-api-key").is_some_and(|key| key == tokens.get("buyer_tickets.api_key"))
    }

    fn window(&self, params: &Params) -> Result<Range<i64>, String> {
        let instant = |name| {
            let text = required(params, name)?;
            let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.ends_with('Z'));
            time.map(|time| time.timestamp_millis())
                .ok_or_else(|| format!("{name} must be ISO 8601 in UTC, with a Z"))
        };
        Ok(instant("created_after")?..instant("created_before")?)
    }

    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String> {
        let limit = number_or(params, "limit", 20, 1..201)?;
        let window = self.window(params)?;
        let offset = match params.get("cursor") {
            None => 0,
            Some(text) => offset_of(text, &window).ok_or("the cursor belongs to another request")?,
        };
        let tickets = array(view.records(offset, limit));
        let next = offset + limit;
        let more = next < view.total();
        Ok(json!({"tickets": tickets, "next_cursor": more.then(|| cursor(next, &window))}))
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        json!({"errors": [{"code": format!("E{status}"), "detail": message}]})
    }

    fn drifts(&self) -> (&'static str, &'static str) {
        ("/tickets", "priority")
    }
}
