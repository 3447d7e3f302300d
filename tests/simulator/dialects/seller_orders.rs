//! `GET /seller/orders`: key in the query, limit and offset with a total, epoch milliseconds, half-open.

use std::ops::Range;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{Dialect, Params, array, number, number_or};
use crate::simulator::{rows::Api, stock::View, tokens::Tokens};

pub(super) struct Orders;

impl Dialect for Orders {
    fn api(&self) -> Api {
        Api::SellerOrders
    }

    fn path(&self) -> &'static str {
        "/seller/orders"
    }

    fn params(&self) -> &'static [&'static str] {
        &["since_ms", "until_ms", "limit", "offset", "api_key"]
    }

    fn lets_in(&self, _: &HeaderMap, params: &Params, tokens: &Tokens) -> bool {
        params.get("api_key").is_some_and(|key| key == tokens.get("seller_orders.api_key"))
    }

    fn window(&self, params: &Params) -> Result<Range<i64>, String> {
        Ok(number(params, "since_ms")?..number(params, "until_ms")?)
    }

    fn page(&self, params: &Params, view: &View<'_>) -> Result<Value, String> {
        let limit = number_or(params, "limit", 25, 1..251)?;
        let offset = number_or(params, "offset", 0, 0..1 << 40)?;
        let orders = array(view.records(offset, limit));
        Ok(json!({"result": {"orders": orders, "total": view.total()}, "ok": true}))
    }

    fn refusal(&self, status: u16, message: &str) -> Value {
        json!({"ok": false, "result": null, "error": message, "code": status})
    }

    fn drifts(&self) -> (&'static str, &'static str) {
        ("/result/orders", "gross")
    }
}
