//! Answers of status 200 that say in their body that they failed, and fields that speak of a list's end. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Fields at the top of an answer by which it may say that it failed.
pub(super) const FIELDS: [&str; 7] =
    ["errors", "error", "success", "ok", "status", "statusCode", "status_code"];

/// Parts of names that speak of a list's end.
const END_WORDS: [&str; 7] = ["next", "cursor", "more", "total", "count", "pages", "last"];

/// Whether the value of one of [`FIELDS`] says that the request failed.
pub(super) fn says_so(field: &str, raw: &str) -> bool {
    let text = raw.trim_matches('"').to_ascii_lowercase();
    match field {
        "success" | "ok" => matches!(text.as_str(), "false" | "0" | "no"),
        "status" | "statusCode" | "status_code" => {
            let code = text.parse::<u16>().is_ok_and(|code| (400..600).contains(&code));
            code || matches!(text.as_str(), "error" | "fail" | "failed" | "failure")
        }
        // nothing, or a list or object with nothing in it, is not an error
        _ => {
            let inside = text.trim_start_matches(['[', '{']).trim_end_matches([']', '}']).trim();
            !matches!(inside, "" | "null" | "false" | "0" | "none")
        }
    }
}

/// Fields of an answer that may say whether its list goes on: paths with their values, those at the top and one level
/// below it.
pub(super) fn end_fields(body: &str) -> Vec<String> {
    type Fields<'a> = BTreeMap<String, &'a RawValue>;
    let Ok(top) = serde_json::from_str::<Fields<'_>>(body) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in &top {
        match serde_json::from_str::<Fields<'_>>(value.get()) {
            Ok(inner) => found.extend(
                inner.iter().filter_map(|(key, value)| end_field(&format!("{name}.{key}"), key, value)),
            ),
            Err(_) => found.extend(end_field(name, name, value)),
        }
    }
    found
}

fn end_field(path: &str, name: &str, value: &RawValue) -> Option<String> {
    let (name, raw) = (name.to_lowercase(), value.get());
    let speaks = END_WORDS.iter().any(|word| name.contains(word));
    let is_scalar = !raw.starts_with(['[', '{']);
    let shown: String = raw.chars().take(60).collect();
    (speaks && is_scalar).then(|| format!("`{path}`: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_from_a_success() {
        for (field, raw) in [
            ("errors", r#"[{"message":"x"}]"#),
            ("errors", r#""broken""#),
            ("error", r#"{"code":5}"#),
            ("error", "true"),
            ("success", "false"),
            ("success", r#""false""#),
            ("ok", "false"),
            ("status", r#""ERROR""#),
            ("status", r#""failed""#),
            ("status", "500"),
            ("statusCode", "404"),
        ] {
            assert!(says_so(field, raw), "{field}: {raw}");
        }
        for (field, raw) in [
            ("errors", "[]"),
            ("errors", "{ }"),
            ("errors", "null"),
            ("errors", "0"),
            ("error", "null"),
            ("error", "false"),
            ("error", r#""""#),
            ("success", "true"),
            ("success", r#""yes""#),
            ("ok", "true"),
            ("status", r#""ok""#),
            ("status", "200"),
            ("status", r#""open""#),
            ("status", "0"),
        ] {
            assert!(!says_so(field, raw), "{field}: {raw}");
        }
    }

    #[test]
    fn fields_that_speak_of_the_end_are_named() {
        let body =
            r#"{"count":250,"next":"http://h/?page=2","results":[1],"meta":{"total_pages":3,"took_ms":1}}"#;
        assert_eq!(
            end_fields(body),
            ["`count`: 250", "`meta.total_pages`: 3", r#"`next`: "http://h/?page=2""#]
        );
        assert!(end_fields("[1,2]").is_empty());
    }
}
