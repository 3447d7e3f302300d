//! Takes the values of secrets out of texts that people will see. Pure.
//!
//! The rule: a secret is hidden wherever it is found, also inside of other text, percent-encoded or in base64. Names
//! of tables and columns and paths stay readable in two ways only. A user name that is a short plain word is hidden
//! as a whole word: `admin` stays in `dj_admin_payments` and `/srv/admin/x`. Any other value of less than
//! [`SURE`] bytes stays where an identifier goes on at both of its sides.

use super::secrets::{Hidden, Secrets};

/// Shorter values would blacken half of every text, and protect nothing.
const SHORTEST: usize = 4;

/// Values that are shorter are words that an identifier may hold by chance.
const SURE: usize = 8;
/// Longer user names are as good as keys, and some APIs take a key for a user name.
const LONGEST_WORD: usize = 15;

/// Whether a user name is a short plain word, so that names and paths may hold it by chance.
pub fn is_plain_word(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    value.len() <= LONGEST_WORD && value.bytes().all(plain)
}

/// The text with `***` for each secret value, as it is, percent-encoded, in quotes, or within base64.
pub fn redact(text: &str, secrets: &Secrets) -> String {
    let mut needles: Vec<Needle> = secrets.hidden().iter().flat_map(needles).collect();
    // the longest first, so that a part of a value never spoils the whole; of two rules for a text the stricter one
    needles.sort_by(|one, other| {
        (other.text.len(), &one.text, one.stays).cmp(&(one.text.len(), &other.text, other.stays))
    });
    needles.dedup_by(|later, first| later.text == first.text);
    needles.iter().fold(text.to_owned(), |text, needle| needle.hide(text))
}

/// One form of a secret's value.
struct Needle {
    text: String,
    stays: Stays,
}

/// Where a form of a value is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stays {
    Nowhere,
    /// Where an identifier goes on at both sides.
    InsideIdentifier,
    /// Where an identifier or a path goes on at one side.
    UnlessWholeWord,
}

fn needles(hidden: &Hidden) -> Vec<Needle> {
    let plain = match hidden {
        Hidden { user_name: true, value } if is_plain_word(value) => Stays::UnlessWholeWord,
        Hidden { value, .. } if value.len() < SURE => Stays::InsideIdentifier,
        Hidden { .. } => Stays::Nowhere,
    };
    let needle =
        |text: String| Needle { stays: if text == hidden.value { plain } else { Stays::Nowhere }, text };
    forms(&hidden.value).into_iter().map(needle).collect()
}

impl Needle {
    fn hide(&self, text: String) -> String {
        if !text.contains(&self.text) {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for (at, found) in text.match_indices(&self.text) {
            let end = at + found.len();
            if self.stays(&text[..at], &text[end..]) {
                continue;
            }
            out.push_str(&text[copied..at]);
            out.push_str("***");
            copied = end;
        }
        out.push_str(&text[copied..]);
        out
    }

    /// Whether what is found between these texts is left as it is.
    fn stays(&self, before: &str, after: &str) -> bool {
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let mut back = before.chars().rev();
        let (previous, earlier) = (back.next(), back.next());
        let mut ahead = after.chars();
        let (next, later) = (ahead.next(), ahead.next());
        let joins = |near: Option<char>, far: Option<char>| {
            part(near) || near == Some('/') || matches!(near, Some('.' | '-')) && part(far)
        };
        match self.stays {
            Stays::Nowhere => false,
            Stays::InsideIdentifier => part(previous) && part(next),
            Stays::UnlessWholeWord => joins(previous, earlier) || joins(next, later),
        }
    }
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
    fn a_user_name_is_hidden_as_a_whole_word_and_a_password_everywhere() {
        let secrets = Secrets::of([
            ("x.username".to_owned(), "admin".to_owned()),
            ("x.password".to_owned(), "hunter22".to_owned()),
            ("y.login".to_owned(), "rzp_live_0123456789abcdef".to_owned()),
        ]);
        for kept in [
            "table dj_admin_payments",
            "column `admin_id`",
            "/srv/admin/storage",
            "admin/reports",
            "x-admin-id",
            "admin.created_at",
            "administrators",
            "storage.admin",
        ] {
            assert_eq!(redact(kept, &secrets), kept);
        }
        for (text, clean) in [
            ("signed in as admin.", "signed in as ***."),
            ("user \"admin\", admin", "user \"***\", ***"),
            ("?user=admin&pw=hunter22", "?user=***&pw=***"),
            ("admin:hunter22@host", "***:***@host"),
            ("/srv/hunter22/x_hunter22_y", "/srv/***/x_***_y"),
            ("/v1/rzp_live_0123456789abcdef/x", "/v1/***/x"),
        ] {
            assert_eq!(redact(text, &secrets), clean);
        }
        let basic = redact("Basic YWRtaW46aHVudGVyMjI=", &secrets);
        assert!(basic.contains("***") && !basic.contains("aHVudGVy") && !basic.contains("YWRtaW"), "{basic}");
    }

    #[test]
    fn a_value_that_is_a_password_somewhere_is_none_of_the_plain_words() {
        let secrets = Secrets::of([
            ("x.username".to_owned(), "admin".to_owned()),
            ("x.password".to_owned(), "admin".to_owned()),
        ]);
        assert_eq!(redact("/admin/ and dj_admin_payments", &secrets), "/***/ and dj_admin_payments");
        assert_eq!(redact("key_admin, adminkey", &secrets), "key_***, ***key");
    }

    #[test]
    fn what_a_source_takes_for_a_user_name_is_one_whatever_it_is_called() {
        let secrets =
            Secrets::of([("x.who".to_owned(), "etl".to_owned()), ("x.name".to_owned(), "reader".to_owned())]);
        assert_eq!(redact("/srv/reader", &secrets), "/srv/***");
        secrets.note_user_names([&crate::config::spec::SecretRef("x.name".into())]);
        assert_eq!(redact("/srv/reader, reader", &secrets), "/srv/reader, ***");
    }

    proptest::proptest! {
        #[test]
        fn no_password_is_left(before in "[a-z_/.-]{0,3}", after in "[a-z_/.-]{0,3}", value in "[A-Z0-9]{8,20}") {
            let secrets = Secrets::of([("x.password".to_owned(), value.clone())]);
            let clean = redact(&format!("{before}{value}{after}"), &secrets);
            proptest::prop_assert_eq!(clean, format!("{before}***{after}"));
        }

        #[test]
        fn a_short_password_is_left_only_within_an_identifier(before in "[a-z_/.:=-]?", after in "[a-z_/.:=-]?") {
            let secrets = Secrets::of([("x.password".to_owned(), "HUNTER2".to_owned())]);
            let clean = redact(&format!("{before}HUNTER2{after}"), &secrets);
            let part = |text: &str| text.chars().any(|c| c.is_alphanumeric() || c == '_');
            proptest::prop_assert_eq!(clean.contains("HUNTER2"), part(&before) && part(&after));
        }
    }

    #[test]
    fn other_text_stays() {
        assert_eq!(redact("nothing to hide, ab", &secrets(&["ab", "secret"])), "nothing to hide, ab");
    }
}
