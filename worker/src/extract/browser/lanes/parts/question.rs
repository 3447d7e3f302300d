//! What a page asked, taken apart: what chooses the view, and what chooses a part of it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// Numbers beyond this are times or ids, not places in a list.
const LARGEST_POSITION: u64 = 10_000_000;

/// What a field of a question does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Chooses the view: dates, names, anything that is not known to be one of the others.
    View,
    /// The number of the first row.
    Offset,
    /// The number of the page.
    Page,
    /// How many rows, or up to which.
    Size,
    /// A token that an earlier answer gave.
    Token,
    /// Differs with each question, and changes nothing.
    Noise,
}

/// One field of a question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Field {
    role: Role,
    value: String,
}

/// A question of the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Question {
    fields: BTreeMap<String, Field>,
}

const OFFSETS: [&str; 12] = [
    "offset",
    "skip",
    "start",
    "startrow",
    "startindex",
    "from",
    "begin",
    "firstrow",
    "rowoffset",
    "startat",
    "startposition",
    "recordstart",
];
const PAGES: [&str; 10] =
    ["page", "p", "pg", "pageno", "pagenum", "pagenumber", "pageindex", "currentpage", "curpage", "pagenr"];
const SIZES: [&str; 20] = [
    "limit",
    "top",
    "size",
    "pagesize",
    "perpage",
    "itemsperpage",
    "count",
    "take",
    "length",
    "maxresults",
    "rows",
    "first",
    "end",
    "endrow",
    "endindex",
    "to",
    "lastrow",
    "blocksize",
    "batchsize",
    "rowcount",
];
const TOKENS: [&str; 18] = [
    "cursor",
    "after",
    "before",
    "token",
    "pagetoken",
    "nextpagetoken",
    "nexttoken",
    "continuation",
    "continuationtoken",
    "nextcursor",
    "scrollid",
    "skiptoken",
    "bookmark",
    "marker",
    "pagestate",
    "searchafter",
    "startingafter",
    "restarttokens",
];
const NOISE: [&str; 14] = [
    "_",
    "t",
    "ts",
    "nonce",
    "cb",
    "cachebuster",
    "rnd",
    "rand",
    "random",
    "requestid",
    "reqid",
    "traceid",
    "correlationid",
    "draw",
];

impl Question {
    /// Takes a request apart: the segments of its path, its query, and its body where that is JSON or a form.
    pub(crate) fn read(url: &str, body: Option<&str>) -> Self {
        let mut question = Self::default();
        let Ok(url) = url::Url::parse(url) else { return question };
        question.put("origin".to_owned(), "origin", url.origin().ascii_serialization());
        let mut before = "";
        for (at, segment) in url.path_segments().into_iter().flatten().enumerate() {
            // a number after `rows` or `first` is the id of one
            let name = if PAGES[..].contains(&before) || before == "offset" { before } else { "" };
            question.put(format!("path.{at}"), name, segment.to_owned());
            before = segment;
        }
        for (name, value) in url.query_pairs() {
            question.put(format!("query.{name}"), &name, value.into_owned());
        }
        match body.map(|body| (body, serde_json::from_str::<Value>(body))) {
            Some((_, Ok(value))) => question.flatten("body", "", &value),
            Some((text, Err(_))) if text.contains('=') && !text.contains(['{', '\n']) => {
                for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
                    question.put(format!("body.{name}"), &name, value.into_owned());
                }
            }
            Some((text, Err(_))) => question.put("body".to_owned(), "body", text.to_owned()),
            None => {}
        }
        question
    }

    fn put(&mut self, key: String, name: &str, value: String) {
        self.fields.insert(key, Field { role: role(name, &value), value });
    }

    fn flatten(&mut self, key: &str, name: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    self.flatten(&format!("{key}.{member}"), member, value);
                }
            }
            // the name of a list's entry is the list's
            Value::Array(entries) => {
                for (at, value) in entries.iter().enumerate() {
                    self.flatten(&format!("{key}.{at}"), name, value);
                }
            }
            Value::String(text) => self.put(key.to_owned(), name, text.clone()),
            other => self.put(key.to_owned(), name, other.to_string()),
        }
    }

    fn fields_of(&self, roles: &'static [Role]) -> impl Iterator<Item = (&str, &str)> {
        let wanted = move |field: &Field| roles.contains(&field.role);
        self.fields.iter().filter(move |(_, field)| wanted(field)).map(|(key, field)| (&**key, &*field.value))
    }

    /// What chooses the view.
    pub(crate) fn view(&self) -> BTreeMap<&str, &str> {
        self.fields_of(&[Role::View]).collect()
    }

    /// All that changes the answer.
    pub(crate) fn sense(&self) -> BTreeMap<&str, &str> {
        self.fields_of(&[Role::View, Role::Offset, Role::Page, Role::Size, Role::Token]).collect()
    }

    /// The address without numbers in its path: what questions of one kind share.
    pub(crate) fn address(&self) -> Vec<&str> {
        let numbered = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let path = self.fields.iter().filter(|(key, _)| key.starts_with("path.") || *key == "origin");
        path.map(|(_, field)| if numbered(&field.value) { "#" } else { &*field.value }).collect()
    }

    /// The fields of a role, as numbers.
    pub(crate) fn numbers(&self, role: Role) -> BTreeMap<&str, u64> {
        let of_role = self.fields.iter().filter(|(_, field)| field.role == role);
        of_role.filter_map(|(key, field)| Some((&**key, field.value.parse().ok()?))).collect()
    }
}

