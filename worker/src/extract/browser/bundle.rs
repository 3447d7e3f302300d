//! What a failed visit looked like: picture, page, console, and where it stood. Taken before the browser ends.

use std::time::Duration;

use bytes::Bytes;
use nstore_shared::config::spec::browser::Selector;
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

/// What the page's thread gives.
#[derive(Default)]
struct Seen {
    url: String,
    page: Option<String>,
    frame: Option<String>,
    picture: Option<Bytes>,
}

/// Takes what can be had; `secrets` are taken out of the page first.
pub(super) async fn take(chrome: &Chrome, secrets: &[String], place: &Place, trouble: &Trouble) -> Bundle {
    let seen = if trouble.browser_gone {
        Seen::default()
    } else {
        let (secrets, frame) = (secrets.to_vec(), place.frame.clone());
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
    texts.extend(seen.page.map(|html| ("page.html", html)));
    texts.extend(seen.frame.map(|html| ("frame.html", html)));
    Bundle { texts, picture: seen.picture }
}

fn look(seat: &Seat, secrets: &[String], frame: Option<&Selector>) -> Seen {
    let html = |value: &Value| value.get("html").and_then(Value::as_str).map(str::to_owned);
    let inner = frame.and_then(|frame| {
        seat.run(Some(frame), Script::Redact, &json!({ "secrets": secrets, "ms": 2000 })).ok()
    });
    // frames that have not been through the script are left out of the picture
    let clean = frame.filter(|_| inner.is_some()).map(|frame| &frame.0);
    let input = json!({ "secrets": secrets, "clean": clean, "ms": 2000 });
    let Ok(page) = seat.run(None, Script::Redact, &input) else { return Seen::default() };
    Seen {
        url: page.get("url").and_then(Value::as_str).unwrap_or_default().to_owned(),
        page: html(&page),
        frame: inner.as_ref().and_then(html),
        picture: seat.picture().ok().map(Bytes::from),
    }
}
