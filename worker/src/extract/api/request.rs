//! One request: sent, its answer read up to a ceiling, its failure classified.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nstore_shared::{
    config::spec::{ApiSpec, ErrorAction, ErrorHandler, JsonCondition, NoList},
    retry::FailureClass,
    storage::marker::{SplitAnswer, SplitAnswerKind},
};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap},
};

use super::{
    access::Access,
    charset,
    client::broken,
    headers::{self, ContentRange},
};
use crate::extract::Excuse;

/// How much of an error's body is read, in bytes.
const MAX_ERROR_BYTES: usize = 16_384;
/// How much of it is shown.
const MAX_ERROR_CHARS: usize = 300;

/// A good answer.
pub(super) struct Answer {
    /// Decompressed, as UTF-8; `None` where the answer means that there are no records.
    pub(super) body: Option<Bytes>,
    /// As the source calls it; empty when it does not.
    pub(super) content_type: String,
    /// The source's description takes it for a good one, whatever it says of itself.
    pub(super) is_trusted: bool,
    /// It says of itself that it is a part (206).
    pub(super) is_partial: bool,
    /// Which part it is.
    pub(super) range: Option<ContentRange>,
    /// A `Link` header names a next page.
    pub(super) has_link: bool,
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
    /// The window holds more than the source gives: a smaller one may do, unless it gets the same answer.
    TooMuch(String, SplitAnswer),
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
    let (status, headers) = (response.status(), response.headers().clone());
    if !status.is_success() {
        let body = error_body(response).await;
        return match handled(&spec.error_handlers, status, &body) {
            Some(ErrorAction::Ignore) => Ok(Answer::without_body(status, &headers)),
            action => Err(refused(status, &headers, &body, access, action)),
        };
    }
    let body = body(response, access, spec.limits.max_body_bytes).await?;
    let mut answer = Answer::without_body(status, &headers);
    let body = charset::utf8(body, &answer.content_type)
        .map_err(|e| Failure::Final(FailureClass::Data, format!("{e}; ask the source for UTF-8")))?;
    match handled(&spec.error_handlers, status, &body) {
        Some(ErrorAction::Ignore) => answer.is_trusted = true,
        Some(action) => return Err(refused(status, &headers, &body, access, Some(action))),
        None => {}
    }
    let is_empty = body.trim_ascii().is_empty();
    let is_none = status == StatusCode::NO_CONTENT || (is_empty && spec.empty_body == NoList::NoRecords);
    answer.body = (!is_none).then_some(body);
    Ok(answer)
}

impl Answer {
    /// What the status and the headers say; the body is still to come.
    fn without_body(status: StatusCode, headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self {
            body: None,
            content_type: content_type.unwrap_or_default().to_owned(),
            is_trusted: false,
            is_partial: status == StatusCode::PARTIAL_CONTENT,
            range: headers::content_range(headers),
            has_link: headers::has_next_link(headers),
        }
    }
}

async fn body(mut response: Response, access: &Access, max: u64) -> Result<Bytes, Failure> {
    let fits = |bytes: u64| match bytes <= max {
        true => Ok(()),
        false => Err(format!(
            "the answer is larger than {max} bytes; raise `limits.max_body` or ask for smaller pages"
        )),
    };
    let announced = response.content_length().unwrap_or(0);
    let too_much = |message: String, seen: &[u8]| {
        Failure::TooMuch(message, SplitAnswer::new(SplitAnswerKind::Records, seen))
    };
    fits(announced).map_err(|message| too_much(message, &announced.to_be_bytes()))?;
    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(piece) = response.chunk().await.map_err(|e| broken(e, access))? {
        fits((body.len() + piece.len()) as u64).map_err(|message| too_much(message, &body))?;
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What an answer means that is not a good one, by its handler or else by its status.
fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    access: &Access,
    action: Option<ErrorAction>,
) -> Failure {
    let text = excerpt(body, MAX_ERROR_CHARS, access);
    let said = if text.is_empty() { text } else { format!(": `{text}`") };
    let message = format!("answered {status}{said}");
    match action {
        Some(ErrorAction::SplitWindow) => {
            let answer = SplitAnswer::new(SplitAnswerKind::Refusal, message.as_bytes());
            Failure::TooMuch(format!("{message}; `error_handlers` says that this window is too wide"), answer)
        }
        Some(ErrorAction::Retry) => Failure::Passing(message),
        Some(ErrorAction::Fail) => Failure::Final(
            FailureClass::Data,
            format!("{message}; `error_handlers` says that this is a failure"),
        ),
        Some(ErrorAction::Ignore) | None => by_status(status, headers, message),
    }
}

fn by_status(status: StatusCode, headers: &HeaderMap, message: String) -> Failure {
    let (wait, used_up) = (headers::retry_after(headers), headers::used_up(headers));
    let last = |class, hint: &str| Failure::Final(class, format!("{message}; {hint}"));
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::Limited(message, wait.or(used_up.flatten())),
        // a rate limit by another name
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
            if wait.is_some() || used_up.is_some() =>
        {
            Failure::Limited(message, wait.or(used_up.flatten()))
        }
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
            last(FailureClass::Config, "that does not answer a plain request; check `request`")
        }
        _ => last(FailureClass::Config, "check `request`, `window` and `paginator`"),
    }
}

