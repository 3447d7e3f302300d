//! A path that leads nowhere in the records of a page: what may have been meant. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nstore_shared::config::{
    nearest,
    path::{FieldPath, PathStep, find},
};
use serde_json::value::RawValue;

/// Records that are looked at.
const MAX_RECORDS: usize = 50;
/// Names that a hint lists.
const MAX_NAMES: usize = 10;

/// What may have been meant by a path that none of the records has, as far as the records tell.
pub(super) fn hint(path: &FieldPath, records: &[&RawValue]) -> Option<String> {
    let mut level: Vec<&RawValue> = records.iter().take(MAX_RECORDS).copied().collect();
    if let Some(flat) = path.flat_key() {
        let quoted = FieldPath::key(flat);
        if level.iter().any(|record| matches!(find(quoted.steps(), record), Ok(Some(_)))) {
            return Some(in_quotes(quoted.as_str()));
        }
    }
    for (at, step) in path.steps().iter().enumerate() {
        let next: Vec<&RawValue> = level
            .iter()
            .filter_map(|value| find(std::slice::from_ref(step), value).ok().flatten())
            .filter(|value| value.get() != "null")
            .collect();
        if next.is_empty() {
            // the record says that there is nothing
            if level.iter().any(|value| matches!(find(std::slice::from_ref(step), value), Ok(Some(_)))) {
                return None;
            }
            let (before, behind) = path.steps().split_at(at);
            return match step {
                PathStep::Key(key) => missing_key(before, key, behind, &level),
                PathStep::Where { key, value } => missing_entry(key, value, &level),
            };
        }
        level = next;
    }
    None
}

fn missing_key(before: &[PathStep], key: &str, behind: &[PathStep], level: &[&RawValue]) -> Option<String> {
    let objects = level.iter().filter_map(|value| serde_json::from_str::<Object<'_>>(value.get()).ok());
    let names: BTreeSet<String> = objects.flat_map(BTreeMap::into_keys).collect();
    let way: Option<Vec<&str>> = before.iter().map(only_key).collect();
    let path_to = |name: &str| {
        let way = way.as_ref()?.iter().copied().chain([name]);
        Some(FieldPath::keys(&way.collect::<Vec<_>>()).as_str().to_owned())
    };
    let flat: Option<Vec<&str>> = behind.iter().map(only_key).collect();
    let flat = flat.filter(|keys| keys.len() > 1).map(|keys| keys.join("."));
    if let Some(path) = flat.filter(|flat| names.contains(flat)).and_then(|flat| path_to(&flat)) {
        return Some(in_quotes(&path));
    }
    let nested = key.parse::<FieldPath>().ok().filter(|path| path.steps().len() > 1);
    let leads = |path: &FieldPath| level.iter().any(|value| matches!(find(path.steps(), value), Ok(Some(_))));
    if let Some(path) = nested.filter(leads) {
        return Some(format!("its dots lead into a field: write it without quotes, as in from: {path}"));
    }
    let near = nearest::nearest(key, names.iter().map(String::as_str));
    match near.and_then(path_to) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if names.is_empty() => None,
        None => Some(format!("the keys there are {}", listed(&names))),
    }
}

fn in_quotes(path: &str) -> String {
    format!("its dots belong to the key: write it in quotes, as in from: '{path}'")
}

fn missing_entry(key: &str, value: &str, level: &[&RawValue]) -> Option<String> {
    let lists = level.iter().filter_map(|value| serde_json::from_str::<Vec<&RawValue>>(value.get()).ok());
    let found = lists.flatten().filter_map(|entry| {
        let mut fields = serde_json::from_str::<Object<'_>>(entry.get()).ok()?;
        let found = fields.remove(key)?.get();
        Some(serde_json::from_str::<String>(found).unwrap_or_else(|_| found.to_owned()))
    });
    let values: BTreeSet<String> = found.collect();
    match nearest::nearest(value, values.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean [{key}={near}]?")),
        None if values.is_empty() => Some(format!("no entry there has a field `{key}`")),
        None => Some(format!("the values of `{key}` there are {}", listed(&values))),
    }
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

fn only_key(step: &PathStep) -> Option<&str> {
    match step {
        PathStep::Key(key) => Some(key),
        PathStep::Where { .. } => None,
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    let more = if names.len() > MAX_NAMES { ", …" } else { "" };
    let names: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_meant() {
        let records = r#"[{"id":1,"amount":5,"customer.email":"x","customer":{"nmae":"y"},"card":null,
            "a":{"b.c":1},"fields":[{"name":"status","value":1},{"name":"city","value":2}]},{"id":2,"extra":1}]"#;
        let records: Vec<&RawValue> = serde_json::from_str(records).unwrap();
        let hint = |path: &str| hint(&path.parse().unwrap(), &records).unwrap_or_default();
        assert_eq!(hint("amont"), "did you mean `amount`?");
        assert_eq!(hint("customer.name"), "did you mean `customer.nmae`?");
        assert_eq!(
            hint("customer.email"),
            r#"its dots belong to the key: write it in quotes, as in from: '"customer.email"'"#
        );
        assert_eq!(hint("a.b.c"), r#"its dots belong to the key: write it in quotes, as in from: 'a."b.c"'"#);
        assert_eq!(
            hint(r#""customer.nmae""#),
            "its dots lead into a field: write it without quotes, as in from: customer.nmae"
        );
        assert_eq!(hint("fields[name=stauts].value"), "did you mean [name=status]?");
        assert_eq!(hint("fields[name=elsewhere].value"), "the values of `name` there are `city`, `status`");
        assert_eq!(hint("fields[nome=city].value"), "no entry there has a field `nome`");
        assert_eq!(
            hint("elsewhere"),
            "the keys there are `a`, `amount`, `card`, `customer`, `customer.email`, `extra`, `fields`, `id`"
        );
        assert_eq!(hint("card.last4"), "", "card is null in all of them");
        assert_eq!(hint("id"), "");
    }

    #[test]
    fn one_key_with_dots_is_found_where_no_field_has_its_beginning() {
        let records: Vec<&RawValue> = serde_json::from_str(r#"[{"customer.email":"x"}]"#).unwrap();
        let hint = hint(&"customer.email".parse().unwrap(), &records).unwrap();
        assert!(hint.contains(r#"from: '"customer.email"'"#), "{hint}");
    }
}
