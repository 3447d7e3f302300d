//! Orders of the buyer app: nested objects, local times with their offset, amounts as JSON numbers.

use chrono::{Days, NaiveDate};
use nstore_shared::contract::ColumnType;
use serde_json::json;

use super::{
    Api, MONEY, Row, World, leave_out_nulls, object, payment_order_id, rfc3339, rfc3339_utc, row_id,
};
use crate::simulator::{awkward, cell::Cell};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("order_id", ColumnType::Text),
    ("status", ColumnType::Text),
    ("customer_id", ColumnType::Text),
    ("customer_name", ColumnType::Text),
    ("city", ColumnType::Text),
    ("pincode", ColumnType::Text),
    ("latitude", ColumnType::Double),
    ("longitude", ColumnType::Double),
    ("items", ColumnType::Bigint),
    ("total", MONEY),
    ("discount", MONEY),
    ("is_gift", ColumnType::Boolean),
    ("promised_on", ColumnType::Date),
    ("payment_order_id", ColumnType::Text),
    ("seller_order_id", ColumnType::Text),
    ("note", ColumnType::Text),
    ("attributes", ColumnType::Jsonb),
    ("placed_at", ColumnType::Timestamptz),
    ("updated_at", ColumnType::Timestamptz),
];

const STATUS: &[&str] = &["created", "packed", "shipped", "delivered", "delivered", "cancelled", "returned"];
const NAMES: &[&str] = &["Asha Rao", "D'Souza, Ivan", "ಅನಿತಾ ಗೌಡ", "محمد \"Mo\" خان", "José  Ñuñez", "Wei 王"];
const CITIES: &[&str] = &["Bengaluru", "Mumbai", "New Delhi", "कोलकाता", "Chennai", "Thiruvananthapuram"];

/// What an order costs, in paise; its payment and its seller's order say the same.
pub(super) fn total(world: &World, day: NaiveDate, index: u64) -> i64 {
    let mut dice = world.dice(Api::BuyerOrders, day, index ^ (1 << 40));
    match dice.below(40) {
        0 => 0,
        1 => 100 * dice.below_i64(2_000_000_000),
        _ => 100 + dice.below_i64(500_000),
    }
}

/// The payment of an order: of every fourth, as far as the day's payments go.
fn paid_by(world: &World, day: NaiveDate, index: u64) -> Option<String> {
    let order = index / 4;
    let paid = index.is_multiple_of(4) && order % 7 != 6 && order < world.count(Api::BuyerRazorpay, day);
    paid.then(|| payment_order_id(day, order))
}

/// The seller's half of an order: of every second.
fn sold_as(world: &World, day: NaiveDate, index: u64) -> Option<String> {
    let order = index / 2;
    let sold = index.is_multiple_of(2) && order < world.count(Api::SellerOrders, day);
    sold.then(|| row_id("SO", day, order))
}

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::BuyerOrders, day, index);
    let placed = world.time(Api::BuyerOrders, day, index);
    let id = row_id("BO", day, index);
    let status = dice.pick(STATUS);
    let customer = format!("C-{:06}", dice.below(50_000));
    let name = (!dice.one_in(9)).then(|| dice.pick(NAMES));
    let city = dice.pick(CITIES);
    let pincode = format!("{:06}", dice.below(900_000));
    let place = (!dice.one_in(5)).then(|| (dice.fraction(3600, 2), dice.fraction(9_700_000, 5)));
    let items = 1 + dice.below_i64(9);
    let total = total(world, day, index);
    let discount = (!dice.one_in(3)).then(|| total / 100 * dice.below_i64(50));
    let gift = (!dice.one_in(10)).then(|| dice.one_in(4));
    let promised = (!dice.one_in(8)).then(|| day + Days::new(1 + dice.below(9)));
    let note = awkward::text(&mut dice);
    let attributes = awkward::document(&mut dice);
    let updated = (!dice.one_in(6)).then(|| placed + dice.below_i64(900_000_000));
    let (payment, sale) = (paid_by(world, day, index), sold_as(world, day, index));
    let mut record = object(json!({
        "id": id,
        "status": status,
        "customer": {"id": customer, "name": name, "segments": ["a", "b"]},
        "address": {"city": city, "pincode": pincode, "geo": place.map(|(lat, lng)| json!({"lat": lat, "lng": lng}))},
        "items_count": items,
        "amounts": {"total": rupees(total), "discount": discount.map(rupees), "currency": "INR"},
        "is_gift": gift,
        "promised_on": promised.map(|day| day.to_string()),
        "payment_order_id": payment,
        "seller_order_id": sale,
        "note": note,
        "attributes": attributes,
        "placed_at": rfc3339(placed),
        "updated_at": updated.map(rfc3339_utc),
        "internal": {"shard": dice.below(16), "trace": [1, 2, 3]},
    }));
    if dice.one_in(2) {
        leave_out_nulls(&mut record, &["note", "seller_order_id", "attributes"]);
    }
    let cells = vec![
        Cell::Text(id),
        Cell::text(Some(status)),
        Cell::Text(customer),
        Cell::text(name),
        Cell::text(Some(city)),
        Cell::Text(pincode),
        place.map_or(Cell::Null, |(lat, _)| Cell::Double(lat)),
        place.map_or(Cell::Null, |(_, lng)| Cell::Double(lng)),
        Cell::Int(items),
        Cell::Hundredths(total),
        discount.map_or(Cell::Null, Cell::Hundredths),
        gift.map_or(Cell::Null, Cell::Bool),
        promised.map_or(Cell::Null, Cell::Date),
        Cell::text(payment.as_deref()),
        Cell::text(sale.as_deref()),
        Cell::text(note.as_deref()),
        Cell::json(attributes),
        Cell::Time(placed * 1000),
        Cell::millis(updated),
    ];
    Row { record, cells }
}

/// Paise as rupees; the nearest float is exact in print, as no amount has more than 14 digits.
#[expect(clippy::cast_precision_loss, reason = "amounts stay far below 2^53 paise")]
fn rupees(paise: i64) -> f64 {
    paise as f64 / 100.0
}
