//! Who is signed in: sessions on the server, known by a cookie or, in a frame of another origin, by a token.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};

use super::text_header;

const COOKIE: &str = "portal_session";

/// All sessions, and logins that still lack an answer.
pub(super) struct Sessions {
    life: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<String, Session>,
    tickets: BTreeSet<String>,
}

struct Session {
    since: Instant,
    token: String,
}

impl Sessions {
    pub(super) fn new(life: Option<Duration>) -> Self {
        Self { life, state: Mutex::default() }
    }

    /// Opens a session; the value of `Set-Cookie`. One that stays outlives the browser.
    pub(super) fn open(&self, stays: bool) -> String {
        let (id, token) = (secret(), secret());
        let age = if stays { "; Max-Age=7776000" } else { "" };
        let cookie = format!("{COOKIE}={id}; Path=/powerbi; HttpOnly; SameSite=Lax{age}");
        self.locked(|state| state.open.insert(id, Session { since: Instant::now(), token }));
        cookie
    }

    /// A ticket for somebody whose password was right.
    pub(super) fn ticket(&self) -> String {
        let ticket = secret();
        self.locked(|state| state.tickets.insert(ticket.clone()));
        ticket
    }

    /// Whether the ticket was good; it is good once.
    pub(super) fn redeem(&self, ticket: &str) -> bool {
        self.locked(|state| state.tickets.remove(ticket))
    }

    /// The session of a request: its cookie's, or that of the token which a frame carries.
    pub(super) fn of(&self, headers: &HeaderMap, token: Option<&str>) -> Option<String> {
        let cookie = cookie(headers).unwrap_or_default();
        let token = token.or_else(|| text_header(headers, header::AUTHORIZATION).strip_prefix("EmbedToken "));
        self.locked(|state| {
            if let Some(life) = self.life {
                state.open.retain(|_, session| session.since.elapsed() < life);
            }
            let known =
                state.open.iter().find(|(id, session)| *id == cookie || Some(&*session.token) == token);
            known.map(|(id, _)| id.clone())
        })
    }

    /// The token that stands for a session in a frame of another origin.
    pub(super) fn token(&self, id: &str) -> Option<String> {
        self.locked(|state| state.open.get(id).map(|session| session.token.clone()))
    }

    /// Cookies and tokens of all open sessions.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.locked(|state| {
            state.open.iter().flat_map(|(id, session)| [id.clone(), session.token.clone()]).collect()
        })
    }

    pub(super) fn forget(&self, id: &str) {
        self.locked(|state| state.open.remove(id));
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = text_header(headers, header::COOKIE).split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn secret() -> String {
    hex::encode(std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..)))
}
