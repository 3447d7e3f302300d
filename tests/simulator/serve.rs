//! Answers one request to an API: log, latency, secret, parameters, fault, page.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    caps::{Beyond, Cap, REFUSAL},
    dialects::{Dialect, Params, to_ascii},
    faults::{Fault, FaultKind, Faults, OF_APIS},
    log::Log,
    portal::Portal,
    stock::{Stock, View},
    tokens::Tokens,
};

/// All that the server knows.
pub(crate) struct Hall {
    pub(crate) stock: Stock,
    pub(crate) tokens: Tokens,
    pub(crate) latency: Duration,
    pub(crate) caps: Vec<Cap>,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) portal: Portal,
}

/// An answer before it is sent.
struct Answer {
    status: u16,
    body: Value,
}

/// Answers a request to one of the five APIs.
pub(crate) async fn api(
    State((hall, dialect)): State<(Arc<Hall>, &'static dyn Dialect)>,
    request: Request,
) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or(""));
    let mut entry = hall.log.enter(dialect.api().name(), request.method().as_str(), path, query);
    tokio::time::sleep(hall.latency).await;
    let params = Query::<Params>::try_from_uri(request.uri()).map(|Query(params)| params).unwrap_or_default();
    let response = match allow(dialect, &hall, request.headers(), &params) {
        Err(refused) => plain(dialect, &refused),
        Ok(window) => match hall.faults.take(dialect.api(), OF_APIS, Some(&window)) {
            Some(fault) => {
                tokio::time::sleep(fault.delay()).await;
                spoil(&fault, dialect, || page(dialect, &hall, &params, window))
            }
            None => plain(dialect, &page(dialect, &hall, &params, window)),
        },
    };
    entry.answered(response.status().as_u16());
    response
}

/// The window that is asked for, if the caller may ask.
fn allow(
    dialect: &dyn Dialect,
    hall: &Hall,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Range<i64>, Answer> {
    if !dialect.lets_in(headers, params, &hall.tokens) {
        return Err(refuse(dialect, 401, "the credentials are wrong"));
    }
    if let Some(name) = params.keys().find(|name| !dialect.params().contains(&name.as_str())) {
        return Err(refuse(dialect, 400, &format!("parameter {name} is unknown")));
    }
    dialect.window(params).map_err(|message| refuse(dialect, 400, &message))
}

fn refuse(dialect: &dyn Dialect, status: u16, message: &str) -> Answer {
    Answer { status, body: dialect.refusal(status, message) }
}

fn page(dialect: &dyn Dialect, hall: &Hall, params: &Params, window: Range<i64>) -> Answer {
    let stock = &hall.stock;
    let Some(mut slice) = stock.slice(dialect.api(), window) else {
        return refuse(dialect, 400, "the window is too wide");
    };
    if let Some(cap) = hall.caps.iter().find(|cap| cap.api == dialect.api() && slice.total > cap.records) {
        match cap.how {
            Beyond::Refused => return refuse(dialect, 400, REFUSAL),
            Beyond::CutOff => slice.cut_off(cap.records),
        }
    }
    let view = View { stock, api: dialect.api(), slice };
    match dialect.page(params, &view) {
        Ok(body) => Answer { status: 200, body },
        Err(message) => refuse(dialect, 400, &message),
    }
}

fn text(dialect: &dyn Dialect, body: &Value) -> String {
    let json = body.to_string();
    if dialect.ascii() { to_ascii(&json) } else { json }
}

fn plain(dialect: &dyn Dialect, answer: &Answer) -> Response {
    build(answer.status, "application/json", None, Body::from(text(dialect, &answer.body)))
}

fn build(status: u16, kind: &str, retry_after: Option<&str>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut set = |name, value: &str| value.parse().map(|value| headers.insert(name, value)).ok();
    set(header::CONTENT_TYPE, kind);
    retry_after.and_then(|value| set(header::RETRY_AFTER, value));
    response
}

/// The answer as the fault leaves it.
fn spoil(fault: &Fault, dialect: &dyn Dialect, page: impl FnOnce() -> Answer) -> Response {
    let error = |status: u16, message| {
        let status = fault.status.unwrap_or(status);
        let after = fault.retry_after.as_deref().or((status == 429).then_some("1"));
        build(status, "application/json", after, Body::from(text(dialect, &dialect.refusal(status, message))))
    };
    match fault.kind {
        FaultKind::RateLimit => error(429, "too many requests"),
        FaultKind::ErrorBurst => error(500, "something broke"),
        FaultKind::Auth => error(401, "the credentials are wrong"),
        FaultKind::HalfBody => half(text(dialect, &page().body)),
        FaultKind::Endless => endless(),
        FaultKind::Html => {
            let status = fault.status.unwrap_or(200);
            build(
                status,
                "text/html; charset=utf-8",
                None,
                Body::from("<html><body><h1>Down for maintenance</h1></body></html>"),
            )
        }
        FaultKind::BadJson => {
            let mut json = text(dialect, &page().body).into_bytes();
            json.truncate(json.len() * 2 / 3);
            build(200, "application/json", None, Body::from(json))
        }
        FaultKind::Drift => plain(dialect, &drift(dialect, page())),
        // unwinding without the panic hook ends this connection's task, and with it the connection
        FaultKind::Hang | FaultKind::Abort => std::panic::resume_unwind(Box::new("connection cut on demand")),
        // late; the portal's kinds are never ordered for an API
        _ => plain(dialect, &page()),
    }
}

/// Half of a body, then the connection breaks.
fn half(text: String) -> Response {
    let length = text.len();
    let mut bytes = Bytes::from(text);
    bytes.truncate(length / 2);
    // the first half must be on its way before the cut
    let cut = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("cut on demand"))
    };
    let parts = stream::once(async { Ok(bytes) }).chain(stream::once(cut));
    let mut response = build(200, "application/json", None, Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

/// A body without an end; a blank is good JSON so far.
fn endless() -> Response {
    const BLANKS: Bytes = Bytes::from_static(&[b' '; 16 << 10]);
    build(
        200,
        "application/json",
        None,
        Body::from_stream(stream::repeat_with(|| std::io::Result::Ok(BLANKS))),
    )
}

fn drift(dialect: &dyn Dialect, mut answer: Answer) -> Answer {
    let (records, field) = dialect.drifts();
    if let Some(record) = answer.body.pointer_mut(records).and_then(|records| records.get_mut(0)) {
        record[field] = json!("three or so");
    }
    answer
}
