//! Support tickets of the buyer app: times in UTC, and NUL characters in what customers pasted.

use chrono::{Days, NaiveDate};
use nstore_shared::contract::ColumnType;
use serde_json::{Value, json};

use super::{Api, Row, World, leave_out_nulls, object, rfc3339_utc, row_id};
use crate::simulator::{awkward, cell::Cell};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("ticket_id", ColumnType::Text),
    ("order_id", ColumnType::Text),
    ("customer_id", ColumnType::Text),
    ("customer_email", ColumnType::Text),
    ("subject", ColumnType::Text),
    ("description", ColumnType::Text),
    ("channel", ColumnType::Text),
    ("priority", ColumnType::Bigint),
    ("tags", ColumnType::Jsonb),
    ("sla_breached", ColumnType::Boolean),
    ("due_on", ColumnType::Date),
    ("rating", ColumnType::Double),
    ("created_at", ColumnType::Timestamptz),
    ("closed_at", ColumnType::Timestamptz),
];

const TAGS: &[&str] = &["refund", "late, very", "wrong \"item\"", "चोरी", "app/crash"];

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::BuyerTickets, day, index);
    let created = world.time(Api::BuyerTickets, day, index);
    let id = row_id("BT", day, index);
    let order = world.earlier_id(Api::BuyerOrders, "BO", day, &mut dice);
    let customer = (!dice.one_in(7)).then(|| format!("C-{:06}", dice.below(50_000)));
    let email = customer.as_ref().map(|id| format!("{id}@example.com"));
    let subject = awkward::some_text(&mut dice);
    let mut body = awkward::text(&mut dice);
    if dice.one_in(10) {
        body = Some(format!("pasted\0{}\0", body.unwrap_or_default()));
    }
    let channel = dice.pick(&["chat", "e-mail", "phone", "whatsapp"]);
    let priority = dice.below_i64(5) - 1;
    let tags: Vec<&str> = (0..dice.below(4)).map(|_| dice.pick(TAGS)).collect();
    let sla = (!dice.one_in(6)).then(|| (dice.one_in(5), day + Days::new(dice.below(4))));
    let rating = (!dice.one_in(2)).then(|| dice.fraction(11, 0) / 2.0);
    let closed = (!dice.one_in(3)).then(|| created + dice.below_i64(400_000_000));
    let mut record = object(json!({
        "ticket_id": id,
        "order_id": order,
        "customer": customer.as_ref().map(|id| json!({"id": id, "email": email})),
        "subject": subject,
        "body": body,
        "channel": channel,
        "priority": priority,
        "tags": tags,
        "sla": sla.map(|(breached, due)| json!({"breached": breached, "due_on": due.to_string()})),
        "rating": rating,
        "created_at": rfc3339_utc(created),
        "closed_at": closed.map(rfc3339_utc),
        "messages": [{"from": "customer", "text": subject}],
    }));
    if dice.one_in(3) {
        leave_out_nulls(&mut record, &["order_id", "customer", "body", "sla", "rating", "closed_at"]);
    }
    let cells = vec![
        Cell::Text(id),
        Cell::text(order.as_deref()),
        Cell::text(customer.as_deref()),
        Cell::text(email.as_deref()),
        Cell::Text(subject),
        // the mapping strips what Postgres cannot store
        Cell::text(body.map(|text| text.replace('\0', "")).as_deref()),
        Cell::text(Some(channel)),
        Cell::Int(priority),
        Cell::Json(tags.into_iter().map(Value::from).collect()),
        sla.map_or(Cell::Null, |(breached, _)| Cell::Bool(breached)),
        sla.map_or(Cell::Null, |(_, due)| Cell::Date(due)),
        rating.map_or(Cell::Null, Cell::Double),
        Cell::Time(created * 1000),
        Cell::millis(closed),
    ];
    Row { record, cells }
}
