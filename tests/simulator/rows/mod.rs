//! The marketplace's rows: each a pure function of seed, source, day and index, with ids that join.

use chrono::{Days, NaiveDate, SecondsFormat};
use nstore_shared::contract::{ColumnType, Contract};
use serde_json::{Map, Value};

use super::{
    calendar::{Shelf, local, midnight, millis_of_day},
    cell::Cell,
    seed::{Dice, day_number, short_id},
    truth::contract_of,
};

mod buyer_orders;
mod buyer_razorpay;
mod buyer_tickets;
mod network_observability;
mod seller_orders;
mod seller_tickets;

pub(crate) use network_observability::STATUSES;
pub(crate) use seller_tickets::FORMAT as TICKET_TIMES;

/// Where rows come from: five APIs, and a report that only a browser reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// Orders of the buyer app.
    BuyerOrders,
    /// Support tickets of the buyer app.
    BuyerTickets,
    /// Payments.
    BuyerRazorpay,
    /// Orders of the seller app.
    SellerOrders,
    /// Support tickets of the seller app.
    SellerTickets,
    /// Figures of network monitoring, in a report of the portal.
    NetworkObservability,
}

impl Api {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::BuyerOrders,
        Self::BuyerTickets,
        Self::BuyerRazorpay,
        Self::SellerOrders,
        Self::SellerTickets,
        Self::NetworkObservability,
    ];

    /// The five that answer HTTP requests in a dialect of their own.
    pub const HTTP: [Self; 5] =
        [Self::BuyerOrders, Self::BuyerTickets, Self::BuyerRazorpay, Self::SellerOrders, Self::SellerTickets];

    /// The source that nstore calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuyerOrders => "buyer_orders",
            Self::BuyerTickets => "buyer_tickets",
            Self::BuyerRazorpay => "buyer_razorpay",
            Self::SellerOrders => "seller_orders",
            Self::SellerTickets => "seller_tickets",
            Self::NetworkObservability => "network_observability",
        }
    }

    /// The one that nstore calls so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }

    /// Table, columns in order and range column: what the shipped mapping makes of its rows.
    pub fn contract(self) -> Contract {
        let (range_column, columns) = self.columns();
        contract_of(self.name(), range_column, columns)
    }

    fn columns(self) -> (&'static str, &'static [(&'static str, ColumnType)]) {
        match self {
            Self::BuyerOrders => ("placed_at", buyer_orders::COLUMNS),
            Self::BuyerTickets => ("created_at", buyer_tickets::COLUMNS),
            Self::BuyerRazorpay => ("created_at", buyer_razorpay::COLUMNS),
            Self::SellerOrders => ("created_at", seller_orders::COLUMNS),
            Self::SellerTickets => ("raised_at", seller_tickets::COLUMNS),
            Self::NetworkObservability => ("timestamp", network_observability::COLUMNS),
        }
    }

    /// Rows of a day in percent of `rows_per_day`.
    fn share(self) -> u64 {
        match self {
            Self::BuyerOrders => 100,
            Self::NetworkObservability => 60,
            Self::SellerOrders => 50,
            Self::BuyerTickets => 30,
            Self::BuyerRazorpay => 20,
            Self::SellerTickets => 15,
        }
    }

    /// Whether its times are finer than a second.
    fn is_fine(self) -> bool {
        !matches!(self, Self::BuyerRazorpay | Self::NetworkObservability)
    }
}

pub(crate) const MONEY: ColumnType = ColumnType::Numeric { precision: 12, scale: 2 };

/// One row: as the API sends it, and as the table must hold it.
pub(crate) struct Row {
    /// In the API's own form.
    pub(crate) record: Map<String, Value>,
    /// In the order of the mapping's columns.
    pub(crate) cells: Vec<Cell>,
}

/// All rows of all days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// Another seed, another world.
    pub(crate) seed: u64,
    /// Orders of the buyer app on an average day; the other sources have a share of it.
    pub(crate) rows_per_day: u64,
    /// The same number every day.
    pub(crate) exact: bool,
}

