//! Listens to what object stores answer, so that a refusal is known by its code and told without its XML.

use std::pin::Pin;

use bytes::Bytes;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};

/// Where machines in a cloud ask for credentials.
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "169.254.170.2", "metadata.google.internal"];
/// Refusals by these codes are of one request: the next one may pass.
const PASSING: [&str; 5] =
    ["RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "OperationAborted"];
/// Codes of a bucket that is not there; an object that is not there is no refusal.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"];
/// A message longer than this is cut.
const MESSAGE_CHARS: usize = 300;

/// What an object store says when it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}{}{code}{}{message}", gap(code, " "), gap(message, ": "))]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The store's own code, such as `AccessDenied`; empty when it gives none.
    pub code: String,
    /// Its text for people.
    pub message: String,
}

/// What stands before a text that may be empty.
fn gap(text: &str, before: &'static str) -> &'static str {
    if text.is_empty() { "" } else { before }
}

impl Refusal {
    /// Whether the bucket is not there.
    pub fn is_no_bucket(&self) -> bool {
        NO_BUCKET.contains(&self.code.as_str())
    }

    /// Reads an answer; `None` for one that the callers of the store understand, or that may pass.
    fn of(status: u16, body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let field = |name: &str| field(&text, name).unwrap_or_default().chars().take(MESSAGE_CHARS).collect();
        let refusal = Self { status, code: field("Code"), message: field("Message") };
        let meant = match status {
            404 => refusal.is_no_bucket(),
            // the outcome of a condition, a wait for its turn, a range
            304 | 408 | 409 | 412 | 416 | 429 => false,
            _ => !PASSING.contains(&refusal.code.as_str()),
        };
        meant.then_some(refusal)
    }
}

/// The text of the first element of that name.
fn field<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

/// The machine's own source of credentials does not answer, and the environment holds none.
#[derive(Debug, thiserror::Error)]
#[error("no credentials are set, and this machine's metadata service at {host} gives none: {source}")]
pub(super) struct NoCredentials {
    host: String,
    source: HttpError,
}

/// Makes the HTTP clients of object stores.
#[derive(Debug)]
pub(super) struct Listener;

impl HttpConnector for Listener {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Listening(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Listening(HttpClient);

impl HttpService for Listening {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            if METADATA_HOSTS.contains(&host.as_str()) {
                return self.0.execute(request).await.map_err(|source| {
                    HttpError::new(HttpErrorKind::Unknown, NoCredentials { host, source })
                });
            }
            heard(self.0.execute(request).await?).await
        })
    }
}

/// Passes an answer on, or turns it into the refusal that it is.
async fn heard(answer: HttpResponse) -> Result<HttpResponse, HttpError> {
    let status = answer.status();
    if !status.is_client_error() && !status.is_redirection() {
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let body: Bytes = body.bytes().await?;
    match Refusal::of(status.as_u16(), &body) {
        Some(refusal) => Err(HttpError::new(HttpErrorKind::Unknown, refusal)),
        None => Ok(HttpResponse::from_parts(head, body.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_code() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        let refusal = Refusal::of(403, body).unwrap();
        assert_eq!(refusal.to_string(), "403 AccessDenied: Access Denied");
        assert!(!refusal.is_no_bucket());
        let bucket =
            b"<Error><Code>NoSuchBucket</Code><Message>gone</Message><BucketName>b</BucketName></Error>";
        assert!(Refusal::of(404, bucket).unwrap().is_no_bucket());
        assert_eq!(Refusal::of(403, b"").unwrap().to_string(), "403");
        assert_eq!(Refusal::of(301, b"<Code>PermanentRedirect</Code>").unwrap().status, 301);
    }

    #[test]
    fn what_is_no_refusal_passes() {
        let key = b"<Error><Code>NoSuchKey</Code></Error>";
        for (status, body) in [
            (404, &key[..]),
            (404, b""),
            (412, b"<Code>PreconditionFailed</Code>"),
            (409, b"<Code>ConditionalRequestConflict</Code>"),
            (429, b""),
            (400, b"<Code>RequestTimeout</Code>"),
            (400, b"<Code>IncompleteBody</Code>"),
        ] {
            assert_eq!(Refusal::of(status, body), None, "{status}");
        }
    }
}
