//! A Rust file as the rules see it: code and comments apart, text literals emptied, test parts known.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file, line by line.
pub(super) struct Source {
    /// Its path from the root of the repository, with `/`.
    pub(super) path: String,
    /// Code alone: comments are gone and literals empty. As many lines as the file has.
    pub(super) code: Vec<String>,
    /// Comments alone. As many lines as the file has.
    pub(super) comments: Vec<String>,
    /// Whether a line belongs to a `#[cfg(test)]` part.
    in_test: Vec<bool>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = Lexer::split(text);
        let in_test = test_lines(&code);
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let mut source =
            Self { path: path.to_owned(), code: lines(&code), comments: lines(&comments), in_test };
        if source.is_test_file() {
            source.in_test.fill(true);
        }
        source
    }

    /// Files that hold tests alone: `tests.rs` beside what it tests, and the test binaries of the tests crate.
    fn is_test_file(&self) -> bool {
        let in_rooms = !self.path.starts_with("tests/");
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let binary = self.path.matches('/').count() == 1 && !matches!(name, "lib.rs" | "testbed.rs");
        if in_rooms { name == "tests.rs" || self.path.contains("/tests/") } else { binary }
    }

    /// The lines of code outside test parts, with their numbers from 1.
    pub(super) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().zip(&self.in_test).enumerate();
        lines.filter(|(_, (_, test))| !**test).map(|(index, (line, _))| (index + 1, line.as_str()))
    }

    /// What the file says about itself at its top.
    pub(super) fn header(&self) -> String {
        self.comments.iter().take_while(|line| line.starts_with("//!")).map(String::as_str).collect()
    }
}

/// Every Rust file of the workspace and of the fuzz targets beside it, by path.
pub(super) fn workspace() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for member in ["coordinator", "fuzz", "shared", "tests", "worker"] {
        collect(&root.join(member), &mut files);
    }
    files.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a readable file");
        let path = path.strip_prefix(&root).expect("a path below the root");
        Source::new(path.to_str().expect("a path in UTF-8"), &text)
    };
    files.iter().map(read).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace around the tests").to_owned()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Marks the lines of each item under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut marks = vec![false; code.lines().count()];
    for (start, marker) in code.match_indices("#[cfg(test)]") {
        let end = item_end(code, start + marker.len());
        let line_of = |at: usize| code[..at].matches('\n').count();
        marks[line_of(start)..=line_of(end)].fill(true);
    }
    marks
}

/// Where the item that starts at `from` ends: at its closing brace, or at a `;` before any.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            b';' if depth == 0 => return at,
            _ => {}
        }
    }
    code.len() - 1
}

/// Walks a file once and deals its characters out to code and comments.
struct Lexer<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl<'a> Lexer<'a> {
    fn split(text: &'a str) -> (String, String) {
        let mut lexer = Self { rest: text, code: String::new(), comments: String::new() };
        while !lexer.rest.is_empty() {
            lexer.step();
        }
        (lexer.code, lexer.comments)
    }

    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(end);
        } else if self.rest.starts_with("/*") {
            self.comment(block_end(self.rest));
        } else if let Some(end) = raw_literal_end(self.rest).filter(|_| !self.in_word()) {
            self.literal(end);
        } else if self.rest.starts_with('"') {
            self.literal(text_end(self.rest));
        } else if let Some(end) = char_end(self.rest) {
            self.literal(end);
        } else {
            let next = self.rest.chars().next().unwrap_or_default();
            self.code.push(next);
            if next == '\n' {
                self.comments.push('\n');
            }
            self.rest = &self.rest[next.len_utf8()..];
        }
    }

    /// True inside a name: the `r` of `for"` starts no raw text.
    fn in_word(&self) -> bool {
        self.code.ends_with(|last: char| last.is_alphanumeric() || last == '_')
    }

    fn comment(&mut self, end: usize) {
        self.comments.push_str(&self.rest[..end]);
        self.skip(end, "");
    }

    fn literal(&mut self, end: usize) {
        self.comments.extend(self.rest[..end].chars().filter(|next| *next == '\n'));
        self.skip(end, "\"\"");
    }

    fn skip(&mut self, end: usize, instead: &str) {
        self.code.push_str(instead);
        self.code.extend(self.rest[..end].chars().filter(|next| *next == '\n'));
        self.rest = &self.rest[end..];
    }
}

fn block_end(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// The end of `r"…"`, `br#"…"#` and the like.
fn raw_literal_end(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(inside.find(&close).map_or(text.len(), |at| start + at + close.len()))
}

fn text_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of a character; `None` for a lifetime.
fn char_end(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // the escaped character itself may be a quote
        let skip = escape.chars().next()?.len_utf8();
        return escape[skip..].find('\'').map(|at| 2 + skip + at + 1);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_leave_the_code() {
        let text = "let a = \"use redis; // no\"; // TODO\nlet b = r#\"x\"y\"#; /* a /* b */ c */ 'x'; fn f<'a>() {}\n";
        let source = Source::new("shared/src/x.rs", text);
        assert_eq!(source.code, ["let a = \"\"; ", "let b = \"\";  \"\"; fn f<'a>() {}"]);
        assert_eq!(source.comments, ["// TODO", "/* a /* b */ c */"]);
        let quotes = Source::new("shared/src/x.rs", r"let q = '\''; let d = '\\'; let e = '\u{e9}'; end");
        assert_eq!(quotes.code, ["let q = \"\"; let d = \"\"; let e = \"\"; end"]);
    }

    #[test]
    fn lines_keep_their_numbers_after_long_literals() {
        let source = Source::new("shared/src/x.rs", "a(\"one\ntwo\n\");\nb();\n");
        assert_eq!(source.code.last().map(String::as_str), Some("b();"));
        assert_eq!((source.code.len(), source.comments.len()), (4, 4));
    }

    #[test]
    fn the_test_part_is_known() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod more;\n";
        let source = Source::new("shared/src/x.rs", text);
        let lines: Vec<_> = source.production().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 6]);
    }
}
