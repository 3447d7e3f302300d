//! Parameters of a connection string, taken out by name. Pure.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// What was taken out, by name; of several the last one counts.
pub(super) type Values = BTreeMap<String, String>;

/// Takes the named parameters out of a URL (`postgresql://…?name=value`) or of words (`name=value …`). Answers
/// what is left, which is the same connection without them.
pub(super) fn take(connection: &str, names: &[&str]) -> (String, Values) {
    if connection.starts_with("postgresql://") || connection.starts_with("postgres://") {
        of_url(connection, names)
    } else {
        // whoever reads the whole of it says what is wrong
        of_words(connection, names).unwrap_or_else(|| (connection.to_owned(), Values::new()))
    }
}

fn of_url(url: &str, names: &[&str]) -> (String, Values) {
    // a password may hold a question mark; it ends at the first `@`, if there is one
    let from = url.find('@').unwrap_or(0);
    let Some(at) = url[from..].find('?') else { return (url.to_owned(), Values::new()) };
    let (address, query) = (&url[..from + at], &url[from + at + 1..]);
    let (mut left, mut values) = (Vec::new(), Values::new());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if names.contains(&name) {
            values.insert(name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned());
        } else {
            left.push(pair);
        }
    }
    let mark = if left.is_empty() { "" } else { "?" };
    (format!("{address}{mark}{}", left.join("&")), values)
}

/// `None` when it cannot be read.
fn of_words(words: &str, names: &[&str]) -> Option<(String, Values)> {
    let (mut left, mut values) = (Vec::new(), Values::new());
    let mut rest = words.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, tail) = value(after.trim_start())?;
        if names.contains(&name.trim_end()) {
            values.insert(name.trim_end().to_owned(), value);
        } else {
            left.push(&rest[..rest.len() - tail.len()]);
        }
        rest = tail.trim_start();
    }
    Some((left.join(" "), values))
}

/// The value that the text begins with, bare or in quotes, and what follows it. A backslash keeps the next sign
/// from meaning anything.
fn value(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('\'');
    let (quoted, text) = (inner.is_some(), inner.unwrap_or(text));
    let (mut value, mut signs) = (String::new(), text.char_indices());
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.push(signs.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            sign if sign.is_whitespace() && !quoted => return Some((value, &text[at..])),
            sign => value.push(sign),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 2] = ["sslmode", "sslrootcert"];

    fn taken(connection: &str) -> (String, Vec<(String, String)>) {
        let (left, values) = take(connection, &NAMES);
        (left, values.into_iter().collect())
    }

    #[test]
    fn what_is_left_is_the_same_connection() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (connection, left, values) in [
            ("postgresql://me:a?b@db/shop", "postgresql://me:a?b@db/shop", vec![]),
            ("postgres://db/shop?sslmode=require", "postgres://db/shop", vec![pair("sslmode", "require")]),
            (
                "postgresql://me@db?a=1&sslrootcert=%2Fetc%2Fmy%20ca&b=2&sslmode=disable",
                "postgresql://me@db?a=1&b=2",
                vec![pair("sslmode", "disable"), pair("sslrootcert", "/etc/my ca")],
            ),
            (
                r"host=db sslrootcert='/my \'ca\\' sslmode = require password=sslmode\ =x",
                r"host=db password=sslmode\ =x",
                vec![pair("sslmode", "require"), pair("sslrootcert", r"/my 'ca\")],
            ),
            ("host=db sslmode='require", "host=db sslmode='require", vec![]),
        ] {
            assert_eq!(taken(connection), (left.to_owned(), values), "{connection}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_value_comes_out_as_it_went_in(value in "\\PC{0,20}", password in "\\PC{0,20}") {
            let quote = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
            let words = format!("sslrootcert={} password={}", quote(&value), quote(&password));
            let (left, values) = take(&words, &NAMES);
            prop_assert_eq!(&values["sslrootcert"], &value);
            prop_assert_eq!(left, format!("password={}", quote(&password)));
        }

        #[test]
        fn no_text_is_too_odd(text in "(postgres://)?[a-z=@?&%' \\\\é]{0,30}") {
            let (left, values) = take(&text, &["nothing"]);
            prop_assert!(values.is_empty());
            prop_assert_eq!(left.replace([' ', '?'], ""), text.replace([' ', '?'], ""));
        }
    }
}
