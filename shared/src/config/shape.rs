//! Checks a tree against a JSON Schema: unknown and missing keys, wrong types, unknown values. Pure.
//!
//! Only the part of JSON Schema that our own raw structs lead to is understood. What is right comes out as
//! JSON, without what is wrong, so that the rules behind the shape can be checked all the same.

use serde_json::{Map, Value as Json};

use super::{
    document::Wrong,
    nearest,
    tree::{Key, Meaning, Mistake, Node, Position, Scalar, Value},
};

/// What a text means, and what is wrong with it.
pub(super) type Means = fn(&str, &str) -> Result<(), Wrong>;

/// The JSON of `node` as far as it fits `schema`, and all that does not.
///
/// `means` judges texts by the `x-means` of their schema. What is of the right type but means nothing, or is out
/// of range, comes out as well: it hides no other fault.
pub(super) fn fit(schema: &Json, node: &Node, means: Means) -> (Option<Json>, Vec<Mistake>) {
    let mut walk = Walk { root: schema, means, path: Vec::new(), mistakes: Vec::new() };
    let json = walk.value(schema, node);
    (json, walk.mistakes)
}

struct Walk<'a> {
    root: &'a Json,
    means: Means,
    path: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Json, node: &Node) -> Option<Json> {
        let schema = self.resolve(schema, node);
        if matches!(node.value, Value::Broken) {
            return None;
        }
        if schema.get("x-secret").is_some() && !matches!(node.value, Value::Map(_)) {
            return self.literal_secret(node);
        }
        if let Some(variants) = tagged(schema) {
            return self.variant(&variants, node);
        }
        if let Some(allowed) = choices(schema) {
            return self.choice(&allowed, node);
        }
        match &node.value {
            Value::Map(entries) if allows(schema, "object") => self.object(schema, node.at, entries, &[]),
            Value::List(items) if allows(schema, "array") => self.list(schema, node.at, items),
            Value::Scalar(scalar) => self.scalar(schema, node, scalar),
            _ => self.wrong_type(schema, node),
        }
    }

    /// Follows references, and for `anyOf` takes the one that the node can only mean: null or not, a map or not.
    fn resolve(&self, schema: &'a Json, node: &Node) -> &'a Json {
        let mut schema = schema;
        loop {
            if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
                schema =
                    name.strip_prefix('#').and_then(|path| self.root.pointer(path)).unwrap_or(&Json::Null);
            } else if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
                let null = |option: &&Json| option.get("type").and_then(Json::as_str) == Some("null");
                let nothing = node.describe() == "nothing";
                let fits = || options.iter().filter(|option| null(option) == nothing);
                // a word or a map: the map is for what is written as one
                let map = matches!(node.value, Value::Map(_));
                let by_shape = fits().find(|option| self.takes_map(option) == map);
                let Some(chosen) = by_shape.or_else(|| fits().next()) else {
                    return schema;
                };
                schema = chosen;
            } else {
                return schema;
            }
        }
    }

    /// Whether a schema behind references describes a map.
    fn takes_map(&self, schema: &'a Json) -> bool {
        let mut schema = schema;
        while let Some(path) =
            schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'))
        {
            schema = self.root.pointer(path).unwrap_or(&Json::Null);
        }
        allows(schema, "object") || tagged(schema).is_some()
    }

    fn mistake(&mut self, at: Position, message: String, hint: Option<String>) {
        self.mistakes.push(Mistake { at, path: self.path.clone(), message, hint });
    }

    /// What a list's item is called is the list's name: its own is a number.
    fn name(&self) -> String {
        let named = self.path.iter().rfind(|name| name.parse::<usize>().is_err());
        named.map_or_else(|| "the file".to_owned(), |name| format!("`{name}`"))
    }

    fn object(
        &mut self,
        schema: &'a Json,
        at: Position,
        entries: &[(Key, Node)],
        tags: &[&str],
    ) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let names: Vec<&str> =
            properties.map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default();
        let mut out = Map::new();
        let mut meant = Vec::new();
        for (key, node) in entries {
            let inner = properties
                .and_then(|all| all.get(&key.name))
                .or_else(|| schema.get("additionalProperties").filter(|inner| inner.is_object()));
            if tags.contains(&key.name.as_str()) {
                continue;
            }
            let Some(inner) = inner else {
                meant.extend(nearest::nearest(&key.name, names.iter().copied()));
                let hint = nearest::hint(&key.name, "keys here", &names);
                self.mistake(key.at, format!("unknown key `{}`", key.name), hint);
                continue;
            };
            self.path.push(key.name.clone());
            if let Some(json) = self.value(inner, node) {
                out.insert(key.name.clone(), json);
            }
            self.path.pop();
        }
        self.missing(schema, at, entries, &meant);
        let required = required(schema);
        required
            .iter()
            .all(|name| tags.contains(name) || out.contains_key(*name))
            .then_some(Json::Object(out))
    }

    fn missing(&mut self, schema: &'a Json, at: Position, entries: &[(Key, Node)], meant: &[&str]) {
        for name in required(schema) {
            // a misspelt key has its fault already
            if meant.contains(&name) || entries.iter().any(|(key, _)| key.name == name) {
                continue;
            }
            let property = schema.get("properties").and_then(|all| all.get(name));
            let about = property.and_then(|found| found.get("description")).and_then(Json::as_str);
            let hint = about.map(|text| format!("{name}: {}", first_sentence(text)));
            self.mistake(at, format!("missing key `{name}`"), hint);
        }
    }

    fn list(&mut self, schema: &'a Json, at: Position, items: &[Node]) -> Option<Json> {
        let inner = schema.get("items")?;
        self.length(schema, at, items.len(), ["minItems", "maxItems"], "entry");
        let mut out = Vec::new();
        for (index, item) in items.iter().enumerate() {
            self.path.push(index.to_string());
            out.extend(self.value(inner, item));
            self.path.pop();
        }
        Some(Json::Array(out))
    }

    fn scalar(&mut self, schema: &'a Json, node: &Node, scalar: &Scalar) -> Option<Json> {
        let text = allows(schema, "string");
        let other = ["number", "integer", "boolean"].into_iter().any(|kind| allows(schema, kind));
        match scalar.meaning() {
            // quotes and variables say nothing about the type
            Meaning::Nothing if allows(schema, "null") => Some(Json::Null),
            Meaning::Nothing if !(text && scalar.filled) => self.wrong_type(schema, node),
            Meaning::Bool(value) if allows(schema, "boolean") && !text => Some(Json::Bool(value)),
            Meaning::Number(number) if allows(schema, "number") && !text => Some(Json::Number(number)),
            Meaning::Number(number) if allows(schema, "integer") && !text => {
                self.integer(schema, node, number)
            }
            Meaning::Bool(_) | Meaning::Number(_) if !(scalar.filled || text && other) => {
                self.wrong_type(schema, node)
            }
            _ if text => Some(self.text(schema, node, &scalar.text)),
            _ => self.wrong_type(schema, node),
        }
    }

    fn integer(&mut self, schema: &Json, node: &Node, number: serde_json::Number) -> Option<Json> {
        let bound = |name: &str| schema.get(name).and_then(Json::as_u64);
        let by_format = match schema.get("format").and_then(Json::as_str) {
            Some("uint32") => Some(u64::from(u32::MAX)),
            _ => None,
        };
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").or(by_format));
        let value = number.as_u64();
        if value.is_some_and(|n| n >= least && most.is_none_or(|most| n <= most)) {
            return Some(Json::Number(number));
        }
        let range = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("a whole number from {least} to {most}"),
            None => format!("a whole number of at least {least}"),
        };
        self.mistake(node.at, format!("{} must be {range}, not {number}", self.name()), None);
        value.filter(|n| by_format.is_none_or(|most| *n <= most)).map(Json::from)
    }

    /// `least` and `most` name the bounds in the schema.
    fn length(&mut self, schema: &Json, at: Position, found: usize, [least, most]: [&str; 2], of: &str) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_u64);
        let found = found as u64;
        let wanted = match (bound(least), bound(most)) {
            (Some(1), _) if found == 0 => "must not be empty".to_owned(),
            (Some(least), _) if found < least => {
                format!("must have at least {least}, not {found} of one {of}")
            }
            (_, Some(most)) if found > most => format!("must have at most {most}, not {found} of one {of}"),
            _ => return,
        };
        self.mistake(at, format!("{} {wanted}", self.name()), None);
    }

    fn text(&mut self, schema: &Json, node: &Node, text: &str) -> Json {
        self.length(schema, node.at, text.chars().count(), ["minLength", "maxLength"], "character");
        let means = schema.get("x-means").and_then(Json::as_str);
        if let Some(Err(Wrong { message, hint })) = means.map(|means| (self.means)(means, text)) {
            self.mistake(node.at, message, hint);
        }
        Json::String(text.to_owned())
    }

    fn choice(&mut self, allowed: &[&str], node: &Node) -> Option<Json> {
        let Value::Scalar(scalar) = &node.value else {
            let message =
                format!("{} must be one of {}, not {}", self.name(), allowed.join(", "), node.describe());
            self.mistake(node.at, message, None);
            return None;
        };
        if allowed.contains(&scalar.text.as_str()) {
            return Some(Json::String(scalar.text.clone()));
        }
        let near = nearest::nearest(&scalar.text, allowed.iter().copied());
        let near = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        // signs are told from the commas between them by quotes
        let shown = |name: &&str| if is_word(name) { (*name).to_owned() } else { format!("{name:?}") };
        let hint = format!("{near}allowed: {}", allowed.iter().map(shown).collect::<Vec<_>>().join(", "));
        self.mistake(node.at, format!("{}: unknown value `{}`", self.name(), scalar.written), Some(hint));
        None
    }

    fn variant(&mut self, variants: &[(&'a str, &'a str, &'a Json)], node: &Node) -> Option<Json> {
        let (tag, _, first) = *variants.first()?;
        let Value::Map(entries) = &node.value else { return self.wrong_type(first, node) };
        let names: Vec<&str> = variants.iter().map(|(_, name, _)| *name).collect();
        let Some(found) = node.get(tag) else {
            let hint = format!("{tag}: {}", names.join(", "));
            self.mistake(node.at, format!("missing key `{tag}` in {}", self.name()), Some(hint));
            return None;
        };
        if matches!(found.value, Value::Broken) {
            return None;
        }
        self.path.push(tag.to_owned());
        let chosen = self.choice(&names, found);
        self.path.pop();
        let chosen = chosen?;
        let (_, _, schema) = variants.iter().find(|(_, name, _)| chosen.as_str() == Some(name))?;
        let mut out = self.object(schema, node.at, entries, &[tag])?;
        out.as_object_mut()?.insert(tag.to_owned(), chosen);
        Some(out)
    }

    fn wrong_type(&mut self, schema: &Json, node: &Node) -> Option<Json> {
        let wanted: Vec<&str> = types(schema).into_iter().filter_map(type_in_words).collect();
        let message = format!("{} must be {}, not {}", self.name(), wanted.join(" or "), node.describe());
        let quotes = allows(schema, "string")
            && matches!(&node.value, Value::Scalar(s) if s.meaning() != Meaning::Nothing);
        self.mistake(node.at, message, quotes.then(|| "put it in quotes if it is meant as text".to_owned()));
        None
    }

    /// The value itself must not be shown.
    fn literal_secret(&mut self, node: &Node) -> Option<Json> {
        let name = self.name();
        let hint = "write `{ secret: NAME }` and put the value under that name into credentials.yaml, or into \
                    NSTORE_SECRET_NAME";
        self.mistake(node.at, format!("{name} must name a secret, not hold one"), Some(hint.to_owned()));
        None
    }
}

fn is_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => vec![],
    }
}