impl World {
    /// The draws of one row.
    fn dice(&self, api: Api, day: NaiveDate, index: u64) -> Dice {
        Dice::new(self.seed, api as u64, day, index)
    }

    /// Rows of a day: its share, more or less by a fifth; no seller tickets on every ninth day.
    pub(crate) fn count(&self, api: Api, day: NaiveDate) -> u64 {
        let average = self.rows_per_day * api.share();
        if self.exact {
            return average.div_ceil(100);
        }
        if api == Api::SellerTickets && day_number(day) % 9 == 4 {
            return 0;
        }
        (average * (80 + self.dice(api, day, u64::MAX).below(41))).div_ceil(10_000)
    }

    /// When a row happened, in milliseconds since 1970.
    fn time(&self, api: Api, day: NaiveDate, index: u64) -> i64 {
        midnight(day) + self.millis(api, day, index)
    }

    fn millis(&self, api: Api, day: NaiveDate, index: u64) -> i64 {
        let count = self.count(api, day);
        match api {
            Api::NetworkObservability => {
                let at_once = network_observability::AT_ONCE;
                millis_of_day(index / at_once, count.div_ceil(at_once), false)
            }
            _ => millis_of_day(index, count, api.is_fine()),
        }
    }

    /// One row; its index lies below the day's count.
    pub(crate) fn row(&self, api: Api, day: NaiveDate, index: u64) -> Row {
        match api {
            Api::BuyerOrders => buyer_orders::row(self, day, index),
            Api::BuyerTickets => buyer_tickets::row(self, day, index),
            Api::BuyerRazorpay => buyer_razorpay::row(self, day, index),
            Api::SellerOrders => seller_orders::row(self, day, index),
            Api::SellerTickets => seller_tickets::row(self, day, index),
            Api::NetworkObservability => network_observability::row(self, day, index),
        }
    }

    /// An id of this or one of the six days before, if there is a row then: what a ticket is about.
    fn earlier_id(&self, of: Api, prefix: &str, day: NaiveDate, dice: &mut Dice) -> Option<String> {
        let back = day.checked_sub_days(Days::new(dice.below(7)))?;
        let count = self.count(of, back);
        (count > 0 && !dice.one_in(12)).then(|| row_id(prefix, back, dice.below(count)))
    }
}

/// The rows of one source.
pub(crate) struct Generated<'a>(pub(crate) &'a World, pub(crate) Api);

impl Shelf for Generated<'_> {
    fn count(&self, day: NaiveDate) -> u64 {
        self.0.count(self.1, day)
    }

    fn millis(&self, day: NaiveDate, index: u64) -> i64 {
        self.0.millis(self.1, day, index)
    }
}

/// `BO-20250801-0000042`
fn row_id(prefix: &str, day: NaiveDate, index: u64) -> String {
    format!("{prefix}-{}-{index:07}", day.format("%Y%m%d"))
}

/// The id of a Razorpay order.
fn payment_order_id(day: NaiveDate, index: u64) -> String {
    format!("order_{}", short_id(2, day, index))
}

/// Local time with its offset, as fine as it needs.
fn rfc3339(millis: i64) -> String {
    local(millis).map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, false))
}

