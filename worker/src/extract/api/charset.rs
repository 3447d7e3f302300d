//! Bodies in other encodings than UTF-8. Pure.

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Why a body cannot be read as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CharsetError {
    #[error("the answer is said to be in `{0}`, which is not a known encoding")]
    Unknown(String),
    #[error("the answer is not valid {0}")]
    Malformed(&'static str),
    #[error(
        "the answer is not UTF-8 (byte {at} fits no character), and its Content-Type names no other charset"
    )]
    NotUtf8 { at: usize },
}

/// The body as UTF-8 without a byte order mark. A byte order mark outranks the charset of the Content-Type (the WHATWG
/// Encoding Standard, "decode"); JSON without either may be UTF-16 too, told by its zero bytes (RFC 4627, 3).
pub(super) fn utf8(body: Bytes, content_type: &str) -> Result<Bytes, CharsetError> {
    let named = charset(content_type);
    let encoding = match (Encoding::for_bom(&body), named) {
        (Some((encoding, _)), _) => encoding,
        (None, Some(name)) => {
            Encoding::for_label(name.as_bytes()).ok_or_else(|| CharsetError::Unknown(name.to_owned()))?
        }
        (None, None) => match body.get(..2) {
            Some([0, other]) if *other != 0 => UTF_16BE,
            Some([other, 0]) if *other != 0 => UTF_16LE,
            _ => UTF_8,
        },
    };
    if encoding == UTF_8 {
        let body = match body.strip_prefix(b"\xEF\xBB\xBF") {
            Some(_) => body.slice(3..),
            None => body,
        };
        return match (std::str::from_utf8(&body), named) {
            (Ok(_), _) => Ok(body),
            (Err(_), Some(_)) => Err(CharsetError::Malformed(UTF_8.name())),
            (Err(e), None) => Err(CharsetError::NotUtf8 { at: e.valid_up_to() }),
        };
    }
    let (text, malformed) = encoding.decode_with_bom_removal(&body);
    if malformed { Err(CharsetError::Malformed(encoding.name())) } else { Ok(text.into_owned().into()) }
}

/// The charset parameter of a Content-Type.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: impl Into<Vec<u8>>, content_type: &str) -> Result<String, CharsetError> {
        let body = utf8(body.into().into(), content_type)?;
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    fn utf16(text: &str, to_bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn the_charset_is_heard() {
        let text = r#"{"a":"café ₹"}"#;
        let latin: Vec<u8> = b"{\"a\":\"caf\xE9\"}".to_vec();
        for name in ["iso-8859-1", "\"Latin1\"", "windows-1252", "ISO-8859-15"] {
            let kind = format!("application/json; Charset={name}");
            assert_eq!(read(latin.clone(), &kind).unwrap(), r#"{"a":"café"}"#, "{name}");
        }
        assert_eq!(read(b"{\"a\":\"\x80\"}".to_vec(), "text/json;charset=cp1252").unwrap(), r#"{"a":"€"}"#);
        for body in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
            assert_eq!(read(body, "application/json").unwrap(), text, "without a byte order mark");
        }
        assert_eq!(read(utf16(text, u16::to_be_bytes), "a/b; charset=utf-16be").unwrap(), text);
        assert_eq!(read(text, "application/json; charset=utf-8").unwrap(), text);
    }

    #[test]
    fn a_byte_order_mark_is_taken_off_and_outranks_the_rest() {
        assert_eq!(read("\u{feff}[1]", "application/json").unwrap(), "[1]");
        assert_eq!(read("\u{feff}[1]", "application/json; charset=latin1").unwrap(), "[1]");
        assert_eq!(read(utf16("\u{feff}[1]", u16::to_le_bytes), "application/json").unwrap(), "[1]");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(
            read(b"{\"a\":\"\xE9\"}".to_vec(), "application/json"),
            Err(CharsetError::NotUtf8 { at: 6 })
        );
        let named = read(b"\xE9".to_vec(), "application/json; charset=utf-8");
        assert_eq!(named, Err(CharsetError::Malformed("UTF-8")));
        assert_eq!(read("[]", "a/b; charset=klingon"), Err(CharsetError::Unknown("klingon".to_owned())));
        assert_eq!(
            read(b"\x81".to_vec(), "a/b; charset=shift_jis"),
            Err(CharsetError::Malformed("Shift_JIS"))
        );
        assert_eq!(read("", "application/json").unwrap(), "");
    }
}