fn allows(schema: &Json, kind: &str) -> bool {
    types(schema).contains(&kind)
}

fn type_in_words(name: &str) -> Option<&'static str> {
    match name {
        "object" => Some("a map"),
        "array" => Some("a list"),
        "string" => Some("text"),
        "number" => Some("a number"),
        "integer" => Some("a whole number"),
        "boolean" => Some("true or false"),
        _ => None,
    }
}

fn required(schema: &Json) -> Vec<&str> {
    let names = schema.get("required").and_then(Json::as_array);
    names.map(|names| names.iter().filter_map(Json::as_str).collect()).unwrap_or_default()
}

fn first_sentence(text: &str) -> String {
    text.split('\n').next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// The allowed values of an enum without data.
fn choices(schema: &Json) -> Option<Vec<&str>> {
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        return Some(values.iter().filter_map(Json::as_str).collect());
    }
    if let Some(value) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![value]);
    }
    let parts: Option<Vec<Vec<&str>>> = schema.get("oneOf")?.as_array()?.iter().map(choices).collect();
    parts.map(|parts| parts.concat())
}

/// The variants of an enum with a tag: the tag's key, its value, the variant's schema.
fn tagged(schema: &Json) -> Option<Vec<(&str, &str, &Json)>> {
    let variant = |one| -> Option<(&str, &str, &Json)> {
        let properties = Json::get(one, "properties")?.as_object()?;
        let (tag, value) =
            properties.iter().find_map(|(key, value)| Some((key, value.get("const")?.as_str()?)))?;
        Some((tag, value, one))
    };
    schema.get("oneOf")?.as_array()?.iter().map(variant).collect()
}
