//! What becomes of whole pages.

use bytes::Bytes;
use chrono::{TimeZone as _, Utc};
use nstore_shared::{
    config::spec::TimeFormat,
    contract::{Ambiguous, Column, ColumnType, NulPolicy, RejectLimit},
};

use super::{csv::scan, *};

mod any;
mod sources;

fn column(name: &str, from: &str, kind: ColumnType) -> Column {
    Column { from: from.parse().unwrap(), ..Column::new(name, kind) }
}

fn contract(columns: Vec<Column>) -> Contract {
    Contract {
        table: "payments".to_owned(),
        key: vec![],
        range_column: None,
        rejects: RejectLimit::Rows(0),
        nul: NulPolicy::Reject,
        ambiguous: Ambiguous::First,
        columns,
    }
}

/// One column of each type.
fn every_type() -> Contract {
    let numeric = ColumnType::Numeric { precision: 10, scale: 2 };
    let created = Column {
        format: Some(TimeFormat::EpochS),
        required: true,
        ..column("created_at", "created_at", ColumnType::Timestamptz)
    };
    let columns = vec![
        Column { required: true, ..column("id", "id", ColumnType::Text) },
        column("amount", "amount", ColumnType::Bigint),
        column("fee", "fee", numeric),
        column("rate", "rate", ColumnType::Double),
        column("captured", "captured", ColumnType::Boolean),
        column("day", "day", ColumnType::Date),
        created,
        column("last4", "card.last4", ColumnType::Text),
        column("card", "card", ColumnType::Jsonb),
        column("notes", "notes", ColumnType::Jsonb),
    ];
    Contract { key: vec!["id".to_owned()], range_column: Some("created_at".to_owned()), ..contract(columns) }
}

fn span() -> Span {
    let day = |day| Utc.with_ymd_and_hms(2025, 8, day, 0, 0, 0).unwrap();
    Span { start: day(1), end: day(4), zone: chrono_tz::UTC }
}

fn json(body: impl Into<Bytes>) -> Page {
    Page { body: body.into(), format: PageFormat::Json, origin: "http://test/x".to_owned() }
}

/// One line of the rejects file. The record stays raw: what is wrong with it may well be that no tree holds it.
#[derive(serde::Deserialize)]
struct Reject {
    reason: String,
    record: Box<RawValue>,
}

struct Refined {
    figures: PageFigures,
    lines: Vec<Vec<Option<String>>>,
    rejects: Vec<Reject>,
    quality: Quality,
}

