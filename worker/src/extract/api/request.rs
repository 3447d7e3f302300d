//! One request: sent, its answer read up to a ceiling, its failure classified.

use std::{
    error::Error as _,
    fmt,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use nstore_shared::{
    config::spec::{ApiSpec, ErrorAction, ErrorHandler, RequestLimits},
    retry::FailureClass,
};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::{Attempt, Policy},
};

use super::access::Access;
use crate::extract::{Excuse, ExtractError};

const MOST_REDIRECTS: usize = 5;
/// How much of an error's body is read.
const ERROR_BYTES: usize = 16_384;
/// How much of it is shown.
const ERROR_CHARS: usize = 300;
/// No Retry-After is taken longer: a typo there must not park a source for years.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A good answer.
pub(super) struct Answer {
    /// Decompressed.
    pub(super) body: Bytes,
    /// As the source calls it; empty when it does not.
    pub(super) content_type: String,
}

/// A request that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The same request may succeed later.
    Passing(String),
    /// The source asks for patience, perhaps for how long.
    Limited(String, Option<Duration>),
    /// Nothing but a change will help.
    Final(FailureClass, String),
    /// It did not leave, and may later, or from another host.
    Excused(Excuse, String),
    /// The window holds more than the source gives: a smaller one may do.
    TooMuch(String),
}

/// A redirect that leads away.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The client of one source: its time-outs, its fixed headers, redirects only within the same origin.
pub(super) fn client(spec: &ApiSpec, user_agent: &str) -> Result<Client, ExtractError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &spec.request.headers {
        let config =
            |what| ExtractError::new(FailureClass::Config, format!("`request.headers`: `{name}` {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| config("is no name of a header"))?;
        headers.insert(
            key,
            HeaderValue::from_str(value).map_err(|_| config("has a value that no header may have"))?,
        );
    }
    let RequestLimits { connect_timeout, read_timeout, total_timeout, .. } = spec.limits;
    Client::builder()
        .user_agent(user_agent)
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        .read_timeout(read_timeout)
        .timeout(total_timeout)
        .redirect(Policy::custom(follow))
        // the address may carry a key
        .referer(false)
        .build()
        .map_err(|e| {
            ExtractError::new(FailureClass::Config, format!("no http client can be made: {}", chain(&e)))
        })
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let first = attempt.previous().first().map(Url::origin);
    let target = attempt.url().origin();
    if first.is_some_and(|first| first != target) {
        let target = target.ascii_serialization();
        return attempt.error(Refused(format!(
            "redirected to another origin, {target}, which is not followed; if that is right, make it the `base_url`"
        )));
    }
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt
            .error(Refused(format!("redirected more than {MOST_REDIRECTS} times; correct `request.path`")));
    }
    attempt.follow()
}

/// Sends one GET.
pub(super) async fn send(
    client: &Client,
    url: Url,
    access: &Access,
    spec: &ApiSpec,
) -> Result<Answer, Failure> {
    let mut request = client.get(url);
    if let Some((name, value)) = &access.header {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|e| broken(e, access))?;
    if response.status().is_success() {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let body = body(response, access, spec.limits.max_body_bytes).await?;
        return Ok(Answer { body, content_type });
    }
    Err(refused(response, access, &spec.error_handlers).await)
}