/// The same instant in UTC, with a `Z`.
fn rfc3339_utc(millis: i64) -> String {
    local(millis).map_or_else(String::new, |time| time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Takes fields out of a record when they are null: some APIs leave out what they do not know.
fn leave_out_nulls(record: &mut Map<String, Value>, fields: &[&str]) {
    record.retain(|field, value| !value.is_null() || !fields.contains(&field.as_str()));
}

/// The object that `json!({…})` made.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulator::calendar::days;

    const WORLD: World = World { seed: 7, rows_per_day: 150, exact: false };

    fn august() -> impl Iterator<Item = NaiveDate> {
        days(NaiveDate::from_ymd_opt(2025, 8, 1).unwrap(), NaiveDate::from_ymd_opt(2025, 8, 31).unwrap())
    }

    fn column(api: Api, name: &str) -> Vec<Cell> {
        let at = api.columns().1.iter().position(|(column, _)| *column == name).unwrap();
        august()
            .flat_map(|day| (0..WORLD.count(api, day)).map(move |index| WORLD.row(api, day, index)))
            .map(|row| row.cells[at].clone())
            .collect()
    }

    fn texts(cells: &[Cell]) -> BTreeSet<String> {
        cells
            .iter()
            .filter_map(|cell| match cell {
                Cell::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn every_row_has_every_column_and_its_type() {
        for api in Api::ALL {
            let columns = api.columns().1;
            for index in 0..WORLD.count(api, august().next().unwrap()) {
                let row = WORLD.row(api, august().next().unwrap(), index);
                assert_eq!(row.cells.len(), columns.len(), "{}", api.name());
                for (cell, (name, kind)) in row.cells.iter().zip(columns) {
                    let fits = match cell {
                        Cell::Null => true,
                        Cell::Text(_) => *kind == ColumnType::Text,
                        Cell::Int(_) => *kind == ColumnType::Bigint,
                        Cell::Hundredths(_) => *kind == MONEY,
                        Cell::TenThousandths(_) => *kind == ColumnType::Numeric { precision: 18, scale: 4 },
                        Cell::Double(_) => *kind == ColumnType::Double,
                        Cell::Bool(_) => *kind == ColumnType::Boolean,
                        Cell::Date(_) => *kind == ColumnType::Date,
                        Cell::Time(_) => *kind == ColumnType::Timestamptz,
                        Cell::Json(_) => *kind == ColumnType::Jsonb,
                    };
                    assert!(fits, "{} {name}: {cell:?}", api.name());
                }
            }
        }
    }

    #[test]
    fn ids_are_keys_and_join() {
        for (api, key) in Api::HTTP.into_iter().zip(["order_id", "ticket_id", "id", "order_id", "ticket_id"])
        {
            let ids = column(api, key);
            assert_eq!(texts(&ids).len(), ids.len(), "{}", api.name());
        }
        let orders = texts(&column(Api::BuyerOrders, "order_id"));
        let joins = |from: BTreeSet<String>, to: &BTreeSet<String>, share: usize| {
            let hits = from.intersection(to).count();
            assert!(hits * 100 >= from.len() * share, "{hits} of {}", from.len());
        };
        let paid = texts(&column(Api::BuyerOrders, "payment_order_id"));
        joins(paid, &texts(&column(Api::BuyerRazorpay, "order_id")), 100);
        let sold = texts(&column(Api::SellerOrders, "order_id"));
        joins(texts(&column(Api::BuyerOrders, "seller_order_id")), &sold, 100);
        // tickets of the first days are about orders of the month before
        joins(texts(&column(Api::BuyerTickets, "order_id")), &orders, 80);
        joins(texts(&column(Api::SellerTickets, "order_id")), &sold, 80);
    }

    #[test]
    fn the_world_is_the_same_everywhere() {
        let day = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        let ids: Vec<String> =
            Api::HTTP.map(|api| format!("{:?}", WORLD.row(api, day, 3).cells[0])).into_iter().collect();
        assert_eq!(
            ids,
            [
                r#"Text("BO-20250801-0000003")"#,
                r#"Text("BT-20250801-0000003")"#,
                r#"Text("pay_00006lp6ylm1X6")"#,
                r#"Text("SO-20250801-0000003")"#,
                r#"Text("ST-20250801-0000003")"#,
            ]
        );
        assert!(august().any(|day| WORLD.count(Api::SellerTickets, day) == 0));
    }

    #[test]
    fn free_text_is_awkward() {
        let notes = column(Api::BuyerOrders, "note");
        assert!(notes.contains(&Cell::Null) && notes.contains(&Cell::Text(String::new())));
        let all: String = texts(&notes).into_iter().collect();
        for part in ["\"", "\r\n", "\n", ",", "\t", "\\N", "\\.", "NULL", "=1+1", "😀", "مرحبا"] {
            assert!(all.contains(part), "{part:?}");
        }
    }
}
