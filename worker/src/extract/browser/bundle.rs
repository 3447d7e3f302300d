//! What a failed visit looked like: picture, page, console, and where it stood. Taken before the browser ends.

use std::{collections::HashMap, iter::once, time::Duration};

use bytes::Bytes;
use nstore_shared::config::{
    secrets::{Secret, Secrets, is_plain_word, redact},
    spec::{SecretRef, browser::Selector},
};
use serde_json::{Value, json};

use super::{
    chrome::{Chrome, Seat},
    scripts::Script,
    trouble::Trouble,
    visit::Place,
};
use crate::extract::Bundle;

/// How long it may take: a page that hangs gives none.
const LIMIT: Duration = Duration::from_secs(5);

/// Shorter values of a session are no tokens; without them the page would be hard to read.
const SHORTEST: usize = 8;
/// Within JSON there are names of columns and the like.
const SHORTEST_INSIDE: usize = 16;
/// Longer ones are no tokens either, and no page shows them as a whole.
const LONGEST: usize = 8192;

/// What the page's thread gives.
#[derive(Default)]
struct Seen {
    /// What the session is known by.
    tokens: Vec<String>,
    url: String,
    page: Option<String>,
    frame: Option<String>,
    picture: Option<Bytes>,
}

/// The values that are taken out of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Covered {
    /// Wherever they are found.
    secrets: Vec<String>,
    /// User names that are taken out as whole words: names and paths may hold them by chance.
    words: Vec<String>,
}

impl Covered {
    /// The values of a source's secrets; some of them are user names.
    pub(super) fn new(secrets: &HashMap<SecretRef, Secret>, user_names: &[&SecretRef]) -> Self {
        let is_word = |name: &SecretRef, value: &str| {
            // a value that is a password too is hidden as one
            let other = |(other, secret): (&SecretRef, &Secret)| {
                !user_names.contains(&other) && secret.expose() == value
            };
            user_names.contains(&name) && is_plain_word(value) && !secrets.iter().any(other)
        };
        let mut covered = Self::default();
        for (name, secret) in secrets {
            let value = secret.expose();
            let list = if is_word(name, value) { &mut covered.words } else { &mut covered.secrets };
            list.push(value.to_owned());
        }
        covered
    }
}

/// Takes what can be had; `secrets` are taken out of the page first.
pub(super) async fn take(chrome: &Chrome, secrets: &Covered, place: &Place, trouble: &Trouble) -> Bundle {
    let seen = if trouble.browser_gone {
        Seen::default()
    } else {
        let (secrets, frame) = (secrets.clone(), place.frame.clone());
        // what cannot be had is left out: the bundle only helps people to see
        let look = move |seat: &Seat| Ok(look(seat, &secrets, frame.as_ref()));
        chrome.ask(LIMIT, look).await.unwrap_or_default()
    };
    let step = json!({
        "step": place.step.map(|(number, _)| number),
        "what": place.step.map(|(_, word)| word),
        "frame": place.frame.as_ref().map(|frame| &frame.0),
        "url": seen.url,
        "class": trouble.class,
        "error": trouble.message,
    });
    let mut texts = vec![("step.json", format!("{step:#}\n"))];
    let console = chrome.watch.console();
    if !console.is_empty() {
        let lines = console.iter().filter_map(|line| serde_json::to_string(line).ok());
        texts.push(("console.jsonl", lines.map(|line| line + "\n").collect()));
    }
    let tokens = Secrets::of(seen.tokens.into_iter().enumerate().map(|(n, token)| (n.to_string(), token)));
    texts.iter_mut().for_each(|(_, text)| *text = redact(text, &tokens));
    // these two have been through the script
    texts.extend(seen.page.map(|html| ("page.html", html)));
    texts.extend(seen.frame.map(|html| ("frame.html", html)));
    Bundle { texts, picture: seen.picture }
}

