//! What bodies say, and what they do not.

use nstore_shared::config::spec::{NoList, Paginator, Records};

use super::*;
use crate::extract::api::identity::Identity;

fn pointers_to(selector: &str, cursor: &str) -> Pointers {
    let path = |text: &str| Some(text.parse().unwrap());
    let paginator = Paginator::Cursor {
        cursor_path: cursor.parse().unwrap(),
        param: "after".to_owned(),
        limit_param: None,
        limit: None,
        has_more_path: path("meta.more"),
        total_path: path("meta.total"),
    };
    let records = Records { selector: selector.parse().unwrap(), ..Records::default() };
    Pointers::new(&paginator, &records, Identity::new(&["id".parse().unwrap()]))
}

fn read(selector: &str, body: &str) -> Result<PageFacts, FactsError> {
    pointers_to(selector, "meta.next").read(body, false)
}

fn count(selector: &str, body: &str) -> usize {
    read(selector, body).unwrap().records.len()
}

#[test]
fn few_pointers_are_read() {
    let body =
        r#"{"data":{"items":[{"id":[1,2]},{}, 3]},"meta":{"total":"12","next":17,"more":true,"x":{}}}"#;
    let facts = read("data.items", body).unwrap();
    assert_eq!(facts.records.len(), 3);
    assert_eq!((facts.total, facts.has_more), (Signal::Value(12), Signal::Value(true)));
    assert_eq!(facts.cursor, Signal::Value("17".to_owned()));
    assert_eq!(count("", "[{},{}]"), 2);
    let ended = read("items", r#"{"items":[],"meta":{"next":null,"more":null,"total":null}}"#).unwrap();
    assert_eq!((ended.cursor, ended.has_more, ended.total), (Signal::Null, Signal::Null, Signal::Null));
    let quoted = read("items", r#"{"items":[],"meta":{"next":"a\u002Fb=="}}"#).unwrap();
    assert_eq!(quoted.cursor, Signal::Value("a/b==".to_owned()));
    let absent = read("items", r#"{"items":[]}"#).unwrap();
    assert_eq!((absent.cursor, absent.total), (Signal::Absent, Signal::Absent));
}

#[test]
fn records_are_told_apart_by_their_key() {
    let facts = read("items", r#"{"items":[{"id":1,"v":1},{"id":2},{"v":2,"id":1}]}"#).unwrap();
    assert_eq!(facts.records[0], facts.records[2]);
    assert_ne!(facts.records[0], facts.records[1]);
}

#[test]
fn paths_lead_into_lists_and_through_odd_keys() {
    let body = r#"{"result":[{"data":[{"id":1}]}],"meta":{"@odata.nextLink":"u","a.b":"v","info":[{"k":"n","v":"w"}]}}"#;
    assert_eq!(count("result.0.data", body), 1);
    assert_eq!(count("result[0].data", body), 1);
    for (path, cursor) in [
        (r#"meta."@odata.nextLink""#, "u"),
        ("/meta/@odata.nextLink", "u"),
        (r#"meta."a.b""#, "v"),
        ("meta.info[k=n].v", "w"),
        ("meta.info.0.v", "w"),
    ] {
        let facts = pointers_to("result.0.data", path).read(body, false).unwrap();
        assert_eq!(facts.cursor, Signal::Value(cursor.to_owned()), "{path}");
    }
    // a value and a part of it are both wanted
    let facts = pointers_to("meta.rows", "meta").read(r#"{"meta":{"rows":[1]}}"#, false);
    assert!(matches!(facts, Err(FactsError::Value { .. })), "an object is not a cursor: {facts:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let words = |selector: &str, body: &str| read(selector, body).unwrap_err().to_string();
    let said = words("data.items", r#"{"data":{"item":[],"count":1}}"#);
    assert!(said.contains("`data` has the keys `count`, `item`; did you mean `item`?"), "{said}");
    assert!(words("items", r#"{"items":{"a":1}}"#).contains("there is an object"));
    assert!(words("", r#"{"items":[]}"#).contains("there is an object"));
    assert!(words("result.0.data", r#"{"result":[]}"#).contains("`result` is a list"));
    let total = words("items", r#"{"items":[],"meta":{"total":"many"}}"#);
    assert!(total.contains("`meta.total`") && total.contains("paginator.total_path"), "{total}");
    let pointers = pointers_to("items", "meta.next_page");
    let body = r#"{"items":[1],"meta":{"next_pag":"x"}}"#;
    assert_eq!(pointers.read(body, false).unwrap().cursor, Signal::Misspelt);
    let said = pointers.explain(Want::Cursor, body);
    assert!(said.contains("`meta` has the keys `next_pag`; did you mean `next_pag`?"), "{said}");
}

#[test]
fn null_is_not_an_empty_list_unless_the_source_says_so() {
    for (selector, body) in
        [("items", r#"{"items":null}"#), ("a.0.items", r#"{"a":[{"items":null}]}"#), ("", "null")]
    {
        assert!(matches!(read(selector, body), Err(FactsError::NullList { .. })), "{body}");
    }
    assert_eq!(count("items", r#"{"items":null,"meta":{"total":0}}"#), 0, "the total agrees");
    let records =
        Records { null_list: NoList::NoRecords, selector: "items".parse().unwrap(), ..Records::default() };
    let paginator = Paginator::None { total_path: None, has_more_path: None };
    let pointers = Pointers::new(&paginator, &records, Identity::default());
    assert_eq!(pointers.read(r#"{"items":null}"#, false).unwrap().records.len(), 0);
}

#[test]
fn a_success_that_says_it_failed_is_a_failure() {
    let failed = r#"{"items":[],"errors":[{"message":"try later"}],"success":false}"#;
    let error = read("items", failed).unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("`errors` is `[{\"message\""), "{error}");
    assert!(
        pointers_to("items", "meta.next").read(failed, true).is_ok(),
        "the source's description outranks it"
    );
    assert_eq!(count("items", r#"{"items":[],"errors":[],"error":null,"success":true,"status":"ok"}"#), 0);
    assert_eq!(
        count("items", r#"{"items":[{"status":"error","success":false}]}"#),
        1,
        "a record's own fields"
    );
}

#[test]
fn what_may_pass_is_told_apart() {
    for cut in [r#"{"items":[{"a":1},{"a""#, "", " \n", "["] {
        assert!(read("items", cut).unwrap_err().may_pass(), "{cut}");
    }
    for wrong in ["<html></html>", r#"{"items":[1,]}"#, r#"{"items":[]} x"#] {
        assert!(!read("items", wrong).unwrap_err().may_pass(), "{wrong}");
    }
    assert_eq!(count("items", &format!(r#"{{"x":{},"items":[1]}}"#, deep(100_000))), 1);
}

fn deep(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
