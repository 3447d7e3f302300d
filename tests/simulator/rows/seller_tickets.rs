//! Support tickets of the seller app: local times without an offset, days first.

use chrono::{Days, NaiveDate};
use nstore_shared::contract::ColumnType;
use serde_json::json;

use super::{Api, MONEY, Row, World, leave_out_nulls, object, row_id};
use crate::simulator::{
    awkward,
    calendar::local,
    cell::{Cell, hundredths},
};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("ticket_id", ColumnType::Text),
    ("order_id", ColumnType::Text),
    ("seller_id", ColumnType::Text),
    ("category", ColumnType::Text),
    ("message", ColumnType::Text),
    ("is_open", ColumnType::Boolean),
    ("is_escalated", ColumnType::Boolean),
    ("amount_claimed", MONEY),
    ("resolve_by", ColumnType::Date),
    ("history", ColumnType::Jsonb),
    ("raised_at", ColumnType::Timestamptz),
    ("closed_at", ColumnType::Timestamptz),
];

/// How this API writes times.
pub(crate) const FORMAT: &str = "%d/%m/%Y %H:%M:%S";

fn written(millis: i64) -> String {
    local(millis).map_or_else(String::new, |time| time.format(FORMAT).to_string())
}

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::SellerTickets, day, index);
    // as it is written, which is all that a reader learns
    let raised = world.time(Api::SellerTickets, day, index) / 1000 * 1000;
    let id = row_id("ST", day, index);
    let order = world.earlier_id(Api::SellerOrders, "SO", day, &mut dice);
    let seller = (!dice.one_in(10)).then(|| format!("S-{:04}", dice.below(1200)));
    let category = dice.pick(&["payout", "returns", "listing", "logistics"]);
    let message = awkward::text(&mut dice);
    let open = dice.one_in(3);
    let escalated = (!dice.one_in(8)).then(|| dice.one_in(6));
    let claimed = (!dice.one_in(2)).then(|| dice.below_i64(10_000_000));
    let resolve_by = (!dice.one_in(5)).then(|| day + Days::new(dice.below(30)));
    let history = if dice.one_in(4) {
        json!([])
    } else {
        json!([{"at": written(raised), "by": "seller", "text": awkward::some_text(&mut dice)}])
    };
    let closed = (!open).then(|| raised + 1000 * dice.below_i64(700_000));
    let mut record = object(json!({
        "id": id,
        "order": order,
        "seller": seller,
        "category": category,
        "text": message,
        "is_open": open,
        "is_escalated": escalated,
        "amount_claimed": claimed.map(hundredths),
        "resolve_by": resolve_by.map(|day| day.format("%d/%m/%Y").to_string()),
        "history": history,
        "raised": written(raised),
        "closed": closed.map(written),
    }));
    if dice.one_in(2) {
        leave_out_nulls(&mut record, &["order", "text", "closed", "resolve_by"]);
    }
    let cells = vec![
        Cell::Text(id),
        Cell::text(order.as_deref()),
        Cell::text(seller.as_deref()),
        Cell::text(Some(category)),
        Cell::text(message.as_deref()),
        Cell::Bool(open),
        escalated.map_or(Cell::Null, Cell::Bool),
        claimed.map_or(Cell::Null, Cell::Hundredths),
        resolve_by.map_or(Cell::Null, Cell::Date),
        Cell::Json(history),
        Cell::Time(raised * 1000),
        Cell::millis(closed),
    ];
    Row { record, cells }
}
