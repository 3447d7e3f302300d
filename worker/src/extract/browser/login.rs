//! Signs in: looks which page is to be seen, answers it, looks again. At most ten times.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::{
        secrets::Secret,
        spec::browser::{Login, LoginFlow, Selector},
    },
    retry::FailureClass,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    chrome::{Chrome, ChromeError, watch::bare},
    opening::{accept, load, with_looks},
    scripts::Script,
    sessions::Session,
    trouble::{Trouble, origin},
};

/// Looks at the page before it is given up.
const LOOKS: u32 = 10;
/// The same page is answered so often; a page that comes again says no.
const ANSWERS: u32 = 2;
/// How long a page without a login must stay to be one of a signed-in user: an empty one may be about to send us on.
const STAYS: Duration = Duration::from_secs(1);
/// How long a page may take until it is known.
const ONE_LOOK: Duration = Duration::from_secs(15);

/// What is to be seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Look {
    /// `in`, `unknown`, `refused`, `mfa`, `more`, or the page that wants an answer.
    pub(super) state: String,
    /// What the page says, where that matters.
    #[serde(default)]
    text: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    heading: String,
}

impl Look {
    /// The page is one of a login: whoever was signed in is it no more.
    pub(super) fn is_login(&self) -> bool {
        matches!(self.state.as_str(), "account" | "password" | "picker" | "form" | "stay")
    }
}

/// User name and password.
pub(super) struct Credentials {
    pub(super) username: Secret,
    pub(super) password: Secret,
}

/// Looks once which page is to be seen.
pub(super) async fn look(
    chrome: &Chrome,
    login: &Login,
    frame: Option<&Selector>,
    limit: Duration,
    stays: Duration,
) -> Result<Look, ChromeError> {
    let input = json!({
        "flow": flow(login),
        "fields": fields(login),
        "signed_in": login.signed_in.as_ref().map(|selector| &selector.0),
        "stays": millis(stays),
        "ms": millis(limit),
    });
    let end = Instant::now() + limit;
    loop {
        let (input, frame) = (input.clone(), frame.cloned());
        match chrome.ask(limit, move |seat| seat.run(frame.as_ref(), Script::Login, &input)).await {
            // it gave way to another page: that one counts
            Err(ChromeError::ContextLost) if Instant::now() < end => {}
            answer => return answer.and_then(|value| read(&value)),
        }
    }
}

fn read(value: &Value) -> Result<Look, ChromeError> {
    Look::deserialize(value).map_err(|e| ChromeError::Protocol(e.to_string()))
}

/// Signs in and gives what there is to remember of it.
pub(super) async fn sign_in(chrome: &Chrome, login: &Login, who: &Credentials) -> Result<Session, Trouble> {
    let end = Instant::now() + login.timeout;
    let (status, _) = load(chrome, &login.url, login.timeout).await?;
    if let Err(trouble) = accept(&login.url, status) {
        return Err(with_looks(chrome, None, trouble).await);
    }
    let mut answered: Vec<String> = Vec::new();
    for _ in 0..LOOKS {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let seen =
            look(chrome, login, None, left.min(ONE_LOOK), STAYS).await.map_err(|error| at(login, error))?;
        if seen.state == "in" {
            return remember(chrome, login).await;
        }
        if let Some(refused) = refused(login, &seen) {
            return Err(refused);
        }
        if answered.iter().filter(|state| **state == seen.state).count() >= ANSWERS as usize {
            let message = format!(
                "login at {}: the page `{}` comes back again and again; are user name and password right?",
                login.url, seen.state
            );
            let asked = answered.iter().any(|state| state == "password" || state == "form");
            let class = if asked { FailureClass::Auth } else { FailureClass::Transient };
            return Err(Trouble::new(class, message));
        }
        answer(chrome, login, who, &seen.state, left).await?;
        answered.push(seen.state);
    }
    let message = format!(
        "login at {} did not end within {} s; pages on the way: {}",
        login.url,
        login.timeout.as_secs(),
        answered.join(", ")
    );
    Err(Trouble::passing(message))
}

