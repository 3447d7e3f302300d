//! What sources mislead with: paths, absent fields, number styles, tokens for nothing, keys that are not unique, windows.

use chrono::{DateTime, Duration};
use nstore_shared::config::numbers::{NumberStyle, Percent};
use proptest::prelude::*;
use serde_json::json;

use super::{json as as_page, *};

/// Refines pages one after the other.
struct Pages {
    refiner: Refiner,
    out: Vec<u8>,
    rejects: Vec<u8>,
    figures: PageFigures,
}

impl Pages {
    fn new(contract: &Contract) -> Self {
        Self::of(Refiner::new(contract, &Records::default(), span()).unwrap())
    }

    fn of(refiner: Refiner) -> Self {
        Self { refiner, out: vec![], rejects: vec![], figures: PageFigures::default() }
    }

    /// The rows of a page, as they were written.
    fn read(&mut self, records: &serde_json::Value) -> Result<Vec<Vec<Option<String>>>, RefineError> {
        self.out.clear();
        let page = as_page(records.to_string());
        let PageFigures { records, rows, rejected, outside, duplicates } =
            self.refiner.page(&page, &mut self.out, &mut self.rejects)?;
        assert_eq!(records, rows + rejected + outside + duplicates);
        let all = &mut self.figures;
        (all.records, all.rows) = (all.records + records, all.rows + rows);
        (all.rejected, all.outside) = (all.rejected + rejected, all.outside + outside);
        all.duplicates += duplicates;
        Ok(scan::lines(&self.out))
    }
}

fn texts(paths: &[&str]) -> Contract {
    let columns =
        paths.iter().enumerate().map(|(at, path)| column(&format!("c{at}"), path, ColumnType::Text));
    contract(columns.collect())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_form_of_a_path_works_in_a_column() {
    let contract = texts(&[
        "customer.name",
        r#""customer.email""#,
        "items.0.sku",
        "items[1].sku",
        "fields[name=status].value",
        "/meta/a~1b",
        r#"meta."@id""#,
        "items",
        "0",
        "7.8",
    ]);
    let records = json!([{
        "customer": {"name": "n"}, "customer.email": "e", "items": [{"sku": "s0"}, {"sku": "s1"}],
        "fields": [{"name": "x", "value": 1}, {"name": "status", "value": "open"}],
        "meta": {"a/b": "ab", "@id": 7}, "0": "zero", "7": {"8": "k"}
    }]);
    let mut pages = Pages::new(&contract);
    // a list is not a text
    assert_eq!(pages.read(&records).unwrap(), Vec::<Vec<Option<String>>>::new());
    let reject = String::from_utf8(pages.rejects).unwrap();
    assert!(reject.contains("column `c7`") && reject.matches("column").count() == 1, "{reject}");
    let mut with_list = contract;
    with_list.columns[7].kind = ColumnType::Jsonb;
    let rows = Pages::new(&with_list).read(&records).unwrap();
    let items = r#"[{"sku":"s0"},{"sku":"s1"}]"#;
    let expected = ["n", "e", "s0", "s1", "open", "ab", "7", items, "zero", "k"];
    assert_eq!(rows, [expected.map(some).to_vec()]);
}

proptest! {
    /// The truth is found by `serde_json`'s own pointers.
    #[test]
    fn paths_find_what_pointers_find(
        records in prop::collection::vec(any::any_json().prop_map(|v| json!({"a": v, "l": [v, {"b": v}]})), 1..4),
        steps in prop::collection::vec(prop::sample::select(vec!["a", "b", "0", "1", "l", "x.y", ""]), 1..4),
    ) {
        let pointer = format!("/{}", steps.join("/"));
        let mut contract = texts(&[&pointer, "l.1.b"]);
        for column in &mut contract.columns {
            column.kind = ColumnType::Jsonb;
            column.required = false;
        }
        let mut pages = Pages::new(&contract);
        let rows = pages.read(&serde_json::Value::Array(records.clone())).unwrap();
        if pages.rejects.is_empty() {
            for (row, record) in rows.iter().zip(&records) {
                for (found, pointer) in row.iter().zip([pointer.as_str(), "/l/1/b"]) {
                    let found: serde_json::Value =
                        found.as_ref().map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap());
                    prop_assert_eq!(&found, record.pointer(pointer).unwrap_or(&serde_json::Value::Null), "{}", pointer);
                }
            }
        }
    }
}

