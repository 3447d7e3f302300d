//! The secrets that are looked for, and all ways in which one may be written.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Holds characters that are written otherwise in URLs, in HTML and in base64.
pub(super) fn canary(of: &str) -> String {
    format!("Cnry/{}+{:08x}=&{:08x}", of.replace('.', "-"), fastrand::u32(..), fastrand::u32(..))
}

pub(super) fn percent(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// The digits of base64 that the text alone decides, behind `before` other bytes.
pub(super) fn base64_behind(before: usize, text: &str) -> String {
    let whole = [&vec![0; before][..], text.as_bytes()].concat();
    let digits = STANDARD_NO_PAD.encode(&whole);
    digits[(before * 8).div_ceil(6)..whole.len() * 8 / 6].to_owned()
}

/// All ways in which a secret may be written.
fn forms(secret: &str) -> Vec<String> {
    let encoded = percent(secret);
    let mut forms = vec![
        secret.to_owned(),
        encoded.to_lowercase(),
        encoded,
        secret.replace('&', "&amp;"),
        secret.replace('&', "\\u0026"),
        secret.replace('/', "\\/"),
    ];
    for before in 0..3 {
        let digits = base64_behind(before, secret);
        forms.extend([digits.replace('+', "-").replace('/', "_"), percent(&digits), digits]);
    }
    forms
}

/// The secrets, by what they are for.
pub(super) struct Canaries(pub(super) BTreeMap<String, String>);

impl Canaries {
    /// The names of those that are found in there, in whatever form.
    pub(super) fn found(&self, there: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(there);
        let lower = text.to_lowercase();
        let is_in = |form: &String| text.contains(form.as_str());
        let found = |secret: &String| {
            forms(secret).iter().any(is_in) || lower.contains(&percent(secret).to_lowercase())
        };
        self.0.iter().filter(|(_, secret)| found(secret)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn get(&self, name: &str) -> &str {
        &self.0[name]
    }
}

#[test]
fn a_secret_is_found_in_whatever_form_it_is_written() {
    let canaries = Canaries([("it".to_owned(), canary("it"))].into());
    let secret = canaries.get("it");
    let engines = [&base64::engine::general_purpose::STANDARD, &base64::engine::general_purpose::URL_SAFE];
    let mut written = vec![
        secret.to_owned(),
        percent(secret),
        percent(secret).to_lowercase(),
        serde_json::to_string(secret).unwrap(),
        format!("<input value=\"{}\">", secret.replace('&', "&amp;")),
    ];
    for user in ["", "a", "ab", "abc"] {
        written.extend(engines.map(|engine| engine.encode(format!("{user}:{secret}"))));
        written.push(percent(&engines[0].encode(format!("{user}:{secret}: and more"))));
    }
    for text in written {
        assert_eq!(canaries.found(format!("so: {text}, here").as_bytes()), ["it"], "{text}");
    }
    assert!(canaries.found(&secret.as_bytes()[1..]).is_empty(), "that is not the secret");
}
