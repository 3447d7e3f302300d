//! Addresses of services and APIs. They may hold passwords, so no message shows one. Pure.

use crate::config::{document::Wrong, place::Place};

const STORAGE_EXAMPLES: &str = "as in file:./storage or s3://bucket/prefix";

/// Holds an address against the rule of that name.
pub(crate) fn check(rule: &str, text: &str) -> Result<(), Wrong> {
    match rule {
        "redis url" => {
            let schemes = [
                "redis://",
                "rediss://",
                "redis+sentinel://",
                "rediss+sentinel://",
                "redis+cluster://",
                "rediss+cluster://",
                "unix://",
                "redis+unix://",
            ];
            service(text, "Redis", &schemes, "redis://127.0.0.1:6379")
        }
        "redis prefix" => redis_prefix(text),
        "postgres url" => {
            let schemes = ["postgresql://", "postgres://"];
            service(text, "Postgres", &schemes, "postgresql://user@127.0.0.1/nstore")
        }
        "storage url" => Place::parse(text).map(drop).map_err(|reason| {
            Wrong::new(format!("the address of the storage is not usable: {reason}"), STORAGE_EXAMPLES)
        }),
        "base url" => base_url(text),
        "page url" => page_url(text),
        _ => Ok(()),
    }
}

fn service(text: &str, what: &str, schemes: &[&str], example: &str) -> Result<(), Wrong> {
    let right = schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if right {
        return Ok(());
    }
    Err(Wrong::new(
        format!("the address of {what} must start with {}", schemes.join(" or ")),
        format!("as in {example}"),
    ))
}

fn redis_prefix(text: &str) -> Result<(), Wrong> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    if (1..=100).contains(&text.len()) && text.bytes().all(valid) {
        return Ok(());
    }
    Err(Wrong::new(
        format!("`{text}` cannot start keys"),
        "1 to 100 of the characters A-Z, a-z, 0-9, `_`, `.`, `:`, `-`",
    ))
}

/// An http or https address without user, query or fragment.
fn base_url(text: &str) -> Result<(), Wrong> {
    let rest = web("base_url", text, "use `auth` with `{ secret: … }`", "https://api.example.org")?;
    if rest.contains(['?', '#']) {
        let hint = "put parameters into `request.params`";
        return Err(Wrong::new("`base_url` must end before `?` and `#`", hint));
    }
    Ok(())
}

/// Where a login starts: an http or https address without user; it may have a query.
fn page_url(text: &str) -> Result<(), Wrong> {
    web("url", text, "use `username` and `password` with `{ secret: … }`", "https://app.example.org/login")
        .map(drop)
}

/// An http or https address without user; gives what follows the scheme.
fn web<'a>(key: &str, text: &'a str, instead: &str, example: &str) -> Result<&'a str, Wrong> {
    let wrong = |message: &str, hint: &str| Err(Wrong::new(format!("`{key}` {message}"), hint));
    let example = &format!("as in {example}");
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return wrong("must start with http:// or https://", example);
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return wrong("must hold no user and no password", instead);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let valid = |c: char| c.is_alphanumeric() || "-._~[]:".contains(c);
    if host.is_empty() || !host.chars().all(valid) {
        return wrong("names no host", example);
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong("has no valid port", "as in http://127.0.0.1:8080");
    }
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("holds white space", example);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for good in ["https://api.example.org", "http://127.0.0.1:8080/v1", "http://[::1]:80", "http://[::1]"]
        {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in [
            "api.example.org",
            "ftp://x",
            "https://",
            "https://a b",
            "https://u:p@x",
            "https://x?y=1",
            "http://x:99999",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_login_may_start_with_a_query() {
        assert!(page_url("https://app.example.org/login?tenant=x#top").is_ok());
        for bad in ["app.example.org", "https://?x", "https://u:canary@x", "https://x?a b"] {
            let wrong = page_url(bad).unwrap_err();
            assert!(wrong.message.starts_with("`url`") && !wrong.message.contains("canary"), "{bad}");
            let hint = wrong.hint.unwrap_or_default();
            assert!(!hint.contains("request") && !hint.contains("`auth`"), "{bad}: {hint}");
        }
    }

    #[test]
    fn services() {
        assert!(check("redis url", "redis://:pass@host").is_ok());
        assert!(check("postgres url", "postgresql://host/db").is_ok());
        assert!(check("storage url", "s3://bucket/prefix").is_ok());
        for (rule, bad) in [
            ("redis url", "redis://"),
            ("redis url", "http://:pass@host"),
            ("postgres url", "host=x password=hunter2"),
            ("storage url", "s3://key:hunter2@bucket"),
            ("redis prefix", "a{b}"),
            ("redis prefix", ""),
        ] {
            let wrong = check(rule, bad).unwrap_err();
            assert!(
                !wrong.message.contains("pass") && !wrong.message.contains("hunter2"),
                "{}",
                wrong.message
            );
        }
    }
}
