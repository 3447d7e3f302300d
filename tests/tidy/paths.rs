//! The paths that a file names: those of its `use` trees, flattened, and those inside its code.

use super::source::Source;

/// A path such as `nstore_shared::redis::queue`, from its root on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// The line where it starts, from 1.
    pub(super) line: usize,
    /// Its parts; a glob is `*`.
    pub(super) parts: Vec<String>,
    /// Whether a `use` names it.
    pub(super) imported: bool,
}

/// All paths outside test parts, but for those that start at a module which the file declares, and inside code at a
/// name that it imports.
pub(super) fn named_paths(source: &Source) -> Vec<NamedPath> {
    let tokens = tokens(source);
    let mut paths = Vec::new();
    let (mut locals, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        match tokens[at].text.as_str() {
            // `use<'a>` behind a type is no import
            "use" if tokens.get(at + 1).is_none_or(|token| token.text != "<") => {
                at += 1;
                tree(&tokens, &mut at, &[], &mut paths, &mut locals);
            }
            "mod" if tokens.get(at + 1).is_some_and(Token::is_name) => {
                modules.push(tokens[at + 1].text.clone());
                at += 2;
            }
            "extern" if tokens.get(at + 1).is_some_and(|token| token.text == "crate") => {
                at += 2;
                tree(&tokens, &mut at, &[], &mut paths, &mut locals);
            }
            _ if begins_path(&tokens, at) => {
                let parts = plain_path(&tokens, &mut at);
                if parts.len() > 1 {
                    paths.push(NamedPath { line: tokens[start].line, parts, imported: false });
                }
            }
            _ => at += 1,
        }
    }
    paths.retain(|path| !modules.contains(&path.parts[0]));
    paths.retain(|path| path.imported || !locals.contains(&path.parts[0]));
    paths
}

struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// Names, `::`, and every other character for itself.
fn tokens(source: &Source) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, code) in source.production() {
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
            let length = match first {
                _ if word > 0 => word,
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { line, text: rest[..length].to_owned() });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Reads one tree of a `use`, up to the `;`, `,` or `}` behind it.
fn tree(
    tokens: &[Token],
    at: &mut usize,
    above: &[String],
    paths: &mut Vec<NamedPath>,
    locals: &mut Vec<String>,
) {
    let mut parts = above.to_vec();
    let line = tokens.get(*at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(*at) {
        match token.text.as_str() {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| !matches!(token.text.as_str(), "}" | ";")) {
                    tree(tokens, at, &parts, paths, locals);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token.text == ","));
                }
                *at += 1;
                return;
            }
            ";" | "," | "}" => break,
            "as" => {
                locals.extend(tokens.get(*at + 1).map(|alias| alias.text.clone()));
                *at += 1;
            }
            "::" => {}
            // `self` at the end of a tree names what stands before it
            "self" if !parts.is_empty() => {}
            part => parts.push(part.to_owned()),
        }
        *at += 1;
    }
    // `use redis;` makes no other name of it
    locals.extend(parts.last().filter(|_| parts.len() > 1).cloned());
    if !parts.is_empty() {
        paths.push(NamedPath { line, parts, imported: true });
    }
}

/// True at the first name of a path: not behind a `.`, nor behind a `::` that itself follows something.
fn begins_path(tokens: &[Token], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|index| &tokens[index]);
    let continues = match before(1).map(|token| token.text.as_str()) {
        Some(".") => true,
        Some("::") => before(2).is_some_and(|token| token.is_name() || token.text == ">"),
        _ => false,
    };
    tokens[at].is_name() && !continues
}

fn plain_path(tokens: &[Token], at: &mut usize) -> Vec<String> {
    let mut parts = vec![tokens[*at].text.clone()];
    *at += 1;
    while let [colons, name, ..] = &tokens[*at..] {
        if colons.text != "::" || !name.is_name() {
            break;
        }
        parts.push(name.text.clone());
        *at += 2;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::new("shared/src/x.rs", text);
        named_paths(&source)
            .into_iter()
            .map(|path| format!("{} {}", path.line, path.parts.join("::")))
            .collect()
    }

    #[test]
    fn trees_are_flattened() {
        let text = "pub use a::{\n    b,\n    c::{self, d as e, *},\n};\nuse f;\nuse ::g::h;\n";
        assert_eq!(paths(text), ["2 a::b", "3 a::c", "3 a::c::d", "3 a::c::*", "5 f", "6 g::h"]);
    }

    #[test]
    fn what_is_no_import_does_not_end_in_a_loop() {
        let text = "fn f<'a>() -> impl Send + use<'a> {\n    a::b();\n    c();\n}\nuse d::{e;\n";
        assert_eq!(paths(text), ["2 a::b", "5 d::e"]);
    }

    #[test]
    fn paths_in_code_count_unless_their_first_name_is_the_files_own() {
        let text =
            "use crate::redis;\nfn f(x: redis::Queue) { x.tokio::<u8>(); ::serde::de(); tokio::spawn(y) }\n";
        assert_eq!(paths(text), ["1 crate::redis", "2 serde::de", "2 tokio::spawn"]);
    }
}
