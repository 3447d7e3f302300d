//! Keys of a keyboard, as browsers name them. Pure.

use crate::config::{document::Wrong, nearest};

const NAMED: [&str; 14] = [
    "Enter",
    "Escape",
    "Tab",
    "Backspace",
    "Delete",
    "Insert",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
];

/// One of the named keys, `F1` to `F12`, or one character.
pub(super) fn key(text: &str) -> Result<(), Wrong> {
    let is_function =
        text.strip_prefix('F').and_then(|n| n.parse().ok()).is_some_and(|n: u8| (1..=12).contains(&n));
    if NAMED.contains(&text) || is_function || text.chars().count() == 1 {
        return Ok(());
    }
    let near =
        nearest::nearest(text, NAMED).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    let hint = format!("{near}keys: {}, F1 to F12, or one character", NAMED.join(", "));
    Err(Wrong::new(format!("there is no key `{text}`"), hint))
}
