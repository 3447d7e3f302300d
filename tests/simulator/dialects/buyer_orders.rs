//! `GET /buyer/api/v1/orders`: bearer token, numbered pages from 1, whole days both included.

use std::ops::Range;

use axum::http::HeaderMap;
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{Dialect, Params, array, has_bearer, number_or, required};
use crate::simulator::{
    calendar::{DAY_MS, midnight},
    rows::Api,
    stock::View,
    tokens::Tokens,
};

pub(super) struct Orders;

impl Dialect for Orders {
    fn api(&self) -> Api {
        Api::BuyerOrders
    }

    fn path(&self) -> &'static str {
        "/buyer/api/v1/orders"
    }

    fn params(&self) -> &'static [&'static str] {
        &["from", "to", "page", "per_page"]
    }

    fn lets_in(&self, headers: &HeaderMap, _: &Params, tokens: &Tokens) -> bool {
        has_bearer(headers, tokens.get("buyer_orders.token"))
    }

    fn window(&self, params: &Params) -> Result<Range<i64>, String> {
        let day = |name| {
            NaiveDate::parse_from_str(required(params, name)?, "%Y-%m-%d")
                .map_err(|_| format!("{name} must be YYYY-MM-DD"))
        };
        let (from, to) = (day("from")?, day("to")?);
        if from > to {
            return Err("from lies after to".to_owned());
        }
        Ok(midnight(from)..midnight(to) + DAY_MS)
    }

    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String> {
        let size = number_or(params, "per_page", 50, 1..501)?;
        let page = number_or(params, "page", 1, 1..1 << 32)?;
        let data = array(view.records((page - 1) * size, size));
        let pages = view.total().div_ceil(size);
        Ok(json!({"data": data, "meta": {"page": page, "total_pages": pages, "total": view.total()}}))
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        json!({"message": message, "status": status})
    }

    fn drifts(&self) -> (&'static str, &'static str) {
        ("/data", "items_count")
    }
}
