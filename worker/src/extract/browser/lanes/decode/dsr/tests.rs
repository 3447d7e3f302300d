//! Answers made by hand, answers encoded at random by an encoder that knows nothing of the decoder, damaged ones.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}

const FIXTURES: [&str; 9] = [
    fixture!("repeat"),
    fixture!("null_then_repeat"),
    fixture!("schema_again"),
    fixture!("totals_nested"),
    fixture!("totals_beside"),
    fixture!("two_queries"),
    fixture!("restart"),
    fixture!("failed"),
    fixture!("empty"),
];

fn read(text: &str, wanted: &[&str]) -> Result<Decoded, DsrError> {
    decode(text.as_bytes(), wanted)
}

/// One row a line, its values apart by `|`; `-` is null.
fn complete(text: &str, wanted: &[&str]) -> String {
    let decoded = read(text, wanted).unwrap();
    assert_eq!(decoded.completeness, Completeness::Complete);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let line = |row: &Vec<Option<String>>| row.iter().map(value).collect::<Vec<_>>().join("|");
    decoded.table.rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An answer of one query that selects `a` (column G0) and `b` (column M0), with these rows.
fn answer(rows: &Value) -> String {
    let select = json!([{"Name": "a", "Value": "G0"}, {"Name": "b", "Value": "M0"}]);
    let shape = json!({"PH": [{"DM0": rows}], "IC": true, "ValueDicts": {"D0": ["zero"]}});
    let data = json!({"descriptor": {"Select": select}, "dsr": {"DS": [shape]}});
    json!({"results": [{"result": {"data": data}}]}).to_string()
}

#[test]
fn repeats_nulls_and_dictionaries() {
    let wanted = ["Network.Timestamp", "Network.Metric", "Sum(Network.Value)", "Network.Status"];
    let expected = "\
2025-08-01T00:00:00|latency|12.5000|up
2025-08-01T00:00:00|loss|7.10|up
2025-08-01T00:15:00|latency|-|up
2025-08-01T00:15:00|loss|-|up
2025-08-01T00:30:00.250|loss|-|off \"grid\"
2025-08-01T00:30:00.250|loss|-|off \"grid\"
2025-08-01T00:30:00.250|loss|3|-
2025-08-01T00:30:00.250|loss|1|-";
    assert_eq!(complete(fixture!("repeat"), &wanted), expected);
    let (turned, first) = (["Network.Status", "G0"], "up|2025-08-01T00:00:00");
    assert_eq!(complete(fixture!("repeat"), &turned).lines().next(), Some(first));
}

#[test]
fn what_repeats_a_null_is_null() {
    let expected = "x|1\ny|-\nz|-\n-|2\n-|2\nw|2";
    assert_eq!(complete(fixture!("null_then_repeat"), &["a", "b"]), expected);
}

#[test]
fn a_schema_may_change_between_rows() {
    // the last row repeats a value from before the change, whose dictionary it no longer has
    let expected = "first|5\nfirst|6\none|7.25\ntwo|7.25\ntwo|true";
    assert_eq!(complete(fixture!("schema_again"), &["a", "b"]), expected);
}

#[test]
fn totals_are_no_rows_and_groups_lend_their_values() {
    let expected = "latency|1|north\nloss|2|north\nlatency|2|south\nlatency|16|south\njitter|-|-";
    assert_eq!(complete(fixture!("totals_nested"), &["metric", "value", "region"]), expected);
    assert_eq!(complete(fixture!("totals_beside"), &["metric", "value"]), "latency|1\nloss|2");
}

#[test]
fn a_group_without_its_detail_is_not_passed_over() {
    let rows = json!([
        {"S": [{"N": "G0", "T": 1}], "C": ["x"], "M": [{"DM1": [{"S": [{"N": "M0", "T": 4}], "C": [1]}]}]},
        {"C": ["collapsed"]},
    ]);
    let error = read(&answer(&rows), &["a", "b"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the query's answer cannot be read: row 3: the group `G0` has no detail rows"
    );
}

#[test]
fn queries_are_told_apart_by_what_they_select() {
    assert_eq!(complete(fixture!("two_queries"), &["metric"]), "slicer");
    assert_eq!(complete(fixture!("two_queries"), &["value", "metric"]), "1|latency");
    assert_eq!(complete(fixture!("two_queries"), &["value"]), "1");
    let error = read(fixture!("two_queries"), &["other"]).unwrap_err();
    assert_eq!(error, DsrError::Failed("x: not ours".to_owned()));
    let twice = fixture!("two_queries").replace("\"other\"", "\"metric\"");
    let error = read(&twice, &["metric"]).unwrap_err();
    assert_eq!(error, DsrError::Ambiguous { wanted: vec!["metric".to_owned()], count: 2 });
    let error = read(fixture!("repeat"), &["Network.Time"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no query of the answer selects Network.Time; there are \
         [Network.Timestamp, Network.Metric, Sum(Network.Value), Network.Status]"
    );
}

#[test]
fn completeness_is_told() {
    let more = read(fixture!("restart"), &["a"]).unwrap();
    assert_eq!(more.table.rows, [[Some("9223372036854775807".to_owned())]]);
    assert_eq!(more.completeness, Completeness::More(r#"[["'x'","9223372036854775807L"]]"#.to_owned()));
    let unknown = fixture!("empty").replace("true", "false");
    assert_eq!(read(&unknown, &["a"]).unwrap().completeness, Completeness::Unknown);
    assert_eq!(complete(fixture!("empty"), &["a"]), "");
}

#[test]
fn an_error_behind_status_200_is_found() {
    let expected =
        "the query failed: rsDataShapeQueryTranslationError: The query exceeded the available resources.";
    assert_eq!(read(fixture!("failed"), &["a"]).unwrap_err().to_string(), expected);
    for (text, expected) in [
        (r#"{"error":{"code":"TokenExpired"}}"#, "TokenExpired"),
        (r#"{"odata.error":{"message":"plain"}}"#, "plain"),
        (r#"{"results":[{"result":{"error":{"code":"c","message":{"value":"v"}}}}]}"#, "c: v"),
        (r#"{"results":[{"error":{"odd":1}}]}"#, r#"{"odd":1}"#),
        (r#"{"results":[{"result":{"odata.error":"words"}}]}"#, "words"),
    ] {
        assert_eq!(read(text, &["a"]).unwrap_err(), DsrError::Failed(expected.to_owned()), "{text}");
    }
}

#[test]
fn broken_answers_are_told() {
    let schema = json!([{"N": "G0", "T": 1, "DN": "D0"}, {"N": "M0", "T": 4}]);
    for (rows, expected) in [
        (json!([{"C": [0, 1]}]), "row 1: no schema came before it"),
        (json!([{"S": schema, "C": [1, 1]}]), "row 1: `G0`: dictionary `D0` of 1 entries has no entry 1"),
        (json!([{"S": schema, "C": [-1, 1]}]), "row 1: `G0`: -1 is no index of dictionary `D0`"),
        (json!([{"S": [{"N": "G0", "DN": "D9"}], "C": [0]}]), "row 1: `G0`: there is no dictionary `D9`"),
        (json!([{"S": schema, "C": [0, 1]}, {"C": [0]}]), "row 2: it has no value for `M0`"),
        (json!([{"S": schema, "C": [0, 1, 2]}]), "row 1: 1 of its values belong to no column"),
        (json!([{"S": schema, "C": [1], "R": 1}]), "row 1: `G0` repeats a row that is not there"),
        (json!([{"S": schema, "C": [0, 1], "R": "x"}]), "row 1: `R` is \"x\", which are no bits"),
        (json!([{"S": [{"N": "G0"}], "C": ["x"]}]), "row 1: its schema has no column `M0`"),
    ] {
        let error = read(&answer(&rows), &["a", "b"]).unwrap_err();
        assert_eq!(error, DsrError::Broken(expected.to_owned()), "{rows}");
    }
    assert!(matches!(read("{\"results\":[", &["a"]), Err(DsrError::Syntax(_))));
    assert!(matches!(read("{\"results\":7}", &["a"]), Err(DsrError::Broken(_))));
    assert!(matches!(read("[1]", &["a"]), Err(DsrError::Broken(_) | DsrError::NoSuchQuery { .. })));
    assert_eq!(
        read("<html><title>Sign in</title>", &["a"]).unwrap_err(),
        DsrError::Page("Sign in".to_owned())
    );
}

/// What a random column holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    Listed,
    Text,
    Whole,
    Decimal,
}

/// A column's content, and one seed a row: what it holds, whether an encoder that may leave a repeat out does so.
type RandomTable = (Vec<Content>, Vec<Vec<(u8, bool)>>);

fn random_table() -> impl Strategy<Value = RandomTable> {
    use Content::{Decimal, Listed, Text, Whole};
    let columns = proptest::collection::vec(prop::sample::select(vec![Listed, Text, Whole, Decimal]), 1..8);
    columns.prop_flat_map(|columns| {
        let row = proptest::collection::vec((0..5_u8, any::<bool>()), columns.len());
        (Just(columns), proptest::collection::vec(row, 0..30))
    })
}

const LISTED: [&str; 4] = ["zero", "", "ü\"\\", "line\nbreak"];

/// A value as rows of text hold it, and as an answer carries it; `None` is null.
fn cell(content: Content, seed: u8) -> Option<(String, String)> {
    let seed = usize::from(seed).checked_sub(1)?;
    Some(match content {
        Content::Listed => (LISTED[seed].to_owned(), seed.to_string()),
        Content::Text => (LISTED[seed].to_owned(), json!(LISTED[seed]).to_string()),
        Content::Whole => (format!("-90071992547409931{seed}"), format!("\"-90071992547409931{seed}L\"")),
        Content::Decimal => (format!("0.10{seed}0"), format!("0.10{seed}0")),
    })
}

/// Encodes a table by the format's description, as text.
fn encode((columns, rows): &RandomTable) -> String {
    let column = |(index, content): (usize, &Content)| match content {
        Content::Listed => format!(r#"{{"N":"G{index}","T":1,"DN":"D0"}}"#),
        Content::Text => format!(r#"{{"N":"G{index}","T":1}}"#),
        Content::Whole => format!(r#"{{"N":"G{index}","T":4}}"#),
        Content::Decimal => format!(r#"{{"N":"G{index}","T":2}}"#),
    };
    let schema: Vec<String> = columns.iter().enumerate().map(column).collect();
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let (mut values, mut repeat, mut null) = (Vec::new(), 0, 0);
        for (index, (content, (seed, lazy))) in columns.iter().zip(row).enumerate() {
            if *lazy && number > 0 && rows[number - 1][index].0 == *seed {
                repeat += 1_u64 << index;
            } else if let Some((_, carried)) = cell(*content, *seed) {
                values.push(carried);
            } else {
                null += 1_u64 << index;
            }
        }
        let mut parts = vec![format!("\"C\":[{}]", values.join(","))];
        if number == 0 {
            parts.push(format!("\"S\":[{}]", schema.join(",")));
        }
        if repeat > 0 {
            parts.push(format!("\"R\":{repeat}"));
        }
        if null > 0 {
            parts.push(format!("\"Ø\":{null}"));
        }
        lines.push(format!("{{{}}}", parts.join(",")));
    }
    let select: Vec<String> =
        (0..columns.len()).map(|n| format!(r#"{{"Name":"column {n}","Value":"G{n}"}}"#)).collect();
    format!(
        r#"{{"results":[{{"result":{{"data":{{"descriptor":{{"Select":[{}]}},"dsr":{{"DS":[{{"PH":[{{"DM0":[{}]}}],"IC":true,"ValueDicts":{{"D0":{}}}}}]}}}}}}}}]}}"#,
        select.join(","),
        lines.join(","),
        json!(LISTED)
    )
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(table in random_table()) {
        let names: Vec<String> = (0..table.0.len()).map(|n| format!("column {n}")).collect();
        let decoded = decode(encode(&table).as_bytes(), &names).unwrap();
        let row = |row: &Vec<(u8, bool)>| -> Vec<Option<String>> {
            table.0.iter().zip(row).map(|(content, (seed, _))| Some(cell(*content, *seed)?.0)).collect()
        };
        let expected: Vec<_> = table.1.iter().map(row).collect();
        prop_assert_eq!(decoded.table.rows, expected);
    }

    #[test]
    fn a_damaged_answer_may_come(which in any::<Index>(), changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6)) {
        let mut bytes = FIXTURES[which.index(FIXTURES.len())].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for wanted in [&["a", "b"][..], &["metric", "value"], &["G0"], &[]] {
            drop(decode(&bytes, wanted));
        }
    }

    /// Damage that leaves the JSON whole: one sign of its text for another that is as good there.
    #[test]
    fn a_damaged_value_may_come(which in any::<Index>(), at in any::<Index>(), digit in "[0-9]") {
        let text = FIXTURES[which.index(FIXTURES.len())];
        let digits: Vec<usize> = text.match_indices(|sign: char| sign.is_ascii_digit()).map(|(at, _)| at).collect();
        prop_assume!(!digits.is_empty());
        let at = digits[at.index(digits.len())];
        let damaged = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        for wanted in [&["a", "b"][..], &["metric", "value", "region"], &["G0", "G1"], &["a"]] {
            drop(read(&damaged, wanted));
        }
    }
}