#[test]
fn a_field_that_no_record_has_is_told_from_null() {
    let contract = texts(&["amont", "customer.email", "note", "card.last4", "tags[name=x].v", "maybe"]);
    let mut pages = Pages::new(&contract);
    pages.read(&json!([])).unwrap();
    assert_eq!(pages.refiner.warnings(), [], "no records say nothing");
    pages
        .read(&json!([{"amount": 1, "customer.email": "e", "note": null, "card": null, "tags": []}]))
        .unwrap();
    pages.read(&json!([{"amount": 1, "maybe": 1}])).unwrap();
    let absent = |column: &str, path: &str, hint: Option<&str>| ChunkWarning::FieldAbsent {
        column: column.to_owned(),
        path: path.to_owned(),
        hint: hint.map(str::to_owned),
    };
    assert_eq!(
        pages.refiner.warnings(),
        [
            absent("c0", "amont", Some("did you mean `amount`?")),
            absent(
                "c1",
                "customer.email",
                Some(r#"its dots belong to the key: write it in quotes, as in from: '"customer.email"'"#)
            ),
            absent("c4", "tags[name=x].v", Some("no entry there has a field `name`")),
        ]
    );
    let mut required = texts(&["amont", "note"]);
    required.columns.iter_mut().for_each(|column| column.required = true);
    let mut pages = Pages::new(&required);
    pages.read(&json!([{"amount": 1, "note": null}])).unwrap();
    let reject: Reject = serde_json::from_slice(&pages.rejects).unwrap();
    assert_eq!(
        reject.reason,
        "column `c0`: is required, and the record has no field `amont`; column `c1`: is required and is null"
    );
}

#[test]
fn texts_write_numbers_in_the_style_of_their_column() {
    let style: NumberStyle = "12,34,567.50".parse().unwrap();
    let of = |kind, numbers| Column { numbers, ..column("v", "v", kind) };
    let numeric = ColumnType::Numeric { precision: 12, scale: 2 };
    let value = |column: Column, raw: serde_json::Value| {
        let mut pages = Pages::new(&contract(vec![column]));
        let rows = pages.read(&json!([{ "v": raw }])).unwrap();
        match rows.first() {
            Some(row) => Ok(row[0].clone().unwrap()),
            None => Err(serde_json::from_slice::<Reject>(&pages.rejects).unwrap().reason),
        }
    };
    for (kind, raw, expected) in [
        (numeric, json!("1,234.50"), "1234.50"),
        (numeric, json!("₹12,34,567.50"), "1234567.50"),
        (numeric, json!("(Rs. 1,234)"), "-1234"),
        (numeric, json!("12.5%"), "12.5"),
        (numeric, json!(1234.5), "1234.5"),
        (numeric, json!(1e3), "1000.0"),
        (ColumnType::Bigint, json!("1,234.00"), "1234"),
        (ColumnType::Bigint, json!("$ 5"), "5"),
        (ColumnType::Double, json!("1,234.5"), "1234.5"),
    ] {
        assert_eq!(value(of(kind, Some(style)), raw.clone()), Ok(expected.to_owned()), "{raw}");
    }
    for (raw, numbers, reason) in [
        (json!("1.234,50"), Some(style), "column `v`: `1.234,50` is not a number written as 1,234.56"),
        (json!("1,23"), Some(style), "column `v`: `1,23` is not a number written as 1,234.56"),
        (json!("1,234.505"), Some(style), "column `v`: `1,234.505` is no numeric(12,2)"),
        (json!("1,234.50"), None, "column `v`: `1,234.50` is no numeric(12,2)"),
        (json!("₹5"), None, "column `v`: `₹5` is no numeric(12,2)"),
    ] {
        assert_eq!(value(of(numeric, numbers), raw).unwrap_err(), reason);
    }
    let fraction = NumberStyle { percent: Percent::Fraction, ..style };
    let numeric = ColumnType::Numeric { precision: 6, scale: 4 };
    assert_eq!(value(of(numeric, Some(fraction)), json!("12.5%")), Ok("0.125".to_owned()));
}

#[test]
fn tokens_that_mean_nothing_are_null() {
    let nulls = |kind, values: &[&str]| Column {
        null_values: values.iter().map(|value| (*value).to_owned()).collect(),
        ..column("v", "v", kind)
    };
    let tokens = ["", "N/A", "0000-00-00", "-1"];
    for (kind, good) in [
        (ColumnType::Text, json!("x")),
        (ColumnType::Bigint, json!(7)),
        (ColumnType::Date, json!("2025-08-01")),
        (ColumnType::Jsonb, json!({"a": 1})),
    ] {
        let contract = contract(vec![nulls(kind, &tokens)]);
        let mut pages = Pages::new(&contract);
        let records =
            json!([{"v": ""}, {"v": "N/A"}, {"v": "0000-00-00"}, {"v": -1}, {"v": null}, {"v": good}]);
        let rows = pages.read(&records).unwrap();
        assert_eq!(rows.iter().filter(|row| row[0].is_none()).count(), 5, "{kind}");
        assert_eq!((rows.len(), pages.refiner.finish().nulls["v"]), (6, 5), "{kind}");
    }
    // without tokens nothing becomes null in silence
    let mut pages = Pages::new(&contract(vec![column("v", "v", ColumnType::Bigint)]));
    assert_eq!(pages.read(&json!([{"v": ""}])).unwrap().len(), 0);
    let text = Pages::new(&contract(vec![column("v", "v", ColumnType::Text)])).read(&json!([{"v": ""}]));
    assert_eq!(text.unwrap(), [[some("")]]);
    let required = Column { required: true, ..nulls(ColumnType::Text, &tokens) };
    let mut pages = Pages::new(&contract(vec![required]));
    assert_eq!(pages.read(&json!([{"v": "N/A"}, {"v": "n/a"}])).unwrap().len(), 1, "case counts");
    let reject: Reject = serde_json::from_slice(&pages.rejects).unwrap();
    assert_eq!(reject.reason, "column `v`: is required, and `N/A` means no value here");
}

fn keyed(key: &[&str]) -> Contract {
    let numeric = ColumnType::Numeric { precision: 10, scale: 2 };
    let columns = vec![
        column("id", "id", ColumnType::Text),
        column("n", "n", numeric),
        column("v", "v", ColumnType::Text),
    ];
    Contract { key: key.iter().map(|name| (*name).to_owned()).collect(), ..contract(columns) }
}

#[test]
fn equal_rows_of_one_key_are_dropped_and_counted() {
    let mut pages = Pages::new(&keyed(&["id"]));
    let first =
        pages.read(&json!([{"id": "a", "n": 1}, {"id": "b", "v": "x,\"y"}, {"id": "a", "n": 1}])).unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(pages.read(&json!([{"id": "b", "v": "x,\"y", "ignored": 1}, {"id": "c"}])).unwrap().len(), 1);
    assert_eq!(pages.figures, PageFigures { records: 5, rows: 3, rejected: 0, outside: 0, duplicates: 2 });
    assert_eq!(pages.refiner.distinct_keys(), Some(3));
    let warnings = pages.refiner.warnings();
    assert_eq!(warnings, [ChunkWarning::DuplicatesDropped { rows: 2, example: "id=a".to_owned() }]);
    assert_eq!(pages.refiner.finish().duplicates, 2);
    // without a key equal rows are rows
    let mut pages = Pages::new(&keyed(&[]));
    assert_eq!(pages.read(&json!([{"id": "a"}, {"id": "a"}])).unwrap().len(), 2);
    assert_eq!(pages.refiner.distinct_keys(), None);
}

#[test]
fn a_key_that_is_not_unique_fails_with_both_rows() {
    let mut pages = Pages::new(&keyed(&["id"]));
    let records = json!([{"id": "a", "n": 1, "v": "x\ny"}, {"id": "b"}, {"id": "a", "n": 2, "v": "z"}]);
    let error = pages.read(&records).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key (id) of table `payments` is not unique: id=a came with different values: `n`: `1` and `2`, `v`: `x\ny` \
         and `z`; name the columns in `key` that identify a row"
    );
    assert_eq!((error.class(), pages.out.len()), (FailureClass::Data, 0));

    let mut pages = Pages::new(&keyed(&["id", "n"]));
    pages.read(&json!([{"id": "a", "n": 1.5, "v": "x"}, {"id": "a", "n": 2, "v": "y"}])).unwrap();
    // 1.50 is 1.5, as in the table; the source may have changed the row between two pages
    let error = pages.read(&json!([{"id": "a", "n": "1.50", "v": "z"}])).unwrap_err();
    assert!(error.to_string().contains("(id, n)") && error.to_string().contains("id=a, n=1.50"), "{error}");
    assert!(error.to_string().contains("on another page"), "{error}");
    assert_eq!(error.class(), FailureClass::Transient);
}

