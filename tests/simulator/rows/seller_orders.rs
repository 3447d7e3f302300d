//! Orders of the seller app: amounts as decimal strings, times in epoch milliseconds.

use chrono::{Days, NaiveDate};
use nstore_shared::contract::ColumnType;
use serde_json::json;

use super::{Api, MONEY, Row, World, buyer_orders, leave_out_nulls, object, row_id};
use crate::simulator::{
    awkward,
    cell::{Cell, hundredths},
};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("order_id", ColumnType::Text),
    ("seller_id", ColumnType::Text),
    ("state", ColumnType::Text),
    ("gross", MONEY),
    ("commission", MONEY),
    ("units", ColumnType::Bigint),
    ("ship_mode", ColumnType::Text),
    ("weight_kg", ColumnType::Double),
    ("promised_on", ColumnType::Date),
    ("buyer_remark", ColumnType::Text),
    ("attributes", ColumnType::Jsonb),
    ("created_at", ColumnType::Timestamptz),
    ("shipped_at", ColumnType::Timestamptz),
];

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::SellerOrders, day, index);
    let created = world.time(Api::SellerOrders, day, index);
    let id = row_id("SO", day, index);
    let seller = format!("S-{:04}", dice.below(1200));
    let state = dice.pick(&["NEW", "ACCEPTED", "SHIPPED", "DELIVERED", "RETURN_REQUESTED"]);
    let gross = buyer_orders::total(world, day, index * 2);
    // a correction is a negative commission
    let commission = (!dice.one_in(7)).then(|| gross / 20 - if dice.one_in(15) { gross / 10 } else { 0 });
    let units = (!dice.one_in(9)).then(|| dice.below_i64(12));
    let shipping = (!dice.one_in(4)).then(|| {
        (
            dice.pick(&["air", "surface", "self"]),
            dice.fraction(100_000, 3),
            day + Days::new(2 + dice.below(6)),
        )
    });
    let remark = awkward::text(&mut dice);
    let attributes = awkward::document(&mut dice);
    let shipped = (!dice.one_in(3)).then(|| created + dice.below_i64(500_000_000));
    let mut record = object(json!({
        "order_id": id,
        "seller_id": seller,
        "state": state,
        "gross": hundredths(gross),
        "commission": commission.map(hundredths),
        "currency": "INR",
        "units": units,
        "shipping": shipping.map(|(mode, weight, promised)| json!({
            "mode": mode, "weight_kg": weight, "promised": promised.to_string(),
        })),
        "buyer_remark": remark,
        "attributes": attributes,
        "created_ms": created,
        "shipped_ms": shipped,
    }));
    if dice.one_in(2) {
        leave_out_nulls(&mut record, &["shipping", "buyer_remark", "shipped_ms"]);
    }
    let cells = vec![
        Cell::Text(id),
        Cell::Text(seller),
        Cell::text(Some(state)),
        Cell::Hundredths(gross),
        commission.map_or(Cell::Null, Cell::Hundredths),
        units.map_or(Cell::Null, Cell::Int),
        Cell::text(shipping.map(|(mode, _, _)| mode)),
        shipping.map_or(Cell::Null, |(_, weight, _)| Cell::Double(weight)),
        shipping.map_or(Cell::Null, |(_, _, promised)| Cell::Date(promised)),
        Cell::text(remark.as_deref()),
        Cell::json(attributes),
        Cell::Time(created * 1000),
        Cell::millis(shipped),
    ];
    Row { record, cells }
}
