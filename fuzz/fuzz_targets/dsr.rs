//! Any bytes as Power BI's query answer: an error or rows, never a panic, and each row as wide as was asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nstore_fuzz::{
    config::{path::FieldPath, spec::browser::SheetLayout},
    decode::{csv, dsr, json},
};

fuzz_target!(|bytes: &[u8]| {
    for wanted in [&["a", "b"][..], &["metric", "value", "region"], &["G0"]] {
        if let Ok(decoded) = dsr::decode(bytes, wanted) {
            assert!(decoded.table.rows.iter().all(|row| row.len() == wanted.len()));
        }
        drop(json::decode(bytes, &FieldPath::key("results"), wanted));
        drop(csv::decode(bytes, &SheetLayout::default(), wanted));
    }
});
