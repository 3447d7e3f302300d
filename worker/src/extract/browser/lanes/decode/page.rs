//! Tells an HTML page from data: a sign-in or error page may come where a file was asked for. Pure.

/// A title is no longer, in characters.
const TITLE_LIMIT: usize = 100;

/// The title of an HTML page, perhaps empty; `None` when the bytes are none.
pub(super) fn title(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let opens = |tag: &[u8]| bytes.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if ![&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<!--"].into_iter().any(opens) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    // ASCII alone is lowered, so places in one text are places in the other
    let lowered = text.to_ascii_lowercase();
    let title = lowered.find("<title").and_then(|tag| {
        let start = tag + lowered[tag..].find('>')? + 1;
        let end = start + lowered[start..].find("</title")?;
        text.get(start..end)
    });
    let words: Vec<&str> = title.unwrap_or_default().split_whitespace().collect();
    Some(words.join(" ").chars().take(TITLE_LIMIT).collect())
}

/// How a page with this title is told of.
pub(super) fn words(title: &str) -> String {
    if title.is_empty() {
        "an html page without a title".to_owned()
    } else {
        format!("an html page, `{title}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_by_their_first_tag() {
        let page = "\u{feff}\n<!DOCTYPE html><html><head><TITLE lang=en>Sign in\n  to you</TITLE></head>";
        assert_eq!(title(page.as_bytes()).as_deref(), Some("Sign in to you"));
        assert_eq!(title(b"<html><title>cut").as_deref(), Some(""));
        assert_eq!(title(b"<title-less").as_deref(), None);
        assert_eq!(title("<html>İ<title>ü\u{130}</title>".as_bytes()).as_deref(), Some("üİ"));
        assert_eq!(title(b"a,b\n<html>,1\n"), None);
        assert_eq!(title(b""), None);
    }
}
