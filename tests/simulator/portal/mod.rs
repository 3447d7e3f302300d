//! A portal like Power BI's, for a browser: a login in steps, and a report in a frame with slicers, a grid and exports.
//!
//! - `login`: the steps of signing in; `sessions`: who is signed in; `report`: the pages
//! - `querydata`: what the page's own query answers, in the form that `dsr` encodes; `export`: files of it
//! - `former`: the same report as a plain table in the page, as it was before it had a frame; `Form` says which is served
//! - `figures`: the rows that all of them show; `pages/`: HTML, scripts and style
//!
//! Nothing here is Microsoft's: only ids, paths and shapes are alike, so that a worker meets what it will meet there.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    faults::{Fault, FaultKind},
    rows::Api,
    serve::Hall,
};

mod dsr;
mod export;
mod figures;
mod former;
mod login;
mod querydata;
mod report;
mod sessions;

use sessions::Sessions;

const SOURCE: Api = Api::NetworkObservability;

/// Places where a fault may strike, each with the kinds that it knows.
mod places {
    use super::FaultKind::{
        self, AccountPicker, Dialog, ErrorBurst, ExportHtml, FilterLost, ForeignFrame, GrowingRowcount, Hang,
        HeaderOnly, Html, Mfa, MoreInformation, NoExport, NoFrame, NoResponse, OdataError, Oom, Restart,
        SessionExpired, SeveralQueries, SlicersSwapped, Slow, SlowDownload, StaySignedIn, WrongRowcount,
    };

    /// The login page.
    pub(super) const LOGIN: &[FaultKind] = &[AccountPicker];
    /// The right password.
    pub(super) const PASSWORD: &[FaultKind] = &[Mfa, MoreInformation, StaySignedIn];
    /// The session, when the report or a query is asked for.
    pub(super) const SESSION: &[FaultKind] = &[SessionExpired];
    /// The report's page.
    pub(super) const REPORT: &[FaultKind] = &[ErrorBurst, Html, NoFrame, ForeignFrame, Dialog];
    /// The report's frame.
    pub(super) const FRAME: &[FaultKind] = &[SlicersSwapped, NoExport];
    /// Each refresh of the visual, the first one included.
    pub(super) const REFRESH: &[FaultKind] = &[WrongRowcount, GrowingRowcount, SeveralQueries];
    /// A click on Apply.
    pub(super) const APPLY: &[FaultKind] = &[FilterLost, Hang, Oom];
    /// The answer to a query.
    pub(super) const QUERY: &[FaultKind] = &[Slow, OdataError, NoResponse, Restart];
    /// An export.
    pub(super) const EXPORT: &[FaultKind] = &[HeaderOnly, ExportHtml, SlowDownload];

    pub(super) const ALL: [&[FaultKind]; 9] =
        [LOGIN, PASSWORD, SESSION, REPORT, FRAME, REFRESH, APPLY, QUERY, EXPORT];
}

/// Whether the portal knows a kind of fault.
pub(crate) fn knows(kind: FaultKind) -> bool {
    places::ALL.into_iter().flatten().any(|known| *known == kind)
}

/// Which form of the report is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// In a frame, with a query behind it, a grid and exports.
    #[default]
    Present,
    /// A plain table with pages in the page itself, as the replaced program knew it.
    Former,
}

/// What the portal remembers, and its limits.
pub(crate) struct Portal {
    sessions: Sessions,
    export_cap: Option<u64>,
    form: Mutex<Form>,
}

impl Portal {
    pub(crate) fn new(session_life: Option<Duration>, export_cap: Option<u64>, form: Form) -> Self {
        Self { sessions: Sessions::new(session_life), export_cap, form: Mutex::new(form) }
    }

    /// The form of the report that is served.
    fn form(&self) -> Form {
        *self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves another form of the report from now on.
    pub(crate) fn serve(&self, form: Form) {
        *self.form.lock().unwrap_or_else(PoisonError::into_inner) = form;
    }

    /// What the sessions that are open are known by.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.sessions.secrets()
    }
}

