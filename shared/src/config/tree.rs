//! A YAML text as a tree in which every key and value knows its line and column. Pure.
//!
//! It stands on the parser's events, not on serde: so every duplicate key is seen, a quoted `"5"` stays
//! apart from a plain `5`, and a fault can be placed even where the value has no use.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

/// Line and column, both from 1.
pub(super) type Position = (usize, usize);

/// More than any honest file holds; aliases of aliases would grow without it.
const MOST_NODES: usize = 100_000;
/// Deeper nesting has no use in any of our files.
const DEEPEST: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Text, a number, true, false or nothing.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
    /// Something that has a fault of its own already.
    Broken,
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: Position,
}

/// A scalar, as written and as meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// With variables filled in.
    pub(super) text: String,
    /// As the file has it: what messages may show.
    pub(super) written: String,
    /// Without quotes, so it may mean a number, true, false or nothing.
    pub(super) plain: bool,
    /// A variable was filled in, so quotes say nothing about its type.
    pub(super) filled: bool,
}

/// What a scalar means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    Nothing,
    Bool(bool),
    Number(serde_json::Number),
    Text,
}

impl Scalar {
    /// What it means by YAML's core schema.
    pub(super) fn meaning(&self) -> Meaning {
        if self.plain || self.filled { resolve(&self.text) } else { Meaning::Text }
    }
}

fn resolve(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Nothing,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        _ => {}
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !numeric || !text.bytes().any(|b| b.is_ascii_digit()) {
        return Meaning::Text;
    }
    let whole = text.parse::<u64>().map(Into::into).or_else(|_| text.parse::<i64>().map(Into::into));
    whole
        .ok()
        .or_else(|| serde_json::Number::from_f64(text.parse().ok()?))
        .map_or(Meaning::Text, Meaning::Number)
}

impl Node {
    /// The value under a key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The key and the value under it.
    pub(super) fn entry(&self, name: &str) -> Option<&(Key, Self)> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// What it is, for a message: never the value itself.
    pub(super) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Map(_) => "a map",
            Value::List(_) => "a list",
            Value::Broken => "nothing usable",
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => "nothing",
                Meaning::Bool(_) => "true or false",
                Meaning::Number(_) => "a number",
                Meaning::Text => "text",
            },
        }
    }
}

/// A mistake of the YAML itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mistake {
    pub(super) at: Position,
    /// The keys on the way to it.
    pub(super) path: Vec<String>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Reads one document; the mistakes are all that could be met on the way.
///
/// # Errors
/// Where and why the text is no YAML at all.
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Mistake>), Mistake> {
    let mut options = Options::default();
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder =
        Builder { parser, anchors: HashMap::new(), nodes: 0, path: Vec::new(), mistakes: Vec::new() };
    let root = builder.document()?;
    Ok((root, builder.mistakes))
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    path: Vec<String>,
    mistakes: Vec<Mistake>,
}

fn position(span: &Span) -> Position {
    (span.start.line().max(1), span.start.col() + 1)
}

