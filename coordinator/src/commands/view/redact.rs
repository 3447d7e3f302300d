//! Addresses without their passwords.

/// An address with `***` in place of its password, whether it stands before an `@` or after `password=`.
pub(in crate::commands) fn redact(url: &str) -> String {
    let url = keyword(url);
    let Some((scheme, rest)) = url.split_once("://") else { return url };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // a password may hold an `@` of its own, and even a slash: everything up to the last one is the login
    let at = rest[..end].rfind('@').or_else(|| rest.rfind('@'));
    let Some(at) = at else { return url };
    let (login, place) = (&rest[..at], &rest[at..]);
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{place}"),
        None => url,
    }
}

/// The same for `password=…` in a query or a list of keywords.
fn keyword(text: &str) -> String {
    const KEY: &str = "password=";
    let Some(start) = text.to_ascii_lowercase().find(KEY).map(|at| at + KEY.len()) else {
        return text.to_owned();
    };
    let value = &text[start..];
    let length = match value.strip_prefix('\'') {
        Some(quoted) => quoted.find('\'').map_or(value.len(), |end| end + 2),
        None => value.find(['&', ' ', '#']).unwrap_or(value.len()),
    };
    format!("{}***{}", &text[..start], keyword(&value[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:s3cret@host:1/0", "redis://:***@host:1/0"),
            ("postgresql://u:p@ss@host/db", "postgresql://u:***@host/db"),
            ("postgresql://u:p/ss@host/db", "postgresql://u:***@host/db"),
            (
                "postgresql://u@host/db?password=x&sslmode=require",
                "postgresql://u@host/db?password=***&sslmode=require",
            ),
            ("host=h password='a b' user=u", "host=h password=*** user=u"),
            ("host=h PASSWORD=x", "host=h PASSWORD=***"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }
}