proptest! {
    /// The truth is a map from key to row.
    #[test]
    fn rows_are_distinct_as_a_map_says(pages in prop::collection::vec(prop::collection::vec((0..4_u8, 0..3_u8, 0..2_u8), 0..6), 1..4)) {
        let mut refined = Pages::new(&keyed(&["id", "n"]));
        let mut truth = std::collections::BTreeMap::new();
        let mut duplicates = 0;
        for page in pages {
            let records: Vec<_> = page.iter().map(|(id, n, v)| json!({"id": id.to_string(), "n": n, "v": v.to_string()})).collect();
            let mut differs = false;
            for (id, n, v) in page {
                match truth.insert((id, n), v) {
                    Some(earlier) if earlier == v => duplicates += 1,
                    Some(_) => differs = true,
                    None => {}
                }
            }
            let found = refined.read(&serde_json::Value::Array(records));
            prop_assert_eq!(found.is_err(), differs);
            if differs {
                return Ok(());
            }
        }
        prop_assert_eq!(refined.figures.rows, truth.len() as u64);
        prop_assert_eq!(refined.figures.duplicates, duplicates);
        prop_assert_eq!(refined.refiner.distinct_keys(), Some(truth.len() as u64));
    }
}

/// A table of times, and rows that lie so many seconds after the chunk's start.
fn timed(kind: ColumnType, expected: Option<Expected>) -> Pages {
    let mut contract = contract(vec![column("at", "at", kind)]);
    contract.range_column = Some("at".to_owned());
    let refiner = Refiner::new(&contract, &Records::default(), span()).unwrap();
    Pages::of(match expected {
        Some(expected) => refiner.expecting(&expected),
        None => refiner,
    })
}