/// The start of what the source says of an error.
async fn error_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= MAX_ERROR_BYTES {
            break;
        }
    }
    body
}

/// What the source's description says of such an answer.
fn handled(handlers: &[ErrorHandler], status: StatusCode, body: &[u8]) -> Option<ErrorAction> {
    if handlers.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let fits = |handler: &&ErrorHandler| {
        // a body is searched for a text in errors alone, unless the handler names the status: rows may hold any text
        let code = match handler.codes.is_empty() {
            true => handler.json.is_some() || !status.is_success(),
            false => handler.codes.contains(&status.as_u16()),
        };
        code && handler.body_contains.as_deref().is_none_or(|part| text.contains(part))
            && handler.json.as_ref().is_none_or(|condition| meets(condition, &text))
    };
    handlers.iter().find(fits).map(|handler| handler.action)
}

fn meets(condition: &JsonCondition, body: &str) -> bool {
    let Ok(found) = condition.path.find(body) else { return false };
    let found = found.map(serde_json::value::RawValue::get).filter(|raw| *raw != "null");
    let equals = |wanted: &String| {
        found.is_some_and(|raw| match serde_json::from_str::<String>(raw) {
            Ok(text) => text == *wanted,
            Err(_) => raw == wanted,
        })
    };
    condition.exists.is_none_or(|exists| exists == found.is_some())
        && condition.equals.as_ref().is_none_or(equals)
}

/// The start of a body on one line, without secrets.
pub(super) fn excerpt(body: &[u8], chars: usize, access: &Access) -> String {
    // cut first to what can matter, but redact before the final cut: half a secret would not be recognised
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_ERROR_BYTES)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    access.redact(&line).chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(codes: &[u16], text: Option<&str>, json: Option<JsonCondition>) -> ErrorHandler {
        let body_contains = text.map(str::to_owned);
        ErrorHandler { codes: codes.to_vec(), body_contains, json, action: ErrorAction::SplitWindow }
    }

    fn is_handled(handler: ErrorHandler, status: u16, body: &str) -> bool {
        handled(&[handler], StatusCode::from_u16(status).unwrap(), body.as_bytes()).is_some()
    }

    #[test]
    fn the_first_handler_that_fits_is_taken() {
        assert!(is_handled(handler(&[400, 413], None, None), 413, ""));
        assert!(!is_handled(handler(&[400], None, None), 500, ""));
        assert!(is_handled(handler(&[], Some("too many"), None), 500, "{\"error\":\"too many rows\"}"));
        assert!(!is_handled(handler(&[], Some("too many"), None), 200, "[\"too many\"]"), "a row's text");
        assert!(is_handled(handler(&[200], Some("too many"), None), 200, "[\"too many\"]"));
        assert!(!is_handled(handler(&[500], Some("too many"), None), 500, "broken"));
        assert_eq!(handled(&[], StatusCode::BAD_REQUEST, b""), None);
    }

    #[test]
    fn conditions_on_json() {
        let when = |path: &str, equals: Option<&str>, exists: Option<bool>| {
            let (path, equals) = (path.parse().unwrap(), equals.map(str::to_owned));
            handler(&[], None, Some(JsonCondition { path, equals, exists }))
        };
        let body = r#"{"status":"error","code":17,"ok":false,"data":null,"list":[{"a":1}]}"#;
        for (condition, fits) in [
            (when("status", Some("error"), None), true),
            (when("status", Some("ok"), None), false),
            (when("code", Some("17"), None), true),
            (when("ok", Some("false"), None), true),
            (when("data", None, Some(true)), false),
            (when("data", None, Some(false)), true),
            (when("list.0.a", Some("1"), Some(true)), true),
            (when("gone.x", None, Some(false)), true),
            (when("gone.x", Some("1"), None), false),
        ] {
            assert_eq!(is_handled(condition.clone(), 200, body), fits, "{condition:?}");
            assert!(!is_handled(condition, 200, "<html>"), "not JSON");
        }
    }
}