/// All of its pages and endpoints, below `/powerbi`.
pub(crate) fn routes(hall: &Arc<Hall>) -> Router {
    let logged = Router::new()
        .route("/powerbi", get(report::home))
        .route("/powerbi/", get(report::home))
        .route("/powerbi/login", get(login::page).post(login::sign_in))
        .route("/powerbi/login/lookup", post(login::look_up))
        .route("/powerbi/login/stay", post(login::stay))
        .route("/powerbi/signout", get(login::sign_out))
        .route("/powerbi/reports/network-obs", get(report::page))
        .route("/powerbi/reports/network-obs/rows", get(former::rows))
        .route("/powerbi/embed/network-obs", get(report::frame))
        .route("/powerbi/conceptualschema", get(report::schema))
        .route("/powerbi/querydata", post(querydata::answer))
        .route("/powerbi/export", get(export::download))
        .layer(from_fn_with_state(Arc::clone(hall), log));
    logged
        .route("/powerbi/behaviour", get(report::behaviour))
        .route("/powerbi/assets/{name}", get(asset))
        .with_state(Arc::clone(hall))
}

/// Writes a request down, and lets it wait as those to the APIs do.
async fn log(State(hall): State<Arc<Hall>>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().to_string(), request.uri().clone());
    let mut entry = hall.log.enter(SOURCE.name(), &method, uri.path(), uri.query().unwrap_or(""));
    tokio::time::sleep(hall.latency).await;
    let response = next.run(request).await;
    entry.answered(response.status().as_u16());
    response
}

/// The faults that strike now: at most one of each kind.
async fn struck(hall: &Hall, place: &[FaultKind], window: Option<&std::ops::Range<i64>>) -> Vec<Fault> {
    let taken = place.iter().filter_map(|kind| hall.faults.take(SOURCE, &[*kind], window));
    let faults: Vec<Fault> = taken.collect();
    let wait = faults.iter().map(|fault| fault.delay_ms).max().unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait)).await;
    faults
}

/// Whether a kind is among them.
fn among(faults: &[Fault], kind: FaultKind) -> bool {
    faults.iter().any(|fault| fault.kind == kind)
}

async fn asset(Path(name): Path<String>) -> Response {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let (kind, text) = match name.as_str() {
        "portal.css" => ("text/css; charset=utf-8", include_str!("pages/portal.css")),
        "login.js" => (SCRIPT, include_str!("pages/login.js")),
        "former.js" => (SCRIPT, include_str!("pages/former.js")),
        "report.js" => (SCRIPT, include_str!("pages/report.js")),
        "frame.js" => (SCRIPT, include_str!("pages/frame.js")),
        "slicers.js" => (SCRIPT, include_str!("pages/slicers.js")),
        "query.js" => (SCRIPT, include_str!("pages/query.js")),
        "grid.js" => (SCRIPT, include_str!("pages/grid.js")),
        "table.js" => (SCRIPT, include_str!("pages/table.js")),
        "export.js" => (SCRIPT, include_str!("pages/export.js")),
        _ => return respond(StatusCode::NOT_FOUND, "text/plain", "no such file"),
    };
    respond(StatusCode::OK, kind, text)
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

fn json(status: StatusCode, body: &Value) -> Response {
    respond(status, "application/json; charset=utf-8", body.to_string())
}

/// A page whose script finds `config` in it.
fn page(html: &str, config: &Value) -> Response {
    // a `<` could end the script element that holds it
    let config = config.to_string().replace('<', "\\u003c");
    respond(StatusCode::OK, "text/html; charset=utf-8", html.replace("{{config}}", &config))
}

fn with_header(mut response: Response, name: header::HeaderName, value: &str) -> Response {
    if let Ok(value) = value.parse() {
        response.headers_mut().append(name, value);
    }
    response
}

fn redirect(to: &str) -> Response {
    with_header(respond(StatusCode::FOUND, "text/plain", ""), header::LOCATION, to)
}

/// To the login page, which comes back to `from`.
fn to_login(from: &str) -> Response {
    let from = from.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    });
    redirect(&format!("/powerbi/login?return={from}"))
}

fn text_header(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
