//! JSON strings -> their characters. Pure.

/// Why a string cannot be stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFault {
    /// Half of a surrogate pair stands alone.
    LoneSurrogate,
    /// A NUL character.
    Nul,
}

impl TextFault {
    /// What follows "the value".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::LoneSurrogate => "holds half of a surrogate pair, which is no character",
            Self::Nul => "holds a NUL character, which Postgres cannot store; `nul: strip` takes it out",
        }
    }
}

/// The inside of a JSON string literal without its escapes; `scratch` is used where there are any.
/// NULs are left in: the caller looks for them only when the second value says that there are some.
pub(super) fn unescape<'a>(inside: &'a str, scratch: &'a mut String) -> Result<(&'a str, bool), TextFault> {
    if !inside.as_bytes().contains(&b'\\') {
        return Ok((inside, false));
    }
    scratch.clear();
    let (mut rest, mut nul) = (inside, false);
    while let Some(at) = rest.find('\\') {
        scratch.push_str(&rest[..at]);
        let (character, length) = escape(&rest.as_bytes()[at..])?;
        nul |= character == '\0';
        scratch.push(character);
        rest = &rest[at + length..];
    }
    scratch.push_str(rest);
    Ok((scratch, nul))
}

/// Reads one escape, which starts with a backslash: its character and its length in bytes.
pub(super) fn escape(bytes: &[u8]) -> Result<(char, usize), TextFault> {
    let simple = match bytes.get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode(bytes),
        // the parser has let through nothing but `"`, `\` and `/`
        Some(&other) => char::from(other),
        None => return Err(TextFault::LoneSurrogate),
    };
    Ok((simple, 2))
}

/// Reads `\uXXXX`, or two of them that are one character.
fn unicode(bytes: &[u8]) -> Result<(char, usize), TextFault> {
    let first = unit(bytes).ok_or(TextFault::LoneSurrogate)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = bytes.get(6..).and_then(unit).ok_or(TextFault::LoneSurrogate)?;
    let pair = (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second);
    let character =
        pair.then(|| 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).and_then(char::from_u32);
    character.map(|c| (c, 12)).ok_or(TextFault::LoneSurrogate)
}

/// The number in `\uXXXX`.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(br"\u")?.get(..4)?;
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(inside: &str) -> Result<(String, bool), TextFault> {
        unescape(inside, &mut String::new()).map(|(text, nul)| (text.to_owned(), nul))
    }

    #[test]
    fn escapes_become_characters() {
        assert_eq!(read(r#"a\n\t\"\\\/\u00e9\ud83d\ude00z"#).unwrap().0, "a\n\t\"\\/é😀z");
        assert_eq!(read(r"a\u0000b"), Ok(("a\0b".to_owned(), true)));
        for lone in [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d", r"\ude00\ud83d"] {
            assert_eq!(read(lone), Err(TextFault::LoneSurrogate), "{lone}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_a_json_library_writes(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(read(&json[1..json.len() - 1]).unwrap().0, text);
        }
    }
}
