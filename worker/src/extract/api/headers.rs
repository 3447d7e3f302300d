//! What the headers of an answer say of its part of the list and of rate limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_RANGE, HeaderMap, LINK, RETRY_AFTER};

/// No Retry-After is taken longer: a typo there must not park a source for years.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// Names under which sources say how many requests are left, and when there are more again.
const LIMITS: [(&str, &str); 3] = [
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Which part of a list an answer holds (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The unit is bytes: the answer is a piece of a document.
    pub(super) is_bytes: bool,
    /// Records in all, where the source says so.
    pub(super) total: Option<u64>,
}

fn text(headers: &HeaderMap, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `0-24/3573458`, `items 0-24/*`, `*/0`.
pub(super) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = text(headers, CONTENT_RANGE)?.trim();
    let (unit, range) = value.split_once(' ').unwrap_or(("", value));
    let (_, total) = range.split_once('/')?;
    Some(ContentRange { is_bytes: unit.eq_ignore_ascii_case("bytes"), total: total.trim().parse().ok() })
}

/// Whether a `Link` header names a next page (RFC 8288).
pub(super) fn has_next_link(headers: &HeaderMap) -> bool {
    let is_next = |link: &str| {
        link.split(';').skip(1).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                let mut relations = value.trim().trim_matches('"').split_whitespace();
                name.trim().eq_ignore_ascii_case("rel")
                    && relations.any(|word| word.eq_ignore_ascii_case("next"))
            })
        })
    };
    // a comma in an address is followed by no `<`
    let all = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(", <").flat_map(|part| part.split(",<"))).any(is_next)
}

/// How long the source asks to be left alone.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds_or_date(text(headers, RETRY_AFTER)?)
}

/// Whether the headers say that no request is left, and perhaps for how long.
pub(super) fn used_up(headers: &HeaderMap) -> Option<Option<Duration>> {
    LIMITS.iter().find_map(|(remaining, reset)| {
        let left = text(headers, *remaining)?.trim();
        (left == "0").then(|| text(headers, *reset).and_then(until_reset))
    })
}

/// Seconds from now, or since 1970 where the number is that large.
fn until_reset(value: &str) -> Option<Duration> {
    const FIRST_INSTANT: u64 = 1_000_000_000;
    let seconds = value.trim().split('.').next()?.parse::<u64>().ok()?;
    let wait = match seconds {
        0..FIRST_INSTANT => Duration::from_secs(seconds),
        _ => {
            (UNIX_EPOCH + Duration::from_secs(seconds)).duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3).
fn seconds_or_date(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        all.iter().map(pair).collect()
    }

    #[test]
    fn a_part_says_how_many_there_are() {
        let range = |value| content_range(&headers(&[("content-range", value)]));
        let of = |is_bytes, total| Some(ContentRange { is_bytes, total });
        assert_eq!(range("0-24/3573458"), of(false, Some(3_573_458)));
        assert_eq!(range("items 0-24/*"), of(false, None));
        assert_eq!(range("*/0"), of(false, Some(0)));
        assert_eq!(range("bytes 0-99/1000"), of(true, Some(1000)));
        assert_eq!(range("many"), None);
    }

    #[test]
    fn next_links() {
        let next = |value| has_next_link(&headers(&[("link", value)]));
        assert!(next(r#"<https://h/?page=2>; rel="next", <https://h/?page=9>; rel="last""#));
        assert!(next("</x?a=1,2>; title=x; REL=next"));
        assert!(next(r#"<https://h/?page=1>; rel="prev",<https://h/?page=3>; rel="next last""#));
        assert!(!next(r#"<https://h/?rel=next>; rel="last""#));
        assert!(!next(r#"<https://h/>; rel="prev""#));
    }

    #[test]
    fn retry_after_in_both_forms() {
        let wait = |value| retry_after(&headers(&[("retry-after", value)]));
        assert_eq!(wait(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999999"), Some(MAX_WAIT));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        let seconds = wait(&soon).unwrap().as_secs();
        assert!((28..=30).contains(&seconds), "{seconds}");
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_used_up_limit_is_seen() {
        let left = |remaining, reset| {
            used_up(&headers(&[("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)]))
        };
        assert_eq!(left("3", "60"), None);
        assert_eq!(left("0", "60"), Some(Some(Duration::from_secs(60))));
        assert_eq!(left("0", "soon"), Some(None));
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 30;
        let wait = left("0", &at.to_string()).flatten().unwrap().as_secs();
        assert!((28..=30).contains(&wait), "{wait}");
        assert_eq!(used_up(&headers(&[("retry-after", "1")])), None);
    }
}
