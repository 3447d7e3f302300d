//! CSV as COPY reads it: comma, LF, quotes doubled; a null is an unquoted empty field, so '' is quoted.

/// True for the bytes that a bare field must not hold.
static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    table[b',' as usize] = true;
    table[b'"' as usize] = true;
    table[b'\n' as usize] = true;
    table[b'\r' as usize] = true;
    table
};

/// Appends one value that is not null.
pub(super) fn field(out: &mut Vec<u8>, value: &[u8]) {
    // a bare `\.` ends COPY's input, whatever follows it
    if value.is_empty() || value == br"\." || value.iter().any(|&byte| SPECIAL[byte as usize]) {
        quoted(out, value);
    } else {
        out.extend_from_slice(value);
    }
}

/// Appends a value in quotes.
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.reserve(value.len() + 2);
    out.push(b'"');
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&byte| byte == b'"') {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends a line of values, none of them null.
pub(super) fn line<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a str>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        field(out, value.as_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
pub(super) mod scan {
    //! Reads such CSV back, and tells a null from an empty text.

    /// All lines; `None` is a null.
    pub(crate) fn lines(text: &[u8]) -> Vec<Vec<Option<String>>> {
        let (mut lines, mut line, mut at) = (Vec::new(), Vec::new(), 0);
        while at < text.len() {
            let (value, next) = value(text, at);
            line.push(value);
            match text[next] {
                b',' => {}
                b'\n' => lines.push(std::mem::take(&mut line)),
                other => panic!("byte {other} after a field"),
            }
            at = next + 1;
        }
        assert!(line.is_empty(), "the last line has no end");
        lines
    }

    fn value(text: &[u8], start: usize) -> (Option<String>, usize) {
        let own = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if text[start] != b'"' {
            let end = start + text[start..].iter().position(|b| b",\n".contains(b)).unwrap();
            assert!(!text[start..end].contains(&b'"') && !text[start..end].contains(&b'\r'));
            return ((end > start).then(|| own(&text[start..end])), end);
        }
        let (mut bytes, mut at) = (Vec::new(), start + 1);
        loop {
            match (text[at], text[at + 1]) {
                (b'"', b'"') => at += 1,
                (b'"', _) => return (Some(own(&bytes)), at + 1),
                _ => {}
            }
            bytes.push(text[at]);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_must_be_quoted_is() {
        let written = |value: &str| {
            let mut out = Vec::new();
            field(&mut out, value.as_bytes());
            String::from_utf8(out).unwrap()
        };
        for bare in ["a b", " a ", "NULL", r"\.x", "😀", "مرحبا", "'"] {
            assert_eq!(written(bare), bare);
        }
        assert_eq!(written(""), r#""""#);
        assert_eq!(written(r"\."), r#""\.""#);
        assert_eq!(written("a\r\nb"), "\"a\r\nb\"");
        assert_eq!(written(r#""a","#), r#""""a"",""#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(values in prop::collection::vec(r#"[a,"\\.\r\n é😀]{0,6}"#, 1..5)) {
            let mut out = Vec::new();
            line(&mut out, values.iter().map(String::as_str));
            let expected: Vec<_> = values.into_iter().map(Some).collect();
            prop_assert_eq!(scan::lines(&out), [expected]);
        }
    }
}