/// What a field does, by its name and its value.
fn role(name: &str, value: &str) -> Role {
    let plain: String = name.trim_start_matches('$').chars().filter(|sign| !"-_".contains(*sign)).collect();
    let name = if plain.is_empty() { name } else { &plain }.to_lowercase();
    let is_position = value.parse::<u64>().is_ok_and(|number| number < LARGEST_POSITION);
    let has = |names: &[&str]| names.contains(&&*name);
    if has(&NOISE) {
        Role::Noise
    } else if has(&TOKENS) && !is_date(value) {
        Role::Token
    } else if !is_position {
        Role::View
    } else if has(&OFFSETS) {
        Role::Offset
    } else if has(&PAGES) {
        Role::Page
    } else if has(&SIZES) {
        Role::Size
    } else {
        Role::View
    }
}

/// Whether a text begins like a date: then it chooses rows, and is not a token.
fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.as_bytes().get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    digits(0..4) && text.as_bytes().get(4).is_some_and(|sign| b"-/.".contains(sign)) && digits(5..6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_view(one: (&str, Option<&str>), other: (&str, Option<&str>)) -> bool {
        let [one, other] = [one, other].map(|(url, body)| Question::read(url, body));
        one.view() == other.view()
    }

    #[test]
    fn parts_of_a_view_differ_by_their_place_alone() {
        for (one, other) in [
            ("http://h/rows?offset=0", "http://h/rows?offset=100"),
            ("http://h/rows", "http://h/rows?offset=100&_=17"),
            ("http://h/rows?day=1&page=1", "http://h/rows?day=1&page=2"),
            ("http://h/rows/page/1", "http://h/rows/page/2"),
            ("http://h/rows?$skip=0&$top=10", "http://h/rows?$skip=10&$top=10"),
            ("http://h/rows?startRow=0&endRow=100", "http://h/rows?startRow=100&endRow=200"),
            ("http://h/rows?cursor=", "http://h/rows?cursor=eyJ4"),
        ] {
            assert!(same_view((one, None), (other, None)), "{one} {other}");
        }
        for (one, other) in [
            ("http://h/rows?from=2025-08-01", "http://h/rows?from=2025-08-02"),
            ("http://h/rows?start=20250801", "http://h/rows?start=20250802"),
            ("http://h/rows?start=1754006400", "http://h/rows?start=1754092800"),
            ("http://h/rows?after=2025-08-01", "http://h/rows?after=2025-08-02"),
            ("http://h/rows?day=1", "http://h/rows?day=2"),
            ("http://h/rows/1", "http://h/rows/2"),
            ("http://h/orders", "http://h/refunds"),
        ] {
            assert!(!same_view((one, None), (other, None)), "{one} {other}");
        }
        let body = |text| ("http://h/graphql", Some(text));
        assert!(same_view(
            body(r#"{"query": "q", "variables": {"offset": 0}}"#),
            body(r#"{"query": "q", "variables": {"offset": 100}}"#)
        ));
        assert!(!same_view(body(r#"{"query": "q"}"#), body(r#"{"query": "r"}"#)));
        assert!(same_view(body("start=0&length=10&draw=1"), body("start=10&length=10&draw=2")));
        assert_eq!(
            Question::read("http://h/rows/7", None).address(),
            Question::read("http://h/rows/8?x=1", None).address()
        );
    }
}
