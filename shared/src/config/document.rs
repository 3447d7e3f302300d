//! One file: its tree, its faults so far, and the places of its values.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    Fault,
    check::value,
    fill::{self, Env},
    shape,
    tree::{self, Mistake, Node, Position, Value},
};

/// What is wrong with a value, before its place is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    /// A message and a hint.
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }
}

/// One file that could be read, right or wrong.
pub(super) struct Document {
    /// Where it lies.
    pub(super) file: PathBuf,
    root: Node,
    mistakes: Vec<Mistake>,
}

impl Document {
    /// Parses a text and fills its variables in.
    pub(super) fn new(file: &Path, text: &str, env: Env<'_>) -> Self {
        let (root, mistakes) = match tree::parse(text) {
            Ok((mut root, mut mistakes)) => {
                mistakes.extend(fill::fill(&mut root, env));
                (root, mistakes)
            }
            Err(mistake) => (Node { at: mistake.at, value: Value::Broken }, vec![mistake]),
        };
        Self { file: file.to_owned(), root, mistakes }
    }

    /// False when the text was no YAML at all.
    pub(super) fn is_yaml(&self) -> bool {
        self.root.value != Value::Broken
    }

    /// The tree.
    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Gives a key of the root another name and value, so that its fault is not told twice.
    pub(super) fn rename(&mut self, name: &str, new: &str, text: &str) {
        let Value::Map(entries) = &mut self.root.value else { return };
        let taken = name != new && entries.iter().any(|(key, _)| key.name == new);
        entries.retain(|(key, _)| key.name != name || !taken);
        if let Some((key, node)) = entries.iter_mut().find(|(key, _)| key.name == name) {
            new.clone_into(&mut key.name);
            node.value = tree::scalar(text);
        }
    }

    /// What the file holds, as far as its shape is right; the rest becomes faults.
    pub(super) fn read<T: DeserializeOwned + JsonSchema>(&mut self) -> Option<T> {
        let schema = schemars::schema_for!(T).to_value();
        let (json, mistakes) = shape::fit(&schema, &self.root, value::check);
        self.mistakes.extend(mistakes);
        match serde_json::from_value(json?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(&[], format!("not understood: {error}"), None);
                None
            }
        }
    }

    /// The place of the value under a path, or of the nearest thing around it.
    pub(super) fn at(&self, path: &[&str]) -> Position {
        let mut node = &self.root;
        for name in path {
            let Some(inner) = inside(node, name) else { break };
            node = inner;
        }
        node.at
    }

    fn node(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, name| inside(node, name))
    }

    /// The place of the key at the end of a path.
    fn key_at(&self, path: &[&str]) -> Position {
        let Some((last, way)) = path.split_last() else { return self.root.at };
        self.node(way).and_then(|node| node.entry(last)).map_or_else(|| self.at(path), |(key, _)| key.at)
    }

    /// True when the value under a path stands in the file.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.node(path).is_some()
    }

    /// The keys of the map under a path.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<String> {
        match self.node(path).map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => vec![],
        }
    }

    /// `config/sources/x.yaml:12`, for a value that stands in the file.
    pub(super) fn origin(&self, path: &[&str]) -> String {
        format!("{}:{}", self.file.display(), self.at(path).0)
    }

    /// Adds a fault at the value under a path.
    pub(super) fn fault(&mut self, path: &[&str], message: impl Into<String>, hint: Option<String>) {
        self.push(self.at(path), path, message.into(), hint);
    }

    /// The value, or a fault at its path and what stands in for it until all faults are known.
    pub(super) fn take<T>(&mut self, path: &[&str], found: Result<T, Wrong>, instead: T) -> T {
        found.unwrap_or_else(|wrong| {
            self.fault(path, wrong.message, wrong.hint);
            instead
        })
    }

    /// Adds a fault at the key at the end of a path.
    pub(super) fn fault_at_key(&mut self, path: &[&str], message: impl Into<String>, hint: Option<String>) {
        self.push(self.key_at(path), path, message.into(), hint);
    }

    fn push(&mut self, at: Position, path: &[&str], message: String, hint: Option<String>) {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        self.mistakes.push(Mistake { at, path, message, hint });
    }

    /// True when nothing at or below a path has a fault; before that, rules over several keys would
    /// only repeat it.
    pub(super) fn clean(&self, path: &[&str]) -> bool {
        let below = |mistake: &Mistake| {
            mistake.path.len() >= path.len()
                && mistake.path.iter().zip(path).all(|(found, wanted)| found == wanted)
        };
        !self.mistakes.iter().any(below)
    }

    /// A fault to be, such as a warning, at the value under a path.
    pub(super) fn remark(&self, path: &[&str], message: String, hint: Option<String>) -> Fault {
        Fault { file: self.file.clone(), at: Some(self.at(path)), message, hint }
    }

    /// All faults, of the sections named or of all.
    pub(super) fn into_faults(self, sections: Option<&[&str]>) -> Vec<Fault> {
        let wanted = |path: &[String]| match (sections, path.first()) {
            (Some(sections), Some(first)) => sections.contains(&first.as_str()),
            _ => true,
        };
        self.into_placed().into_iter().filter_map(|(path, fault)| wanted(&path).then_some(fault)).collect()
    }

    /// All faults, each with the path of the value that it is about.
    pub(super) fn into_placed(self) -> Vec<(Vec<String>, Fault)> {
        let Self { file, mistakes, .. } = self;
        let placed = |Mistake { at, path, message, hint }| {
            (path, Fault { file: file.clone(), at: Some(at), message, hint })
        };
        mistakes.into_iter().map(placed).collect()
    }
}

/// What a map or a list holds under a name, or a place in it.
fn inside<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    match &node.value {
        Value::List(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
        _ => node.get(name),
    }
}
