//! A document as indented lines, which read as YAML.

use serde_json::Value;

/// The document's fields, one a line; empty ones are left out.
pub(in crate::commands) fn outline(document: &Value) -> String {
    let mut lines = Vec::new();
    add(document, 0, &mut lines);
    lines.join("\n")
}

fn add(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            // a setting and its origin share a line
            for (name, field) in fields.iter().filter(|(_, field)| !is_empty(field)) {
                match origin(field).or_else(|| scalar(field)) {
                    Some(text) => lines.push(format!("{indent}{name}: {text}")),
                    None => {
                        lines.push(format!("{indent}{name}:"));
                        add(field, depth + 1, lines);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                match scalar(item) {
                    Some(text) => lines.push(format!("{indent}- {text}")),
                    None => lines.push(format!("{indent}- {item}")),
                }
            }
        }
        other => lines.extend(scalar(other).map(|text| format!("{indent}{text}"))),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// `3  # config/sources/a.yaml:3` for what has a value and an origin.
fn origin(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let (value, from) = (fields.get("value")?, fields.get("from")?.as_str()?);
    Some(format!("{}  # {from}", scalar(value)?))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if plain(text) => Some(text.clone()),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        _ => None,
    }
}

/// Whether YAML reads the bare text back as that text.
fn plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let said =
        ["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    starts && !said && text.chars().all(|c| word(c) || c == ' ') && !text.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_as_yaml() {
        let document = serde_json::json!({
            "chunk_days": { "value": 3, "from": "config/sources/a.yaml:3" },
            "empty": {}, "nothing": null,
            "spec": { "about": "orders, all", "key": ["id", "day"], "url": "https://x", "on": "yes" },
            "columns": [{ "name": "id" }]
        });
        insta::assert_snapshot!(outline(&document));
    }
}
