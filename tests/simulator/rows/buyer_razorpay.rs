//! Payments in the form of Razorpay's payment entity: paise, epoch seconds, `notes` an object or `[]`.

use chrono::NaiveDate;
use nstore_shared::contract::ColumnType;
use serde_json::{Value, json};

use super::{Api, Row, World, buyer_orders, object, payment_order_id};
use crate::simulator::{
    awkward,
    cell::Cell,
    seed::{Dice, short_id},
};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("id", ColumnType::Text),
    ("order_id", ColumnType::Text),
    ("amount", ColumnType::Bigint),
    ("currency", ColumnType::Text),
    ("status", ColumnType::Text),
    ("method", ColumnType::Text),
    ("captured", ColumnType::Boolean),
    ("international", ColumnType::Boolean),
    ("amount_refunded", ColumnType::Bigint),
    ("description", ColumnType::Text),
    ("card_last4", ColumnType::Text),
    ("card_network", ColumnType::Text),
    ("email", ColumnType::Text),
    ("contact", ColumnType::Text),
    ("notes", ColumnType::Jsonb),
    ("fee", ColumnType::Bigint),
    ("tax", ColumnType::Bigint),
    ("error_code", ColumnType::Text),
    ("error_description", ColumnType::Text),
    ("created_at", ColumnType::Timestamptz),
];

/// An object, or an empty array when there are none.
fn notes(dice: &mut Dice, order: &str) -> Value {
    if dice.one_in(3) { json!([]) } else { json!({"order": order, "remark": awkward::some_text(dice)}) }
}

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::BuyerRazorpay, day, index);
    let created = world.time(Api::BuyerRazorpay, day, index);
    // every seventh payment is the second try of the order before it, whose first try failed
    let second = index % 7 == 6;
    let failed = index % 7 == 5;
    let order = if second { index - 1 } else { index };
    let amount = buyer_orders::total(world, day, order * 4);
    let id = format!("pay_{}", short_id(1, day, index));
    let order_id = payment_order_id(day, order);
    let status =
        if failed { "failed" } else { dice.pick(&["captured", "captured", "authorized", "refunded"]) };
    let captured = matches!(status, "captured" | "refunded");
    let refunded = if status == "refunded" { amount } else { 0 };
    let method = dice.pick(&["card", "upi", "netbanking", "wallet"]);
    let card =
        (method == "card").then(|| (format!("{:04}", dice.below(10_000)), dice.pick(&["Visa", "RuPay"])));
    let international = dice.one_in(20);
    let description = awkward::text(&mut dice);
    let email = (!dice.one_in(5)).then(|| format!("c{}@example.com", dice.below(9000)));
    let contact = format!("+91{:010}", dice.below(10_000_000_000));
    let notes = notes(&mut dice, &order_id);
    let fee = captured.then_some(amount / 50);
    let tax = fee.map(|fee| fee * 18 / 100);
    let error = failed.then_some(("BAD_REQUEST_ERROR", "Payment failed: \"insufficient\" funds, retry"));
    let record = object(json!({
        "id": id, "entity": "payment", "amount": amount, "currency": "INR", "status": status,
        "order_id": order_id, "invoice_id": null, "international": international, "method": method,
        "amount_refunded": refunded, "refund_status": (refunded > 0).then_some("full"), "captured": captured,
        "description": description,
        "card": card.as_ref().map(|(last4, network)| json!({
            "id": format!("card_{}", short_id(3, day, index)), "entity": "card", "last4": last4, "network": network,
        })),
        "bank": null, "wallet": null, "vpa": (method == "upi").then_some("someone@bank"),
        "email": email, "contact": contact, "notes": notes, "fee": fee, "tax": tax,
        "error_code": error.map(|(code, _)| code), "error_description": error.map(|(_, text)| text),
        "acquirer_data": {"rrn": null}, "created_at": created / 1000,
    }));
    let cells = vec![
        Cell::Text(id),
        Cell::Text(order_id),
        Cell::Int(amount),
        Cell::text(Some("INR")),
        Cell::text(Some(status)),
        Cell::text(Some(method)),
        Cell::Bool(captured),
        Cell::Bool(international),
        Cell::Int(refunded),
        Cell::text(description.as_deref()),
        Cell::text(card.as_ref().map(|(last4, _)| last4.as_str())),
        Cell::text(card.as_ref().map(|(_, network)| *network)),
        Cell::text(email.as_deref()),
        Cell::Text(contact),
        Cell::Json(notes),
        fee.map_or(Cell::Null, Cell::Int),
        tax.map_or(Cell::Null, Cell::Int),
        Cell::text(error.map(|(code, _)| code)),
        Cell::text(error.map(|(_, text)| text)),
        Cell::Time(created * 1000),
    ];
    Row { record, cells }
}