fn at(seconds: f64) -> serde_json::Value {
    let time = span().start + Duration::microseconds((seconds * 1e6) as i64);
    json!({ "at": time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true) })
}

/// Closed bounds to the second: the end itself is asked for, and what a second there holds comes along.
fn closed() -> Expected {
    let second = Duration::seconds(1);
    let Span { start, end, .. } = span();
    Expected { asked: start..end + second, near: start - second..end + second, whole_days: false }
}

const LENGTH: f64 = 3.0 * 86_400.0;

#[test]
fn rows_that_were_asked_for_beyond_the_chunk_are_no_remark() {
    let mut pages = timed(ColumnType::Timestamptz, Some(closed()));
    let rows = pages.read(&json!([at(0.0), at(LENGTH - 0.001), at(LENGTH), at(LENGTH + 0.5)])).unwrap();
    assert_eq!(rows.len(), 2);
    let OutsideRecords { all, unasked, far, examples } = pages.refiner.outside();
    assert_eq!((all, unasked, far, examples.len()), (2, 0, 0, 0));
    assert_eq!(pages.refiner.warnings(), []);
    // a chunk of nothing but these is an empty one
    let mut quiet = timed(ColumnType::Timestamptz, Some(closed()));
    quiet.read(&json!([at(LENGTH)])).unwrap();
    quiet.refiner.check_window(quiet.figures.rows).unwrap();
    assert_eq!(quiet.refiner.finish().outside_window, 0);
}

#[test]
fn rows_outside_by_more_than_a_step_are_a_remark_with_examples() {
    let mut pages = timed(ColumnType::Timestamptz, Some(closed()));
    pages
        .read(&json!([at(5.0), at(-0.5), at(-7_200.0), at(LENGTH + 60.0), at(-7_200.0), at(-5.0), at(-6.0)]))
        .unwrap();
    let examples =
        ["2025-07-31T22:00:00Z", "2025-08-04T00:01:00Z", "2025-07-31T23:59:55Z"].map(str::to_owned);
    assert_eq!(
        pages.refiner.warnings(),
        [ChunkWarning::OutsideWindow { records: 5, examples: examples.to_vec() }]
    );
    pages.refiner.check_window(pages.figures.rows).unwrap();
    assert_eq!(pages.refiner.finish().outside_window, 6);
}

#[test]
fn records_that_all_lie_outside_are_an_error_and_not_an_empty_chunk() {
    let mut pages = timed(ColumnType::Timestamptz, Some(closed()));
    pages.refiner.check_window(0).unwrap();
    // milliseconds since 1970 that were read as seconds before: 1970
    pages.read(&json!([{"at": "1970-01-21T07:13:26Z"}, {"at": "1970-01-21T07:13:27Z"}])).unwrap();
    let error = pages.refiner.check_window(pages.figures.rows).unwrap_err();
    assert_eq!(error.class(), FailureClass::Config);
    let words = error.to_string();
    assert!(
        words.contains("all 2 records lie outside the chunk, such as `at` 1970-01-21T07:13:26Z, "),
        "{words}"
    );

    // by days there is no room: the neighbouring day is another chunk's
    let days = Expected { whole_days: true, ..closed() };
    let day = |expected: Option<Expected>, day: &str| {
        let mut pages = timed(ColumnType::Date, expected);
        pages.read(&json!([{ "at": day }])).unwrap();
        pages.refiner.check_window(pages.figures.rows)
    };
    assert!(day(Some(days.clone()), "2025-07-31").is_err());
    assert!(day(Some(days), "2025-08-01").is_ok());
    let unknown = {
        let day = Duration::days(1);
        let Span { start, end, .. } = span();
        Expected { asked: start - day..end + day * 2, near: start - day..end + day * 2, whole_days: true }
    };
    assert!(day(Some(unknown.clone()), "2025-07-31").is_ok(), "it was asked for");
    assert!(day(Some(unknown), "2025-07-29").is_err());
    let epoch = DateTime::UNIX_EPOCH;
    assert!(epoch < span().start);
}