async fn body(mut response: Response, access: &Access, max: u64) -> Result<Bytes, Failure> {
    let fits = |bytes: u64| match bytes <= max {
        true => Ok(()),
        false => Err(Failure::TooMuch(format!(
            "the answer is larger than {max} bytes; raise `limits.max_body` or ask for smaller pages"
        ))),
    };
    let announced = response.content_length().unwrap_or(0);
    fits(announced)?;
    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(piece) = response.chunk().await.map_err(|e| broken(e, access))? {
        fits((body.len() + piece.len()) as u64)?;
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What a status other than 2xx means.
async fn refused(response: Response, access: &Access, handlers: &[ErrorHandler]) -> Failure {
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let body = error_body(response).await;
    let text = excerpt(&body, ERROR_CHARS, access);
    let said = if text.is_empty() { text } else { format!(": `{text}`") };
    let message = format!("answered {status}{said}");
    if let Some(ErrorAction::SplitWindow) = handled(handlers, status, &body) {
        return Failure::TooMuch(format!("{message}; `error_handlers` says that this window is too wide"));
    }
    let last = |class, hint: &str| Failure::Final(class, format!("{message}; {hint}"));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::Limited(message, wait),
        StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => Failure::Limited(message, wait),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Failure::Passing(message),
        StatusCode::UNAUTHORIZED => {
            last(FailureClass::Auth, "check the secrets of `auth`: wrong, expired, or of another environment")
        }
        StatusCode::FORBIDDEN => last(
            FailureClass::Auth,
            "check what the account behind `auth` may read, and whether this host is let in",
        ),
        StatusCode::NOT_FOUND => last(FailureClass::Config, "check `base_url` and `request.path`"),
        status if status.is_server_error() => Failure::Passing(message),
        status if status.is_redirection() => {
            last(FailureClass::Config, "that is no answer to a plain request; check `request`")
        }
        _ => last(FailureClass::Config, "check `request`, `window` and `paginator`"),
    }
}

/// The start of what the source says of an error.
async fn error_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= ERROR_BYTES {
            break;
        }
    }
    body
}

/// What the source's description says of such an answer.
fn handled(handlers: &[ErrorHandler], status: StatusCode, body: &[u8]) -> Option<ErrorAction> {
    let text = String::from_utf8_lossy(body);
    let fits = |handler: &&ErrorHandler| {
        let code = handler.codes.is_empty() || handler.codes.contains(&status.as_u16());
        code && handler.body_contains.as_deref().is_none_or(|part| text.contains(part))
    };
    handlers.iter().find(fits).map(|handler| handler.action)
}

/// The start of a body on one line, without secrets.
pub(super) fn excerpt(body: &[u8], chars: usize, access: &Access) -> String {
    // cut first to what can matter, but redact before the final cut: half a secret would not be recognised
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    access.redact(&line).chars().take(chars).collect()
}

/// What a request without an answer, or half of one, died of.
fn broken(e: reqwest::Error, access: &Access) -> Failure {
    let e = e.without_url();
    let mut cause = e.source();
    while let Some(inner) = cause {
        if let Some(Refused(message)) = inner.downcast_ref() {
            return Failure::Final(FailureClass::Config, message.clone());
        }
        cause = inner.source();
    }
    let what = match (e.is_connect(), e.is_timeout()) {
        (true, true) => "no connection within the time limit: ",
        (true, false) => "no connection: ",
        (false, true) => "no answer within the time limit: ",
        (false, false) => "",
    };
    Failure::Passing(format!("{what}{}", access.redact(&chain(&e))))
}

/// An error with all its causes.
fn chain(e: &reqwest::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_handler_that_fits_is_taken() {
        let handler = |codes: &[u16], text: Option<&str>| ErrorHandler {
            codes: codes.to_vec(),
            body_contains: text.map(str::to_owned),
            action: ErrorAction::SplitWindow,
        };
        let is_handled = |handler: ErrorHandler, status: u16, body: &str| {
            handled(&[handler], StatusCode::from_u16(status).unwrap(), body.as_bytes()).is_some()
        };
        assert!(is_handled(handler(&[400, 413], None), 413, ""));
        assert!(!is_handled(handler(&[400], None), 500, ""));
        assert!(is_handled(handler(&[], Some("too many")), 500, "{\"error\":\"too many rows\"}"));
        assert!(!is_handled(handler(&[500], Some("too many")), 500, "broken"));
        assert_eq!(handled(&[], StatusCode::BAD_REQUEST, b""), None);
    }

    #[test]
    fn retry_after_in_both_forms() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("99999999999"), Some(LONGEST_WAIT));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        let wait = retry_after(&soon).unwrap().as_secs();
        assert!((28..=30).contains(&wait), "{wait}");
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
