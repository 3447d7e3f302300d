//! Tries of one request: back-off with full jitter, and waiting as long as the source asks for.

use std::time::Duration;

use nstore_shared::{config::spec::RequestRetry, retry::FailureClass};
use tokio::{sync::mpsc, time::sleep};

use super::{budget::Allowance, request::Failure};
use crate::extract::{Excuse, ExtractError, Sent, Split};

/// Longer waits give the chunk back, so that its worker does other work meanwhile; but those for a budget, once the
/// chunk has begun.
pub(super) const LONGEST_IN_PLACE: Duration = Duration::from_secs(60);

/// Tries until it succeeds, or until no further try is due.
pub(super) async fn insist<T, F>(
    retry: &RequestRetry,
    shown: &str,
    pages: &mpsc::Sender<Sent>,
    allowance: Option<&Allowance>,
    mut once: impl FnMut() -> F,
) -> Result<T, ExtractError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let (mut tries, mut limited) = (0, 0);
    loop {
        match once().await {
            Ok(value) => return Ok(value),
            Err(Failure::Final(class, message)) => {
                return Err(ExtractError::new(class, format!("GET {shown}: {message}")));
            }
            Err(Failure::TooMuch(message, answer)) => {
                let error = ExtractError::new(FailureClass::Config, format!("GET {shown}: {message}"));
                return Err(ExtractError { split: Split::AtOnce, answer: Some(answer), ..error });
            }
            Err(Failure::Excused(excuse, message)) => {
                let class = match excuse {
                    Excuse::Patience(_) => FailureClass::RateLimited,
                    Excuse::Host => FailureClass::Transient,
                };
                let error = ExtractError::new(class, format!("GET {shown}: {message}"));
                return Err(ExtractError { excuse: Some(excuse), ..error });
            }
            Err(Failure::Passing(message)) => {
                tries += 1;
                if tries >= retry.attempts {
                    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
                    let message =
                        format!("GET {shown}: {message}; tried {times}, see whether the source is up");
                    return Err(ExtractError::new(FailureClass::Transient, message));
                }
                let wait = retry.backoff.wait(tries, fastrand::f64());
                tracing::debug!(url = shown, tries, ?wait, error = message, "request failed");
                sleep(wait).await;
            }
            Err(Failure::Limited(message, asked)) => {
                limited += 1;
                // never less than half of the usual wait, even for a source that says "0 seconds"
                let usual = || retry.backoff.wait(limited, 0.5 + fastrand::f64() / 2.0);
                let wait = usual().max(asked.unwrap_or_default());
                if let Some(allowance) = allowance {
                    allowance.hold(wait).await;
                }
                if wait > LONGEST_IN_PLACE || limited >= retry.attempts {
                    let message =
                        format!("GET {shown}: {message}; to be left alone for {} s", wait.as_secs_f64());
                    let class = FailureClass::RateLimited;
                    return Err(ExtractError {
                        excuse: Some(Excuse::Patience(wait)),
                        ..ExtractError::new(class, message)
                    });
                }
                tracing::debug!(url = shown, limited, ?wait, "the source asks for patience");
                // a closed channel ends the extraction from outside
                let _ = pages.send(Sent::Patience(wait)).await;
                sleep(wait).await;
            }
        }
    }
}