fn at(login: &Login, error: ChromeError) -> Trouble {
    Trouble::from(error).during(&format!("login at {}", login.url))
}

/// A page that no user name and no password gets past.
fn refused(login: &Login, seen: &Look) -> Option<Trouble> {
    let auth =
        |text: String| Some(Trouble::new(FailureClass::Auth, format!("login at {}: {text}", login.url)));
    match seen.state.as_str() {
        "refused" => auth(format!("refused: {}", seen.text)),
        "mfa" => auth(format!(
            "asks for a second factor (`{}`): use an account without one, or exempt it from the policy",
            seen.text
        )),
        "more" => {
            auth(format!("`{}`: sign in once by hand with this account and answer what it asks", seen.text))
        }
        "unknown" => {
            let message = format!(
                "login at {}: neither a login nor a page of a signed-in user at {}: title `{}`, heading `{}`, text `{}`",
                login.url,
                bare(&seen.url),
                seen.title,
                seen.heading,
                seen.text
            );
            Some(Trouble::passing(message))
        }
        _ => None,
    }
}

async fn answer(
    chrome: &Chrome,
    login: &Login,
    who: &Credentials,
    state: &str,
    left: Duration,
) -> Result<(), Trouble> {
    // each page is told what it asks for, and only pages of the login's own origins are
    let username = matches!(state, "account" | "picker" | "form").then(|| who.username.expose());
    let password = matches!(state, "password" | "form").then(|| who.password.expose());
    let input = json!({
        "state": state,
        "origins": origins(login),
        "username": username,
        "password": password,
        "fields": fields(login),
        "ms": millis(left.min(ONE_LOOK)),
    });
    match chrome.ask(left, move |seat| seat.run(None, Script::Answer, &input)).await {
        // the answer led to another document
        Ok(_) | Err(ChromeError::ContextLost) => Ok(()),
        Err(error) => Err(at(login, error)),
    }
}

async fn remember(chrome: &Chrome, login: &Login) -> Result<Session, Trouble> {
    let limit = login.timeout;
    let kept = move |seat: &super::chrome::Seat| {
        let cookies = seat.cookies()?;
        let kept = seat.run(None, Script::Kept, &Value::Null)?;
        Ok((cookies, kept))
    };
    let (cookies, kept) = chrome.ask(limit, kept).await.map_err(|error| at(login, error))?;
    let origin = kept.get("origin").and_then(Value::as_str).unwrap_or_default().to_owned();
    let entries = kept.get("entries").cloned().unwrap_or_default();
    let entries: Vec<(String, String)> =
        serde_json::from_value(entries).map_err(|e| Trouble::passing(e.to_string()))?;
    let kept = if entries.is_empty() { vec![] } else { vec![(origin, entries)] };
    Ok(Session { cookies, kept })
}

/// Where user name and password may be typed.
pub(super) fn origins(login: &Login) -> Vec<String> {
    const MICROSOFT: [&str; 3] =
        ["https://login.microsoftonline.com", "https://login.live.com", "https://login.microsoft.com"];
    let known: &[&str] = if login.flow == LoginFlow::Microsoft { &MICROSOFT } else { &[] };
    origin(&login.url).into_iter().chain(known.iter().map(|&origin| origin.to_owned())).collect()
}

fn flow(login: &Login) -> &'static str {
    match login.flow {
        LoginFlow::Microsoft => "microsoft",
        LoginFlow::Form { .. } => "form",
    }
}

fn fields(login: &Login) -> Value {
    match &login.flow {
        LoginFlow::Microsoft => json!({}),
        LoginFlow::Form { username_field, password_field, submit, error } => json!({
            "username": username_field.0,
            "password": password_field.0,
            "submit": submit.0,
            "error": error.as_ref().map(|selector| &selector.0),
        }),
    }
}

/// A limit as scripts take it.
pub(super) fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}
