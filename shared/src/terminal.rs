//! The one way to standard output and standard error for both programs. Much of what they write comes from sources,
//! stores and servers: nothing of it may move a cursor, colour, hide or reorder what people see.

use std::{
    borrow::Cow,
    io::{self, Write},
};

/// The text with an escape of JSON's, such as `\u001b`, for each character that a terminal would obey or hide: control
/// characters other than line breaks and tabs, characters that change the direction of text, separators of lines and
/// paragraphs, and invisible tags. A JSON document stays the same document.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            let units =
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            escaped.push_str(&units);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn is_unsafe(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || reorders || hides
}

/// Writes a result to standard output, and a line break. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", escape(text));
}

/// Writes a message to standard error, and a line break. That nobody reads it is no error.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escape(text));
}

/// Where log events go: standard error.
pub(crate) fn log() -> LogWriter<io::Stderr> {
    LogWriter(io::stderr())
}

/// Writes log events, each given in one piece: an event stays on its line.
#[derive(Debug)]
pub(crate) struct LogWriter<W>(W);

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        writeln!(self.0, "{}", escape(line).replace('\n', "\\n"))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        for (text, shown) in [
            ("red \u{1b}[31m title \u{1b}]0;x\u{7}", r"red \u001b[31m title \u001b]0;x\u0007"),
            ("over\rwritten\u{8}", r"over\u000dwritten\u0008"),
            ("csi \u{9b}2J del \u{7f}", r"csi \u009b2J del \u007f"),
            ("a\u{202e}b\u{2066}c\u{2069}", r"a\u202eb\u2066c\u2069"),
            ("line\u{2028}tag\u{e0041}", r"line\u2028tag\udb40\udc41"),
        ] {
            assert_eq!(escape(text), shown);
        }
        for text in ["two\nlines\tand a tab", "Zoë 😀 शुक्रिया مرحبا", "👩‍👩‍👧"]
        {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn an_event_of_a_log_is_one_line() {
        let mut written = Vec::new();
        let event = "INFO failed: \u{1b}[2J\nINFO forged\u{9d}\n";
        LogWriter(&mut written).write_all(event.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "INFO failed: \\u001b[2J\\nINFO forged\\u009d\n");
    }

    proptest! {
        #[test]
        fn a_json_document_stays_the_same(text in "[\\PC\\pC]{0,40}") {
            let document = serde_json::json!({ text.clone(): [text] });
            let written = serde_json::to_string_pretty(&document).unwrap();
            let shown = escape(&written);
            prop_assert!(!shown.contains(is_unsafe), "{}", shown);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), document);
        }
    }
}
