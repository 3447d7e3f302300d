//! Signing in, in the steps of Microsoft's page: an account, a password, at times a question or a second factor.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{SOURCE, among, json, page as html, places, redirect, struck, with_header};
use crate::simulator::{faults::FaultKind, serve::Hall};

#[derive(Deserialize)]
pub(super) struct Return {
    #[serde(rename = "return")]
    to: Option<String>,
}

impl Return {
    /// Where to go after the login: nowhere outside the portal.
    fn path(&self) -> &str {
        self.to.as_deref().filter(|to| to.starts_with("/powerbi/")).unwrap_or("/powerbi/")
    }
}

pub(super) async fn page(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Response {
    if hall.portal.sessions.of(&headers, None).is_some() {
        return redirect(back.path());
    }
    let faults = struck(&hall, places::LOGIN, None).await;
    let known = hall.tokens.get("powerbi.username");
    // the first tile is somebody else's: who takes it for granted signs in as the wrong one
    let accounts = if among(&faults, FaultKind::AccountPicker) {
        json!([format!("colleague.of.{known}"), known])
    } else {
        json!([])
    };
    html(include_str!("pages/login.html"), &json!({"accounts": accounts, "back": back.path()}))
}

#[derive(Deserialize)]
pub(super) struct Account {
    loginfmt: String,
}

pub(super) async fn look_up(State(hall): State<Arc<Hall>>, Json(account): Json<Account>) -> Response {
    json(StatusCode::OK, &json!({"exists": is_known(&hall, &account.loginfmt)}))
}

/// The account of the secrets, and its colleague, whose password nobody knows.
fn is_known(hall: &Hall, email: &str) -> bool {
    let known = hall.tokens.get("powerbi.username");
    let email = email.trim();
    email.eq_ignore_ascii_case(known) || email.eq_ignore_ascii_case(&format!("colleague.of.{known}"))
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    loginfmt: String,
    passwd: String,
}

/// What comes after the password; the session opens here unless a question comes first.
pub(super) async fn sign_in(State(hall): State<Arc<Hall>>, Json(typed): Json<Credentials>) -> Response {
    let known = hall.tokens.get("powerbi.username");
    let right = typed.loginfmt.trim().eq_ignore_ascii_case(known)
        && typed.passwd == hall.tokens.get("powerbi.password");
    if !right {
        return json(StatusCode::UNAUTHORIZED, &json!({"next": "password"}));
    }
    let next = |step: &str| json(StatusCode::OK, &json!({"next": step}));
    // one question a login
    match hall.faults.take(SOURCE, places::PASSWORD, None).map(|fault| fault.kind) {
        Some(FaultKind::Mfa) => next("approve"),
        Some(FaultKind::MoreInformation) => next("more_information"),
        Some(_) => json(StatusCode::OK, &json!({"next": "stay", "ticket": hall.portal.sessions.ticket()})),
        None => with_header(next("signed_in"), header::SET_COOKIE, &hall.portal.sessions.open(false)),
    }
}

#[derive(Deserialize)]
pub(super) struct Stay {
    ticket: String,
    stay: bool,
}

pub(super) async fn stay(State(hall): State<Arc<Hall>>, Json(answer): Json<Stay>) -> Response {
    if !hall.portal.sessions.redeem(&answer.ticket) {
        return json(StatusCode::UNAUTHORIZED, &json!({"next": "account"}));
    }
    let response = json(StatusCode::OK, &json!({"next": "signed_in"}));
    with_header(response, header::SET_COOKIE, &hall.portal.sessions.open(answer.stay))
}

pub(super) async fn sign_out(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    if let Some(session) = hall.portal.sessions.of(&headers, None) {
        hall.portal.sessions.forget(&session);
    }
    redirect("/powerbi/login")
}