fn syntax(error: &ScanError) -> Mistake {
    Mistake {
        at: (error.marker().line().max(1), error.marker().col() + 1),
        path: vec![],
        message: format!("not valid YAML: {}", error.info()),
        hint: None,
    }
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Mistake> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn mistake(&self, at: Position, message: &str, hint: Option<&str>) -> Mistake {
        let (message, hint) = (message.to_owned(), hint.map(str::to_owned));
        Mistake { at, path: self.path.clone(), message, hint }
    }

    fn document(&mut self) -> Result<Node, Mistake> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => {
                    if root.is_some() {
                        let hint = "remove the `---` and what follows it";
                        return Err(self.mistake(
                            position(&span),
                            "a second document in one file",
                            Some(hint),
                        ));
                    }
                }
                event => root = Some(self.node(event, span)?),
            }
        }
        Ok(root.unwrap_or(Node { at: (1, 1), value: scalar("") }))
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Mistake> {
        let at = position(&span);
        self.count(1, at)?;
        let (tag, anchor) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(_, anchor, tag)
            | Event::MappingStart(_, anchor, tag) => (tag.is_some(), *anchor),
            _ => (false, 0),
        };
        if tag {
            let hint = "remove it, or put the value in quotes";
            self.mistakes.push(self.mistake(at, "YAML tags (`!…`) have no meaning here", Some(hint)));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => styled(&text, style),
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            Event::Alias(id) => return self.alias(id, at),
            _ => return Err(self.mistake(at, "not valid YAML: a value is missing", None)),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<Node, Mistake> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(self.mistake(at, "an alias (`*…`) inside what it stands for", None));
        };
        self.count(size(&node), at)?;
        Ok(node)
    }

    fn count(&mut self, more: usize, at: Position) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MOST_NODES {
            return Err(self.mistake(at, &format!("more than {MOST_NODES} values in one file"), None));
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Value, Mistake> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => {
                    self.path.push(items.len().to_string());
                    items.push(self.node(event, span)?);
                    self.path.pop();
                }
            }
        }
    }

    fn map(&mut self) -> Result<Value, Mistake> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = position(&span);
            let name = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.mistake(at, "a key must be plain text", None)),
            };
            let (event, span) = self.next()?;
            self.path.push(name.clone());
            let node = self.node(event, span)?;
            self.path.pop();
            match entries.iter().find(|(key, _)| key.name == name) {
                None => entries.push((Key { name, at }, node)),
                Some((first, _)) => {
                    let message = format!("duplicate key `{name}`");
                    let hint = format!("it stands in line {} already; keep one of the two", first.at.0);
                    self.mistakes.push(self.mistake(at, &message, Some(&hint)));
                }
            }
        }
    }
}

/// A plain scalar.
pub(super) fn scalar(text: &str) -> Value {
    styled(text, ScalarStyle::Plain)
}

fn styled(text: &str, style: ScalarStyle) -> Value {
    let (text, written) = (text.to_owned(), text.to_owned());
    Value::Scalar(Scalar { text, written, plain: style == ScalarStyle::Plain, filled: false })
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
        Value::Scalar(_) | Value::Broken => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Meaning {
        resolve(text)
    }

    #[test]
    fn plain_scalars_mean_what_yaml_says() {
        assert_eq!(meaning("5"), Meaning::Number(5.into()));
        assert_eq!(meaning("-5"), Meaning::Number((-5).into()));
        assert_eq!(meaning("1e3"), Meaning::Number(serde_json::Number::from_f64(1000.0).unwrap()));
        assert_eq!(meaning("~"), Meaning::Nothing);
        assert_eq!(meaning("True"), Meaning::Bool(true));
        for text in ["2025-08-01", "yes", "nan", "inf", "1s", "-", ".", "e", "1e999", "0.1%"] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let (root, mistakes) = parse("a: 1\nb:\n  - x\n  - { c: \"5\" }\n").unwrap();
        assert!(mistakes.is_empty());
        assert_eq!(root.get("a").unwrap().at, (1, 4));
        let (key, list) = root.entry("b").unwrap();
        assert_eq!(key.at, (2, 1));
        let Value::List(items) = &list.value else { panic!("{list:?}") };
        assert_eq!(items[0].at, (3, 5));
        let five = items[1].get("c").unwrap();
        assert_eq!((five.at, five.describe()), ((4, 10), "text"));
    }

    #[test]
    fn all_duplicates_are_found() {
        let (_, mistakes) = parse("a: 1\na: 2\nb: { c: 1, c: 2 }\n").unwrap();
        let found: Vec<_> = mistakes.iter().map(|m| (m.at, m.message.as_str())).collect();
        assert_eq!(found, [((2, 1), "duplicate key `a`"), ((3, 12), "duplicate key `c`")]);
    }

    #[test]
    fn aliases_are_copies_and_cannot_explode() {
        let (root, _) = parse("a: &x { b: 1 }\nc: *x\n").unwrap();
        assert_eq!(root.get("a").unwrap().value, root.get("c").unwrap().value);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        assert!(parse(&bomb).unwrap_err().message.starts_with("more than"));
        assert!(parse("a: &x [*x]").is_err());
    }

    #[test]
    fn what_is_no_yaml_is_one_mistake_with_its_place() {
        let mistake = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(mistake.message.starts_with("not valid YAML: "), "{mistake:?}");
        assert!(mistake.at.0 >= 2);
        assert!(parse(&"[".repeat(1000)).is_err());
        assert!(parse("a: 1\n---\nb: 2\n").unwrap_err().message.contains("second document"));
        assert_eq!(parse("").unwrap().0.describe(), "nothing");
    }
}
