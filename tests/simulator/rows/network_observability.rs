//! Figures of network monitoring, as a report shows them: four metrics at a moment, some without a value.

use chrono::NaiveDate;
use nstore_shared::contract::ColumnType;
use serde_json::json;

use super::{Api, Row, World, object};
use crate::simulator::{
    cell::{Cell, ten_thousandths},
    seed::{Dice, day_number},
};

pub(super) const COLUMNS: &[(&str, ColumnType)] = &[
    ("timestamp", ColumnType::Timestamptz),
    ("metric", ColumnType::Text),
    ("value", ColumnType::Numeric { precision: 18, scale: 4 }),
    ("status", ColumnType::Text),
];

/// Figures that share a moment.
pub(super) const AT_ONCE: u64 = 4;

const METRICS: [&str; 12] = [
    "latency_ms",
    "packet_loss_pct",
    "throughput_mbps",
    "jitter_ms",
    "dns_lookup_ms",
    "tls \"handshake\", µs",
    "http_5xx_per_min",
    "retransmits",
    "Δ bandwidth, Zürich–Łódź",
    "cpu_pct",
    "queue_depth",
    "clock_skew_s",
];

/// What a figure may be said to be, if anything.
pub(crate) const STATUSES: [&str; 4] = ["ok", "warning", "critical", "unknown"];

/// Up to four digits behind the point, at times below zero, at times in the thousands.
fn value(dice: &mut Dice) -> i64 {
    let limit = match dice.below(10) {
        0..=5 => 1_000_000,
        6..=8 => 100_000_000,
        _ => 4_000_000_000,
    };
    let number = dice.below_i64(limit);
    let grain = dice.pick(&[&1, &10, &100, &1000, &10_000]);
    let number = number - number % *grain;
    if dice.one_in(8) { -number } else { number }
}

/// Without zeros at the end: `1234.5`.
fn written(value: i64) -> String {
    ten_thousandths(value).trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn row(world: &World, day: NaiveDate, index: u64) -> Row {
    let mut dice = world.dice(Api::NetworkObservability, day, index);
    let millis = world.time(Api::NetworkObservability, day, index);
    // each in turn: so a moment never has the same one twice, nor has a second of up to three moments
    let turn = index.wrapping_add(day_number(day)) % METRICS.len() as u64;
    let metric = METRICS[usize::try_from(turn).unwrap_or(0)];
    let value = (!dice.one_in(40)).then(|| value(&mut dice));
    let [ok, warning, critical, unknown] = STATUSES;
    let status = (!dice.one_in(50)).then(|| dice.pick(&[ok, ok, ok, ok, ok, warning, critical, unknown]));
    let record = object(json!({"metric": metric, "value": value.map(written), "status": status}));
    let cells = vec![
        Cell::Time(millis * 1000),
        Cell::text(Some(metric)),
        value.map_or(Cell::Null, Cell::TenThousandths),
        Cell::text(status),
    ];
    Row { record, cells }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn moment_and_metric_are_a_key_and_values_are_awkward() {
        let world = World { seed: 7, rows_per_day: 5000, exact: true };
        let day = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        let rows: Vec<Row> =
            (0..world.count(Api::NetworkObservability, day)).map(|n| row(&world, day, n)).collect();
        assert_eq!(rows.len(), 3000);
        let keys: BTreeSet<String> = rows.iter().map(|row| format!("{:?}", &row.cells[..2])).collect();
        assert_eq!(keys.len(), rows.len());
        let values: Vec<_> = rows.iter().map(|row| row.record["value"].as_str()).collect();
        let some = |fits: fn(&str) -> bool| values.iter().flatten().any(|value| fits(value));
        assert!(values.contains(&None) && rows.iter().any(|row| row.cells[3] == Cell::Null));
        assert!(some(|v| v.starts_with('-')) && some(|v| !v.contains('.')) && some(|v| v.len() > 9));
        assert!(some(|v| v.find('.').is_some_and(|at| v.len() - at == 5)));
    }
}
