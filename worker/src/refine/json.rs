//! JSON values -> text that jsonb accepts. Pure.
//!
//! The parser has checked the syntax; what it lets through and Postgres refuses is found here:
//! NULs, halves of surrogate pairs, numbers and nesting out of its reach.

use nstore_shared::contract::NulPolicy;

use super::{
    number,
    text::{self, TextFault},
};

/// Postgres reads nested JSON by recursion and gives up at its stack limit, some thousands of levels down.
const DEEPEST: usize = 512;

/// Appends a JSON value without the space between its tokens; the result is the number of NULs taken out.
pub(super) fn compact(raw: &str, nul: NulPolicy, out: &mut Vec<u8>) -> Result<u64, &'static str> {
    let bytes = raw.as_bytes();
    let (mut at, mut depth, mut stripped) = (0, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            b'"' => at = string(bytes, at, nul, out, &mut stripped)?,
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..]
                    .iter()
                    .take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
                let end = at + length.count();
                if !number::fits_jsonb(&raw[at..end]) {
                    return Err("holds a number out of Postgres' reach");
                }
                out.extend_from_slice(&bytes[at..end]);
                at = end;
            }
            _ => {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth > DEEPEST {
                    return Err("is nested deeper than 512 levels");
                }
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(stripped)
}

/// Appends the string literal that starts at `start`; the result is where it ends.
fn string(
    bytes: &[u8],
    start: usize,
    nul: NulPolicy,
    out: &mut Vec<u8>,
    stripped: &mut u64,
) -> Result<usize, &'static str> {
    out.push(b'"');
    let mut at = start + 1;
    loop {
        let run = bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(bytes.len() - at);
        out.extend_from_slice(&bytes[at..at + run]);
        at += run;
        if bytes.get(at) != Some(&b'\\') {
            out.push(b'"');
            return Ok(at + 1);
        }
        let (character, length) = text::escape(&bytes[at..]).map_err(TextFault::words)?;
        match (character, nul) {
            ('\0', NulPolicy::Reject) => return Err(TextFault::Nul.words()),
            ('\0', NulPolicy::Strip) => *stripped += 1,
            _ => out.extend_from_slice(&bytes[at..at + length]),
        }
        at += length;
    }
}

/// Appends a JSON value on one line, otherwise as it came.
pub(super) fn one_line(raw: &str, out: &mut Vec<u8>) {
    // a line break inside a string literal is always escaped, so all others stand between tokens
    out.extend(raw.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(raw: &str, nul: NulPolicy) -> Result<(String, u64), &'static str> {
        let mut out = Vec::new();
        compact(raw, nul, &mut out).map(|stripped| (String::from_utf8(out).unwrap(), stripped))
    }

    #[test]
    fn space_goes_and_values_stay() {
        let raw = "{ \"a b\" : [ 1 , -2.5e3 , true,\n null ], \"c\\\"\\\\\" : \"\\ud83d\\ude00 \\\\u0000\" }";
        let expected = r#"{"a b":[1,-2.5e3,true,null],"c\"\\":"\ud83d\ude00 \\u0000"}"#;
        assert_eq!(compacted(raw, NulPolicy::Reject), Ok((expected.to_owned(), 0)));
    }

    #[test]
    fn what_jsonb_refuses_is_refused() {
        assert_eq!(compacted(r#"["a\u0000b\u0000"]"#, NulPolicy::Strip), Ok((r#"["ab"]"#.to_owned(), 2)));
        for bad in
            [r#""\u0000""#, r#"{"\ud800":1}"#, r#"["\udc00"]"#, "1e999999", "[1e-99999]", &"[".repeat(600)]
        {
            assert!(compacted(bad, NulPolicy::Reject).is_err(), "{bad}");
        }
        assert!(compacted("1e400", NulPolicy::Reject).is_ok());
    }
}
