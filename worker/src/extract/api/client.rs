//! The HTTP client of one source: its time-outs, its fixed headers, whom it trusts, which redirects it follows.

use std::{error::Error as _, fmt, time::Duration};

use nstore_shared::{
    config::spec::{ApiSpec, RequestLimits},
    retry::FailureClass,
};
use reqwest::{
    Certificate, Client, ClientBuilder, Url,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
    redirect::{Attempt, Policy},
};

use super::{access::Access, request::Failure};
use crate::extract::ExtractError;

const MAX_REDIRECTS: usize = 5;
/// A connection that no request used for so long is closed: servers close idle ones after 5 s and more, and a request
/// that meets that fails.
const MAX_IDLE: Duration = Duration::from_secs(3);

/// A redirect that is not followed.
#[derive(Debug)]
struct RedirectError(String);

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RedirectError {}

/// Builds the client of a source.
///
/// # Errors
/// Class `config` when a header or the file of `tls.ca` cannot be used.
pub(super) fn client(spec: &ApiSpec, user_agent: &str) -> Result<Client, ExtractError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &spec.request.headers {
        let config = |what| config(format!("`request.headers`: `{name}` {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| config("is no name of a header"))?;
        headers.insert(
            key,
            HeaderValue::from_str(value).map_err(|_| config("has a value that no header may have"))?,
        );
    }
    let RequestLimits { connect_timeout, read_timeout, total_timeout, .. } = spec.limits;
    let builder = Client::builder()
        .user_agent(user_agent)
        .default_headers(headers)
        .connect_timeout(connect_timeout)
        .read_timeout(read_timeout)
        .timeout(total_timeout)
        .redirect(Policy::custom(follow))
        .pool_idle_timeout(MAX_IDLE)
        // the address may carry a key
        .referer(false);
    let builder = match &spec.tls_ca {
        Some(file) => trusting(builder, file)?,
        None => builder,
    };
    builder.build().map_err(|e| config(format!("no http client can be made: {}", chain(&e))))
}

fn config(message: String) -> ExtractError {
    ExtractError::new(FailureClass::Config, message)
}

fn trusting(builder: ClientBuilder, file: &str) -> Result<ClientBuilder, ExtractError> {
    let pem = std::fs::read(file).map_err(|e| config(format!("`tls.ca`: cannot read {file}: {e}")))?;
    let certificates = Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
    let certificates =
        certificates.ok_or_else(|| config(format!("`tls.ca`: {file} holds no certificate in PEM form")))?;
    Ok(builder.tls_certs_merge(certificates))
}

/// Redirects stay within the source's origin and keep the query: without it a source answers something else.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if let Some(message) = attempt.previous().first().and_then(|first| refusal(first, attempt.url())) {
        return attempt.error(RedirectError(message));
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(RedirectError(format!(
            "redirected more than {MAX_REDIRECTS} times; correct `request.path`"
        )));
    }
    attempt.follow()
}

/// Why a redirect is not followed; values of parameters are not shown, since one may be a key.
fn refusal(asked: &Url, target: &Url) -> Option<String> {
    if asked.origin() != target.origin() {
        let target = target.origin().ascii_serialization();
        return Some(format!(
            "redirected to another origin, {target}, which is not followed; if that is right, make it the `base_url`"
        ));
    }
    let lost: Vec<String> = asked
        .query_pairs()
        .filter(|pair| !target.query_pairs().any(|kept| kept == *pair))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    (!lost.is_empty()).then(|| {
        format!(
            "redirected to {}, which loses or changes the parameters {}: the answer would be to another question; \
             correct `base_url` or `request.path`",
            target.path(),
            lost.join(", ")
        )
    })
}

/// Why a request has no answer, or half of one.
pub(super) fn broken(e: reqwest::Error, access: &Access) -> Failure {
    let e = e.without_url();
    let mut cause = e.source();
    while let Some(inner) = cause {
        if let Some(RedirectError(message)) = inner.downcast_ref() {
            return Failure::Final(FailureClass::Config, message.clone());
        }
        cause = inner.source();
    }
    let text = access.redact(&chain(&e));
    if let Some(hint) = certificate_hint(&text) {
        return Failure::Final(FailureClass::Config, format!("no connection: {text}; {hint}"));
    }
    let what = match (e.is_connect(), e.is_timeout()) {
        (true, true) => "no connection within the time limit: ",
        (true, false) => "no connection: ",
        (false, true) => "no answer within the time limit: ",
        (false, false) => "",
    };
    Failure::Passing(format!("{what}{text}"))
}

/// What to do about a server's certificate that is not accepted, which no further attempt mends.
fn certificate_hint(text: &str) -> Option<&'static str> {
    if !text.contains("invalid peer certificate") {
        return None;
    }
    Some(if text.contains("UnknownIssuer") {
        "this host does not know the authority that signed the server's certificate: name its file in `tls: { ca: FILE }` \
         of the source, or in SSL_CERT_FILE for all sources of the worker"
    } else if text.contains("not valid for name") {
        "the server's certificate is for another name; correct `base_url`"
    } else {
        "the server's certificate is not valid; tell who runs the source"
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_the_query() {
        let refused = |asked: &str, target: &str| {
            refusal(&Url::parse(asked).unwrap(), &Url::parse(target).unwrap()).unwrap_or_default()
        };
        let asked = "https://h/v1/x?from=1&to=2&key=k3y";
        for kept in ["https://h/v2/x?to=2&from=1&key=k3y&extra=1", asked] {
            assert_eq!(refused(asked, kept), "");
        }
        let said = refused(asked, "https://h/v2/x?from=1&to=3");
        assert!(said.contains("`to`, `key`") && !said.contains("k3y") && !said.contains("`from`"), "{said}");
        assert!(refused(asked, "https://h/login").contains("/login, which loses"));
        assert!(refused(asked, "http://h/v1/x?from=1&to=2&key=k3y").contains("another origin, http://h"));
        assert_eq!(refused("https://h/a", "https://h/b"), "");
    }
}