fn refine(contract: &Contract, selector: &str, body: impl Into<Bytes>) -> Result<Refined, RefineError> {
    let mut refiner = Refiner::new(
        contract,
        &Records { selector: selector.parse().unwrap(), ..Records::default() },
        span(),
    )?;
    let (mut out, mut rejects) = (Vec::new(), Vec::new());
    let figures = refiner.page(&json(body), &mut out, &mut rejects)?;
    let rejects =
        rejects.split_inclusive(|&b| b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    Ok(Refined { figures, lines: scan::lines(&out), rejects, quality: refiner.finish() })
}

/// Refines records of one column called `v`.
fn values(kind: ColumnType, nul: NulPolicy, records: &[&str]) -> Refined {
    let records: Vec<String> = records.iter().map(|raw| format!(r#"{{"v":{raw}}}"#)).collect();
    let contract =
        Contract { nul, ..contract(vec![column("v", "v", kind), column("w", "w", ColumnType::Text)]) };
    refine(&contract, "", format!("[{}]", records.join(","))).unwrap()
}

/// What one value becomes, or why not.
fn value(kind: ColumnType, raw: &str) -> Result<Option<String>, String> {
    let refined = values(kind, NulPolicy::Reject, &[raw]);
    match refined.lines.first() {
        Some(line) => Ok(line[0].clone()),
        None => Err(refined.rejects[0].reason.clone()),
    }
}

#[test]
fn a_record_becomes_a_line() {
    let body = r#"{"count":2,"items":[
        {"id":"p1","amount":9223372036854775807,"fee":"12.50","rate":1.5e3,"captured":1,"day":"2025-08-01",
         "created_at":1754006400,"card":{"x":[{"last4":"no"}],"last4":"4242"},"notes":{"a b": [1, 2]},"other":1e400},
        {"created_at":1754092800,"id":"","card":null,"notes":[]}],"x":{}}"#;
    let refined = refine(&every_type(), "items", body).unwrap();
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        some("p1"),
        some("9223372036854775807"),
        some("12.50"),
        some("1.5e3"),
        some("true"),
        some("2025-08-01"),
        some("2025-08-01T00:00:00Z"),
        some("4242"),
        some(r#"{"x":[{"last4":"no"}],"last4":"4242"}"#),
        some(r#"{"a b":[1,2]}"#),
    ];
    assert_eq!(refined.lines[0], expected);
    assert_eq!(refined.lines[1][0], some(""), "an empty text is no null");
    assert_eq!(refined.lines[1][9], some("[]"));
    assert_eq!(refined.figures, PageFigures { records: 2, rows: 2, rejected: 0, outside: 0, duplicates: 0 });
    let quality = refined.quality;
    assert_eq!(quality.nulls["amount"], 1);
    assert_eq!(quality.nulls["last4"], 1);
    assert!(!quality.nulls.contains_key("id"));
    let days = ("2025-08-01T00:00:00Z".to_owned(), "2025-08-02T00:00:00Z".to_owned());
    assert_eq!(quality.spans["created_at"], days);
    let header = Refiner::new(&every_type(), &Records::default(), span()).unwrap().header();
    assert_eq!(header, "id,amount,fee,rate,captured,day,created_at,last4,card,notes\n");
}

#[test]
fn rows_of_other_chunks_are_dropped_and_counted() {
    let at = |second: i64| format!(r#"{{"id":"p{second}","created_at":{second},"amount":"bad"}}"#);
    let good = |second: i64| at(second).replace("\"bad\"", "1");
    let body = format!(
        "[{},{},{},{}]",
        at(1_754_006_399),
        good(1_754_006_400),
        good(1_754_265_599),
        at(1_754_265_600)
    );
    let refined = refine(&every_type(), "", body).unwrap();
    assert_eq!(refined.figures, PageFigures { records: 4, rows: 2, rejected: 0, outside: 2, duplicates: 0 });
    assert_eq!(refined.quality.outside_window, 2);
    // by days, in the source's zone
    let mut by_day = contract(vec![column("day", "day", ColumnType::Date)]);
    by_day.range_column = Some("day".to_owned());
    let days = r#"[{"day":"2025-07-31"},{"day":"2025-08-01"},{"day":"2025-08-03"},{"day":"2025-08-04"}]"#;
    assert_eq!(
        refine(&by_day, "", days).unwrap().figures,
        PageFigures { records: 4, rows: 2, rejected: 0, outside: 2, duplicates: 0 }
    );
}

#[test]
fn what_does_not_fit_is_kept_with_all_its_reasons() {
    let body = "[{\"id\":\"ok\",\"created_at\":1754006400},\n{\"amount\":\"12,5\",\n\"fee\":1e400,\"created_at\":1754006400}, 7, [\"x\"], null]";
    let refined = refine(&every_type(), "", body).unwrap();
    assert_eq!(refined.figures, PageFigures { records: 5, rows: 1, rejected: 4, outside: 0, duplicates: 0 });
    assert_eq!(refined.quality.rejected, 4);
    let reason = "column `id`: is required, and the record has no field `id`; column `amount`: `12,5` is no bigint; \
                  column `fee`: `1e400` is no numeric(10,2)";
    assert_eq!(refined.rejects[0].reason, reason);
    let kept = r#"{"amount":"12,5", "fee":1e400,"created_at":1754006400}"#;
    assert_eq!(refined.rejects[0].record.get(), kept);
    assert_eq!(refined.rejects[1].reason, "the record is a number, not an object");
    assert_eq!(refined.rejects[2].record.get(), r#"["x"]"#);
    assert_eq!(refined.rejects[3].reason, "the record is null, not an object");
}

#[test]
fn one_unreadable_record_does_not_take_the_page() {
    let mut body = String::from("[");
    for id in 0..5 {
        // a number that no float holds where an object should be stops the fast pass
        let card = if id == 2 { "1e400" } else { r#"{"last4":"1"}"# };
        let amount = if id == 4 { "x" } else { "1" };
        let gap = if id == 0 { "" } else { "," };
        body +=
            &format!(r#"{gap}{{"id":"p{id}","created_at":1754006400,"amount":"{amount}","card":{card}}}"#);
    }
    body.push(']');
    let mut by_part = every_type();
    by_part.columns.retain(|column| column.name != "card");
    for contract in [every_type(), by_part] {
        let refined = refine(&contract, "", body.clone()).unwrap();
        assert_eq!(
            refined.figures,
            PageFigures { records: 5, rows: 3, rejected: 2, outside: 0, duplicates: 0 }
        );
        let ids: Vec<_> = refined.lines.iter().map(|line| line[0].clone().unwrap()).collect();
        assert_eq!(ids, ["p0", "p1", "p3"]);
        let rejected: Vec<_> = refined.rejects.iter().map(|reject| &reject.record.get()[..10]).collect();
        assert_eq!(rejected, [r#"{"id":"p2""#, r#"{"id":"p4""#]);
    }
}

#[test]
fn paths_through_other_things() {
    let refined = refine(
        &contract(vec![column("a", "c.a", ColumnType::Text), column("b", "b", ColumnType::Text)]),
        "",
        r#"[{"c":[],"b":"1"},{"c":null,"b":"2"},{"c":"x"},{"c":[1]},{"c":{"a":"3"},"c":{"b":1},"b":"4","b":"5"}]"#,
    );
    let refined = refined.unwrap();
    let rows: Vec<_> = refined.lines.iter().map(|line| (line[0].clone(), line[1].clone().unwrap())).collect();
    // of a key that comes twice, the last counts
    assert_eq!(rows, [(None, "1".to_owned()), (None, "2".to_owned()), (None, "5".to_owned())]);
    assert_eq!(
        refined.rejects[0].reason,
        "column `a`: there is a text on its path where an object should be"
    );
}

#[test]
fn texts_stay_verbatim() {
    for text in [
        "",
        " ",
        "a,b",
        "\"",
        "a\r\nb\n",
        r"\.",
        "NULL",
        "null",
        "😀 e\u{301}",
        "\u{202e}مرحبا",
        "\u{7f}\u{1}",
    ] {
        let raw = serde_json::to_string(text).unwrap();
        assert_eq!(value(ColumnType::Text, &raw), Ok(Some(text.to_owned())));
    }
    assert_eq!(value(ColumnType::Text, "1.50"), Ok(Some("1.50".to_owned())));
    assert_eq!(value(ColumnType::Text, "true"), Ok(Some("true".to_owned())));
    assert_eq!(value(ColumnType::Text, "null"), Ok(None));
    for bad in [r#"{"a":"\n"}"#, "[]", r#""\ud800""#, r#""a\u0000""#] {
        assert!(value(ColumnType::Text, bad).is_err(), "{bad}");
    }
}

#[test]
fn nuls_are_stripped_where_the_source_says_so() {
    let refined = values(ColumnType::Text, NulPolicy::Strip, &[r#""a\u0000b\u0000""#, r#""\u0000""#]);
    assert_eq!(refined.lines[0][0].as_deref(), Some("ab"));
    assert_eq!(refined.lines[1][0].as_deref(), Some(""));
    assert_eq!(refined.quality.nul_stripped, 3);
    let refined = values(ColumnType::Jsonb, NulPolicy::Strip, &[r#"{"a":"\u0000\\u0000"}"#]);
    assert_eq!(refined.lines[0][0].as_deref(), Some(r#"{"a":"\\u0000"}"#));
    assert_eq!(refined.quality.nul_stripped, 1);
}

#[test]
fn types_are_checked() {
    let numeric = ColumnType::Numeric { precision: 5, scale: 2 };
    for (kind, good, bad) in [
        (
            ColumnType::Bigint,
            vec!["-1", r#""42""#, "9223372036854775807"],
            vec!["1.5", "9223372036854775808", "true", r#""""#, "{}"],
        ),
        (numeric, vec!["999.99", r#""-1.5""#], vec!["1000", "0.001", "1e400", r#""1,5""#, "false"]),
        (ColumnType::Double, vec!["1e308", r#""-0.5""#], vec!["1e400", "1e-400", r#""NaN""#, "[1]"]),
        (ColumnType::Date, vec![r#""2025-08-31""#], vec![r#""31.08.2025""#, "20250831", r#""2025-02-30""#]),
        (
            ColumnType::Timestamptz,
            vec![r#""2025-08-31T10:00:00Z""#],
            vec!["1754006400", r#""now""#, r#""infinity""#],
        ),
    ] {
        for raw in good {
            let text = raw.trim_matches('"').to_owned();
            assert_eq!(value(kind, raw), Ok(Some(text)), "{kind} {raw}");
        }
        for raw in bad {
            assert!(value(kind, raw).is_err(), "{kind} {raw}");
        }
    }
    for (kind, raw, written) in [
        (ColumnType::Bigint, "5.0", "5"),
        (ColumnType::Bigint, "1e3", "1000"),
        (ColumnType::Bigint, r#""-5.00""#, "-5"),
        (ColumnType::Bigint, r#""+7""#, "7"),
        (numeric, "1e2", "100"),
        (numeric, r#""+.5""#, "0.5"),
        (ColumnType::Numeric { precision: 5, scale: 0 }, "5.0", "5.0"),
        (ColumnType::Text, "5.0", "5.0"),
    ] {
        assert_eq!(value(kind, raw), Ok(Some(written.to_owned())), "{kind} {raw}");
    }
    for (raw, truth) in [("true", "true"), (r#""f""#, "false"), ("0", "false"), (r#""1""#, "true")] {
        assert_eq!(value(ColumnType::Boolean, raw), Ok(Some(truth.to_owned())));
    }
    assert!(value(ColumnType::Boolean, r#""yes""#).is_err());
    assert!(value(ColumnType::Bigint, r#""2""#).is_ok());
}

#[test]
fn nesting_without_end_stops_nobody() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(value(ColumnType::Jsonb, &deep(500)).is_ok());
    assert!(value(ColumnType::Jsonb, &deep(100_000)).unwrap_err().contains("512 levels"));
    assert!(value(ColumnType::Text, &deep(100_000)).is_err());
    let ignored = format!(r#"[{{"x":{}}}]"#, deep(100_000));
    assert_eq!(
        refine(&contract(vec![column("v", "v", ColumnType::Text)]), "", ignored).unwrap().figures.rows,
        1
    );
}

#[test]
fn pages_that_are_none() {
    let fault = |selector: &str, body: &[u8]| {
        let body = Bytes::copy_from_slice(body);
        refine(&every_type(), selector, body).err().unwrap()
    };
    let no_records = fault("data.items", br#"{"data":{"rows":[],"n":1}}"#);
    assert_eq!(no_records.class(), FailureClass::Data);
    assert!(
        no_records.to_string().contains("at `data.items`: `data` has the keys `n`, `rows`"),
        "{no_records}"
    );
    assert!(fault("items", br#"{"items":{}}"#).to_string().contains("there is an object"));
    assert!(fault("", br#"{"items":[]}"#).to_string().contains("there is an object"));
    assert!(fault("a", br#"{"a":[],"a":[]}"#).to_string().contains("twice"));
    assert_eq!(fault("", br#"[{"id":"1""#).class(), FailureClass::Transient);
    assert!(matches!(fault("", b"<html>"), RefineError::Syntax { .. }));
    assert!(matches!(fault("", b"[{}] x"), RefineError::Syntax { .. }));
    assert!(matches!(fault("", b"[{\"id\":\"\xff\"}]"), RefineError::Encoding { at: 8, .. }));
    assert_eq!(refine(&every_type(), "items", r#"{"items":null}"#).unwrap().figures, PageFigures::default());
}

#[test]
fn a_bad_page_leaves_the_buffers_as_they_were() {
    let one = contract(vec![column("v", "v", ColumnType::Bigint)]);
    let mut refiner = Refiner::new(&one, &Records::default(), span()).unwrap();
    let (mut out, mut rejects) = (b"v\n".to_vec(), b"kept\n".to_vec());
    assert!(refiner.page(&json(r#"[{"v":1},{"v":"x"},{"v":"#), &mut out, &mut rejects).is_err());
    assert_eq!((out.as_slice(), rejects.as_slice()), (&b"v\n"[..], &b"kept\n"[..]));
}

#[test]
fn contracts_that_contradict_themselves() {
    let refused = |change: &dyn Fn(&mut Contract)| {
        let mut contract = every_type();
        change(&mut contract);
        let error = refine(&contract, "", "[]").err().unwrap();
        assert_eq!(error.class(), FailureClass::Config);
        error.to_string()
    };
    assert!(refused(&|c| c.range_column = Some("x".to_owned())).contains("`x` is no column"));
    assert!(
        refused(&|c| c.range_column = Some("id".to_owned())).contains("neither a date nor a timestamptz")
    );
    assert!(refused(&|c| c.key.push("y".to_owned())).contains("names `y`"));
    assert!(
        refused(&|c| c.columns[5].format = Some(TimeFormat::Strftime("%!".to_owned()))).contains("strftime")
    );
    assert!(refused(&|c| c.columns[1].from = "[a=b].c".parse().unwrap()).contains("names no field"));
}
