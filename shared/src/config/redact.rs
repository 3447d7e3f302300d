//! Takes the values of secrets out of texts that people will see. Pure.

use super::secrets::Secrets;

/// Shorter values would blacken half of every text, and protect nothing.
const SHORTEST: usize = 4;

/// The text with `***` for each secret value, as it is, percent-encoded, in quotes, or within base64.
pub fn redact(text: &str, secrets: &Secrets) -> String {
    let mut needles: Vec<String> = secrets.values().into_iter().flat_map(|value| forms(&value)).collect();
    // the longest first, so that a part of a value never spoils the whole
    needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    needles.dedup();
    needles.iter().fold(text.to_owned(), |text, needle| {
        if text.contains(needle.as_str()) { text.replace(needle.as_str(), "***") } else { text }
    })
}

fn forms(value: &str) -> Vec<String> {
    if value.len() < SHORTEST {
        return vec![];
    }
    let percent = percent(value, "%20");
    let mut all = vec![
        value.to_owned(),
        percent.to_lowercase(),
        percent_lower(&percent),
        self::percent(value, "+"),
        percent,
        value.escape_debug().to_string(),
    ];
    for alphabet in [STANDARD, URL_SAFE] {
        all.extend((0..3).filter_map(|offset| base64_core(value.as_bytes(), offset, alphabet)));
    }
    all.retain(|form| form.len() >= SHORTEST);
    all
}

fn percent(value: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push_str(space),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The same with lower-case hex digits.
fn percent_lower(percent: &str) -> String {
    let mut parts = percent.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let (hex, rest) = part.split_at(part.len().min(2));
        out + "%" + &hex.to_lowercase() + rest
    })
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The base64 digits that `value` alone decides when `offset` bytes modulo 3 stand before it, as the user name
/// does before the password of basic auth.
fn base64_core(value: &[u8], offset: usize, alphabet: &[u8; 64]) -> Option<String> {
    let bits = |index: usize| -> Option<u8> {
        let bit = index.checked_sub(offset * 8)?;
        value.get(bit / 8).map(|byte| (byte >> (7 - bit % 8)) & 1)
    };
    let digits = (offset + value.len()) * 8 / 6;
    let digit = |index: usize| -> Option<char> {
        let sextet = (0..6).try_fold(0, |sum, bit| Some(sum << 1 | bits(index * 6 + bit)?))?;
        Some(char::from(alphabet[usize::from(sextet)]))
    };
    let core: String = (0..digits).filter_map(digit).collect();
    (core.len() >= SHORTEST).then_some(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::of(values.iter().enumerate().map(|(n, value)| (format!("s{n}"), (*value).to_owned())))
    }

    #[test]
    fn a_value_is_taken_out_in_all_its_forms() {
        let secrets = secrets(&["p@ss w/rd+1", "hunter22"]);
        for text in [
            "401 for p@ss w/rd+1 there",
            "https://x?key=p%40ss%20w%2Frd%2B1",
            "https://x?key=p%40ss%20w%2frd%2b1",
            "https://x?key=p%40ss+w%2Frd%2B1",
            "hunter22",
        ] {
            let clean = redact(text, &secrets);
            assert!(clean.contains("***"), "{clean}");
            assert!(
                !clean.contains("w/rd") && !clean.contains("rd%2") && !clean.contains("hunter"),
                "{clean}"
            );
        }
    }

    #[test]
    fn base64_is_found_behind_any_user_name() {
        let secrets = secrets(&["hunter22"]);
        // base64 of `hunter22`, `a:hunter22`, `ab:hunter22`, `abc:hunter22`
        for text in ["aHVudGVyMjI=", "YTpodW50ZXIyMg==", "YWI6aHVudGVyMjI=", "YWJjOmh1bnRlcjIy"] {
            let clean = redact(&format!("Basic {text}"), &secrets);
            assert!(clean.contains("***"), "{text} -> {clean}");
            assert!(clean.len() < 18, "{text} -> {clean}");
        }
    }

    #[test]
    fn other_text_stays() {
        assert_eq!(redact("nothing to hide, ab", &secrets(&["ab", "secret"])), "nothing to hide, ab");
    }
}
