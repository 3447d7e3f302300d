//! `GET /seller/tickets`: a bearer token of its own, numbered pages from 0 with `has_more`, local times both included. It keeps times to the
//! millisecond, compares those, and writes them to the second: `to` means its instant and not the second after it.

use std::ops::Range;

use axum::http::HeaderMap;
use chrono::NaiveDateTime;
use serde_json::{Value, json};

use super::{Dialect, Params, array, has_bearer, number_or, required};
use crate::simulator::{
    calendar::from_local,
    rows::{Api, TICKET_TIMES},
    stock::View,
    tokens::Tokens,
};

pub(super) struct Tickets;

impl Dialect for Tickets {
    fn api(&self) -> Api {
        Api::SellerTickets
    }

    fn path(&self) -> &'static str {
        "/seller/tickets"
    }

    fn params(&self) -> &'static [&'static str] {
        &["from", "to", "page", "size"]
    }

    fn lets_in(&self, headers: &HeaderMap, _: &Params, tokens: &Tokens) -> bool {
        has_bearer(headers, tokens.get("seller_tickets.token"))
    }

    fn window(&self, params: &Params) -> Result<Range<i64>, String> {
        let time = |name| {
            NaiveDateTime::parse_from_str(required(params, name)?, TICKET_TIMES)
                .map(from_local)
                .map_err(|_| format!("{name} must be DD/MM/YYYY HH:MM:SS"))
        };
        Ok(time("from")?..time("to")? + 1)
    }

    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String> {
        let size = number_or(params, "size", 10, 1..101)?;
        let page = number_or(params, "page", 0, 0..1 << 32)?;
        let rows = array(view.records(page * size, size));
        Ok(json!({"rows": rows, "has_more": (page + 1) * size < view.total()}))
    }

    fn refusal(&self, _: u16, message: &str) -> Value {
        json!({"rows": [], "has_more": false, "error": {"text": message}})
    }

    fn drifts(&self) -> (&'static str, &'static str) {
        ("/rows", "is_open")
    }
}
