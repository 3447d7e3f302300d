//! The portal's pages besides the login: home, the report, and the frame that the report shows.

use std::{ops::Range, sync::Arc};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Form, among,
    figures::{self, FIRST_SHOWN, LAST_SHOWN},
    former, json, page as html, places, redirect, respond, struck, text_header, to_login,
};
use crate::simulator::{faults::FaultKind, rows::STATUSES, serve::Hall};

pub(super) async fn home(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    match hall.portal.sessions.of(&headers, None) {
        Some(_) => {
            let user = hall.tokens.get("powerbi.username");
            html(include_str!("pages/home.html"), &json!({"user": user}))
        }
        None => redirect("/powerbi/login"),
    }
}

/// Which frame to show, and as what.
#[derive(Deserialize)]
pub(super) struct Shown {
    visual: Option<String>,
    token: Option<String>,
}

impl Shown {
    fn visual(&self) -> &str {
        self.visual.as_deref().filter(|visual| *visual == "table").unwrap_or("grid")
    }
}

pub(super) async fn page(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    uri: Uri,
    Query(shown): Query<Shown>,
) -> Response {
    let back = || to_login(uri.path_and_query().map_or("/powerbi/", |path| path.as_str()));
    let Some(session) = hall.portal.sessions.of(&headers, None) else { return back() };
    if !struck(&hall, places::SESSION, None).await.is_empty() {
        hall.portal.sessions.forget(&session);
        return back();
    }
    let faults = struck(&hall, places::REPORT, None).await;
    if let Some(fault) = faults.iter().find(|fault| fault.kind == FaultKind::ErrorBurst) {
        let status = StatusCode::from_u16(fault.status.unwrap_or(503)).unwrap_or(StatusCode::BAD_GATEWAY);
        return respond(status, "text/html; charset=utf-8", include_str!("pages/unavailable.html"));
    }
    if among(&faults, FaultKind::Html) {
        return respond(StatusCode::OK, "text/html; charset=utf-8", include_str!("pages/unavailable.html"));
    }
    if hall.portal.form() == Form::Former {
        return former::page(&hall);
    }
    let mut frame = format!("/powerbi/embed/network-obs?visual={}", shown.visual());
    if among(&faults, FaultKind::ForeignFrame) {
        let token = hall.portal.sessions.token(&session).unwrap_or_default();
        frame = format!("{}{frame}&token={token}", other_origin(text_header(&headers, header::HOST)));
    }
    let config = json!({
        "user": hall.tokens.get("powerbi.username"),
        "frame": (!among(&faults, FaultKind::NoFrame)).then_some(frame),
        "dialog": among(&faults, FaultKind::Dialog),
    });
    html(include_str!("pages/report.html"), &config)
}

/// The same server under a name that is another origin to a browser.
fn other_origin(host: &str) -> String {
    let port = host.rsplit(':').next().unwrap_or_default();
    let name = if host.starts_with("localhost") { "127.0.0.1" } else { "localhost" };
    format!("http://{name}:{port}")
}

pub(super) async fn frame(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    Query(shown): Query<Shown>,
) -> Response {
    if hall.portal.sessions.of(&headers, shown.token.as_deref()).is_none() {
        return to_login("/powerbi/reports/network-obs");
    }
    let faults = struck(&hall, places::FRAME, None).await;
    let config = json!({
        "visual": shown.visual(),
        "token": shown.token,
        "first": FIRST_SHOWN,
        "last": LAST_SHOWN,
        "statuses": STATUSES,
        "columns": figures::NAMES,
        "swapped": among(&faults, FaultKind::SlicersSwapped),
        "exports": !among(&faults, FaultKind::NoExport),
    });
    html(include_str!("pages/frame.html"), &config)
}

/// What a report asks for beside its rows.
pub(super) async fn schema() -> Response {
    let properties: Value = figures::NAMES.iter().map(|name| json!({"Name": name})).collect();
    json(StatusCode::OK, &json!({"schemas": [{"entities": [{"Name": "Network", "Properties": properties}]}]}))
}

#[derive(Deserialize)]
pub(super) struct Refresh {
    applied: bool,
    first: NaiveDate,
    last: NaiveDate,
}

/// How the page must behave in the refresh that it is about to do. A real page has no such request: it is not logged.
pub(super) async fn behaviour(State(hall): State<Arc<Hall>>, Query(refresh): Query<Refresh>) -> Response {
    let window: Range<i64> = figures::window(refresh.first, refresh.last);
    let mut kinds = vec![];
    if refresh.applied {
        kinds.extend(struck(&hall, places::APPLY, Some(&window)).await);
    }
    kinds.extend(struck(&hall, places::REFRESH, Some(&window)).await);
    json(StatusCode::OK, &kinds.iter().map(|fault| json!(fault.kind)).collect())
}