fn look(seat: &Seat, covered: &Covered, frame: Option<&Selector>) -> Seen {
    let html = |value: &Value| value.get("html").and_then(Value::as_str).map(str::to_owned);
    let tokens = tokens(seat, frame);
    let secrets: Vec<&String> = covered.secrets.iter().chain(&tokens).collect();
    let words = &covered.words;
    let inner = frame.and_then(|frame| {
        seat.run(Some(frame), Script::Redact, &json!({ "secrets": secrets, "words": words, "ms": 2000 })).ok()
    });
    // frames that have not been through the script are left out of the picture
    let clean = frame.filter(|_| inner.is_some()).map(|frame| &frame.0);
    let input = json!({ "secrets": secrets, "words": words, "clean": clean, "ms": 2000 });
    let Ok(page) = seat.run(None, Script::Redact, &input) else { return Seen { tokens, ..Seen::default() } };
    Seen {
        tokens,
        url: page.get("url").and_then(Value::as_str).unwrap_or_default().to_owned(),
        page: html(&page),
        frame: inner.as_ref().and_then(html),
        picture: seat.picture().ok().map(Bytes::from),
    }
}

/// Values that may stand for a session: cookies, and what the page and the frame keep for their origins.
fn tokens(seat: &Seat, frame: Option<&Selector>) -> Vec<String> {
    let mut found = Vec::new();
    let mut take =
        |value: Option<&Value>| value.into_iter().for_each(|value| words(value, SHORTEST, &mut found));
    for cookie in seat.cookies().unwrap_or_default() {
        take(cookie.get("value"));
    }
    for frame in once(None).chain(frame.map(Some)) {
        // a frame of no origin keeps nothing
        let kept = seat.run(frame, Script::Kept, &json!({ "ms": 500 })).unwrap_or_default();
        let entries = kept.get("entries").and_then(Value::as_array).into_iter().flatten();
        entries.for_each(|entry| take(entry.get(1)));
        take(kept.get("passing"));
    }
    found.sort();
    found.dedup();
    found
}

/// The texts of a value; of one that is JSON by itself, as apps keep it, the long words too.
fn words(value: &Value, shortest: usize, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                words(&inner, SHORTEST_INSIDE, found);
            }
            let is_inside = shortest == SHORTEST_INSIDE;
            if (shortest..=LONGEST).contains(&text.len()) && !(is_inside && text.contains(' ')) {
                found.push(text.clone());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, shortest, found)),
        Value::Object(fields) => fields.values().for_each(|value| words(value, shortest, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_user_name_is_covered_as_a_word_unless_it_is_a_password_too() {
        let name = |name: &str| SecretRef(name.to_owned());
        let covered = |values: &[(&str, &str)]| {
            let of =
                Secrets::of(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let secrets = values.iter().map(|(key, _)| (name(key), of.get(&name(key)).unwrap())).collect();
            let mut covered = Covered::new(&secrets, &[&name("u")]);
            covered.secrets.sort();
            (covered.secrets.join(" "), covered.words.join(" "))
        };
        let both = |secrets: &str, words: &str| (secrets.to_owned(), words.to_owned());
        assert_eq!(covered(&[("u", "admin"), ("p", "hunter22")]), both("hunter22", "admin"));
        assert_eq!(covered(&[("u", "admin"), ("p", "admin")]), both("admin admin", ""));
        assert_eq!(covered(&[("u", "etl@example.com"), ("p", "x")]), both("etl@example.com x", ""));
    }

    #[test]
    fn tokens_are_told_from_other_texts() {
        let kept = json!({
            "cookie": "0123abcd",
            "theme": "dark",
            "app": r#"{"secret":"eyJhbGciOiJIUzI1NiJ9","column":"timestamp","title":"The network's figures"}"#,
        });
        let mut found = Vec::new();
        words(&kept, SHORTEST, &mut found);
        let app = kept["app"].as_str().unwrap();
        found.sort();
        assert_eq!(found, ["0123abcd", "eyJhbGciOiJIUzI1NiJ9", app]);
    }
}
