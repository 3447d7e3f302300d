//! Fills `${VAR}` and `${VAR:-default}` in on the scalars of a tree; `$${` stands for a plain `${`. Pure.

use super::tree::{Mistake, Node, Position, Value};

/// Looks a variable up.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in all scalars below `root`; what cannot be filled in becomes [`Value::Broken`] and a mistake.
pub(super) fn fill(root: &mut Node, env: Env<'_>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    visit(root, env, &mut Vec::new(), &mut mistakes);
    mistakes
}

fn visit(node: &mut Node, env: Env<'_>, path: &mut Vec<String>, mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Value::Broken => {}
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                visit(item, env, path, mistakes);
                path.pop();
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                path.push(key.name.clone());
                visit(value, env, path, mistakes);
                path.pop();
            }
        }
        Value::Scalar(scalar) => match filled(&scalar.written, env) {
            Ok(None) => {}
            Ok(Some((text, filled))) => {
                scalar.text = text;
                scalar.filled = filled;
            }
            Err(found) => {
                mistakes.extend(found.into_iter().map(|wrong| wrong.place(node.at, path)));
                node.value = Value::Broken;
            }
        },
    }
}

struct Wrong {
    message: String,
    hint: String,
}

impl Wrong {
    fn place(self, at: Position, path: &[String]) -> Mistake {
        Mistake { at, path: path.to_vec(), message: self.message, hint: Some(self.hint) }
    }
}

/// The text with its variables filled in, and whether there were any; `None` when nothing changes.
fn filled(text: &str, env: Env<'_>) -> Result<Option<(String, bool)>, Vec<Wrong>> {
    if !text.contains("${") {
        return Ok(None);
    }
    let (mut out, mut rest, mut any, mut wrong) = (String::new(), text, false, Vec::new());
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            let hint = "close it with `}`, or write `$${` for a plain `${`".to_owned();
            wrong.push(Wrong { message: "`${` without `}`".to_owned(), hint });
            return Err(wrong);
        };
        match value(&rest[start + 2..start + length], env) {
            Ok(value) => out.push_str(&value),
            Err(found) => wrong.push(found),
        }
        any = true;
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    if wrong.is_empty() { Ok(Some((out, any))) } else { Err(wrong) }
}

fn value(inside: &str, env: Env<'_>) -> Result<String, Wrong> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !valid {
        return Err(Wrong {
            message: format!("`${{{name}}}` names no environment variable"),
            hint: "write `${NAME}` or `${NAME:-default}`, or `$${` for a plain `${`".to_owned(),
        });
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Wrong {
            message: format!("environment variable `{name}` is not set"),
            hint: format!("set it, or write `${{{name}:-default}}`"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.org".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn text(input: &str) -> Result<String, String> {
        match filled(input, &env) {
            Ok(found) => Ok(found.map_or(input.to_owned(), |(text, _)| text)),
            Err(wrong) => Err(wrong.into_iter().map(|w| w.message).collect::<Vec<_>>().join("; ")),
        }
    }

    #[test]
    fn variables_defaults_and_escapes() {
        assert_eq!(text("https://${HOST}/x").unwrap(), "https://example.org/x");
        assert_eq!(text("${PORT:-80}${HOST:-no}").unwrap(), "80example.org");
        assert_eq!(text("${EMPTY:-full}|${EMPTY}").unwrap(), "full|");
        assert_eq!(text("$${HOST} costs $5").unwrap(), "${HOST} costs $5");
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        assert_eq!(
            text("${A}${B}").unwrap_err(),
            "environment variable `A` is not set; environment variable `B` is not set"
        );
        assert_eq!(text("${A").unwrap_err(), "`${` without `}`");
        assert_eq!(text("${1A}").unwrap_err(), "`${1A}` names no environment variable");
        assert_eq!(text("${}").unwrap_err(), "`${}` names no environment variable");
    }
}
