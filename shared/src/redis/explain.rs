//! What an error of the crate means for nstore: what passes by waiting, what is refused, and what to do about it.

use std::{error::Error, io, sync::Arc};

use redis::ErrorKind;
use rustls::{AlertDescription, CertificateError};

use super::RedisError;

/// Errors of the server that pass when one waits: memory or disk full, loading, failing over.
const PASSING: [&str; 11] = [
    "OOM",
    "MISCONF",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "READONLY",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "NOREPLICAS",
];

/// What a call's error means; `url` is free of secrets.
pub(super) fn explain(url: &str, error: &redis::RedisError) -> RedisError {
    let url = url.to_owned();
    let encrypted = url.starts_with("rediss");
    let said = || error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let refused = |reason: String| RedisError::Refused { url: url.clone(), reason };
    if let Some(reason) = of_tls(error) {
        return refused(reason);
    }
    match error.code() {
        Some("WRONGPASS") => refused("wrong user or password; correct them in the url".to_owned()),
        Some("NOAUTH") => {
            refused("it asks for a password; write redis://[user]:password@host[:port]".to_owned())
        }
        Some("NOPERM") => refused(format!("its user lacks a right: {}", said())),
        Some(code) if PASSING.contains(&code) => {
            RedisError::Unreachable { url, reason: format!("{code} {}", said()) }
        }
        Some(_) if said().contains("cluster support disabled") => {
            let reason = "it is no node of a cluster; write redis:// or rediss://".to_owned();
            RedisError::Unfit { url, reason }
        }
        Some(code) => match newer(&said()) {
            Some((found, known)) => RedisError::Newer { url, found, known },
            None => RedisError::Protocol(format!("{code} {}", said())),
        },
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            refused("wrong user or password; correct them in the url".to_owned())
        }
        None if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => RedisError::Unreachable {
            url,
            reason: "its sentinels know no primary of that name that lives".to_owned(),
        },
        None if error.is_timeout() => {
            let plain = if encrypted { ", or does it speak no TLS" } else { "" };
            let reason = format!("no answer in time; is it overloaded or stopped{plain}");
            RedisError::Unreachable { url, reason }
        }
        // the first connection has shown that it is one; a cut connection leaves half an answer
        None if error.kind() == ErrorKind::Parse => {
            RedisError::Unreachable { url, reason: format!("its answer broke off: {error}") }
        }
        None if error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound => {
            RedisError::Unreachable { url, reason: error.to_string() }
        }
        None => RedisError::Protocol(error.to_string()),
    }
}

/// The library's word that what stands in Redis is of a newer one: both formats.
fn newer(said: &str) -> Option<(u32, u32)> {
    let (_, formats) = said.split_once("nstore: queue format ")?;
    let (found, known) = formats.split_once(", library knows ")?;
    let known = known.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((found.parse().ok()?, known.parse().ok()?))
}

/// What the failure of a first connection means: here the URL itself may be wrong.
pub(super) fn explain_first(url: &str, error: &redis::RedisError) -> RedisError {
    let cut_off = error.is_connection_dropped() && !error.is_connection_refusal();
    if error.kind() == ErrorKind::Parse {
        let reason = "what answers there is no redis; are host and port right".to_owned();
        return RedisError::Unfit { url: url.to_owned(), reason };
    }
    match explain(url, error) {
        RedisError::Unreachable { url, reason } if cut_off && !url.starts_with("rediss") => {
            RedisError::Unreachable {
                url,
                reason: format!("{reason}; if it speaks TLS there, write rediss://"),
            }
        }
        other => other,
    }
}

/// What TLS did not like: it stays so however long one waits.
fn of_tls(error: &redis::RedisError) -> Option<String> {
    // it stands below, in an error of I/O that the crate shares
    let shared = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let tls = shared.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody that is trusted here signed its certificate; name the authority that did with ?ca=FILE"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            wrong @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => format!("its certificate is of another host: {wrong}; is the url's host right"),
        rustls::Error::InvalidCertificate(other) => format!("its certificate is not valid: {other}"),
        rustls::Error::InvalidMessage(_) => {
            "it speaks no TLS on this port; write the port where it does, or redis://".to_owned()
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        ) => format!("{tls}; where it asks for a client's certificate, add ?cert=FILE&key=FILE"),
        other => format!("no TLS with it: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_and_what_does_not() {
        let error = |text: &str| {
            let bytes = format!("-{text}\r\n").into_bytes();
            let said = redis::parse_redis_value(&bytes).unwrap().extract_error().unwrap_err();
            explain("redis://localhost", &said)
        };
        assert!(matches!(error("WRONGPASS no"), RedisError::Refused { .. }));
        assert!(matches!(error("NOPERM no"), RedisError::Refused { .. }));
        assert!(matches!(error("ERR This instance has cluster support disabled"), RedisError::Unfit { .. }));
        assert!(error("OOM command not allowed").may_pass());
        assert!(error("LOADING dataset").may_pass());
        assert!(matches!(error("WRONGTYPE of key"), RedisError::Protocol(_)));
        let newer = error("ERR nstore: queue format 3, library knows 2 script: claim, on @user_function:90.");
        assert!(
            matches!(newer, RedisError::Newer { found: 3, known: 2, .. }) && !newer.may_pass(),
            "{newer}"
        );
    }
}
