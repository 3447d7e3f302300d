//! What holds for any page.

use proptest::prelude::*;

use super::*;

/// Any JSON value, a few levels deep.
pub(super) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // quarters: other floats do not come back the same from a tree
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        r#"[a,"\\.\r\n0-9T:é😀\x00-]{0,12}"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = "id|amount|fee|rate|captured|day|created_at|card|last4|notes|x";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Nothing panics, nothing is lost: each record is a row, a reject, or outside.
    #[test]
    fn every_record_has_one_fate(records in prop::collection::vec(any_json(), 0..6)) {
        let body = serde_json::to_string_pretty(&serde_json::json!({"data": {"items": records}})).unwrap();
        let refined = refine(&every_type(), "data.items", body).unwrap();
        let figures = refined.figures;
        prop_assert_eq!(figures.records, records.len() as u64);
        prop_assert_eq!(figures.records, figures.rows + figures.rejected + figures.outside);
        prop_assert_eq!(figures.rows, refined.lines.len() as u64);
        prop_assert_eq!(figures.rejected, refined.rejects.len() as u64);
        for reject in &refined.rejects {
            let record = serde_json::from_str(reject.record.get()).unwrap();
            prop_assert!(records.contains(&record), "{}", reject.reason);
        }
        prop_assert!(refined.lines.iter().all(|line| line.len() == 10));
    }

    #[test]
    fn texts_and_documents_read_back(text in any::<Option<String>>(), document in any_json()) {
        let plain = text.map(|text| text.replace('\0', ""));
        let both = contract(vec![column("t", "t", ColumnType::Text), column("d", "d", ColumnType::Jsonb)]);
        let body = serde_json::json!([{"t": plain, "d": document}]).to_string();
        let holds_nul = body.contains("\\u0000");
        let refined = refine(&both, "", body).unwrap();
        if let [line] = refined.lines.as_slice() {
            prop_assert_eq!(&line[0], &plain);
            let read = line[1].as_ref().map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap());
            prop_assert_eq!(read, document);
        } else {
            prop_assert!(holds_nul);
        }
    }

    #[test]
    fn any_bytes_are_a_page_or_an_error(body in prop::collection::vec(any::<u8>(), 0..40), json in r#"[\[\]{}",:a0-9\\u ]{0,30}"#) {
        let _ = refine(&every_type(), "", body);
        let _ = refine(&every_type(), "a", json);
    }
}
