//! How a visit gets in, and in again when its session ends on the way: whoever asks for a login, or answers 401, says so.

use std::iter::once;

use nstore_shared::{
    config::spec::browser::{Act, Selector, Step},
    retry::FailureClass,
};
use tracing::info;

use super::{
    chrome::{Chrome, ChromeError},
    lanes::Harvest,
    login,
    opening::{LOOK, with_looks},
    sessions::{Entry, Known},
    trouble::Trouble,
    visit::{Place, Visit},
};

/// A session that has ended is made anew so often in one visit.
const ENTRANCES: u32 = 2;
/// How long a page must have asked for nothing to be at rest.
const AT_REST: std::time::Duration = std::time::Duration::from_millis(500);
/// How long a page must stay as it is to be told by its looks.
const STAYS: std::time::Duration = std::time::Duration::from_millis(200);

/// Why a walk ended early.
pub(super) enum Stopped {
    Trouble(Trouble),
    /// The session has ended, as it looks; with what to say when a fresh one comes to the same.
    SignedOut(Trouble),
    /// A page was refused: the session has ended, or was never enough. One login tells which.
    Refused(Trouble),
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<ChromeError> for Stopped {
    fn from(error: ChromeError) -> Self {
        Self::Trouble(error.into())
    }
}

/// A session that the browser holds now.
struct Entered {
    known: Option<Known>,
    /// This visit has just made it.
    is_fresh: bool,
}

impl Visit<'_> {
    /// Walks to the rows; signs in first, and again where the session ends on the way.
    pub(super) async fn run(&self, chrome: &mut Chrome, place: &mut Place) -> Result<Harvest, Trouble> {
        let (mut stale, mut before, mut left) = (None, Place::default(), ENTRANCES);
        loop {
            *place = Place::default();
            let entered = self.enter(chrome, stale.as_ref()).await?;
            let (trouble, is_vain) = match self.walk(chrome, place).await {
                Ok(harvest) => return Ok(harvest),
                Err(Stopped::Trouble(trouble)) => return Err(trouble),
                Err(Stopped::Refused(trouble)) => (trouble, entered.is_fresh),
                Err(Stopped::SignedOut(trouble)) => (trouble, entered.is_fresh && before == *place),
            };
            if is_vain || left == 0 {
                return Err(trouble);
            }
            info!("the session has ended, signing in anew");
            left -= 1;
            before = place.clone();
            stale = entered.known;
        }
    }

    /// Sees to it that the browser holds a session.
    async fn enter(&self, chrome: &mut Chrome, stale: Option<&Known>) -> Result<Entered, Trouble> {
        let (Some(login), Some(who)) = (&self.spec.login, &self.who) else {
            return Ok(Entered { known: None, is_fresh: false });
        };
        let (known, is_fresh) = match self.sessions.enter(login, who, stale).await? {
            Entry::Known(known) => (known, false),
            Entry::Turn(turn) => {
                // without what an ended session left
                chrome.ask(LOOK, |seat| seat.restore(&[], &[])).await?;
                let session = login::sign_in(chrome, login, who).await?;
                info!(url = login.url, "signed in");
                let known = self.sessions.keep(turn, session).await?;
                chrome.session = Some(known.id);
                (known, true)
            }
        };
        if chrome.session != Some(known.id) {
            let session = known.session.clone();
            chrome.ask(login.timeout, move |seat| seat.restore(&session.cookies, &session.kept)).await?;
            chrome.session = Some(known.id);
        }
        Ok(Entered { known: Some(known), is_fresh })
    }

    /// A step that failed may have failed for a session that ended; `began` is where the walk's requests begin.
    pub(super) async fn why(
        &self,
        chrome: &Chrome,
        step: &Step,
        frame: Option<&Selector>,
        began: u64,
        trouble: Trouble,
    ) -> Stopped {
        if trouble.browser_gone || trouble.capped {
            return trouble.into();
        }
        for frame in once(None).chain(frame.map(Some)) {
            if self.is_signed_out(chrome, frame).await.is_ok_and(|out| out) {
                return Stopped::SignedOut(again_and_again(&trouble.message));
            }
        }
        let trouble = if trouble.absent { self.judge(chrome, step, began, trouble) } else { trouble };
        let trouble = with_looks(chrome, frame, trouble).await;
        match chrome.watch.refused_since(began).filter(|_| self.spec.login.is_some()) {
            Some(address) => {
                Stopped::SignedOut(trouble.and(&format!("{address} answers 401 to a fresh login")))
            }
            None => trouble.into(),
        }
    }

    /// An element that the source names is not there. Where the page has come to rest and shows no sign that anything is
    /// wrong with it, the source is: it fails at once. `wait_for` may wait for rows that these days do not have.
    fn judge(&self, chrome: &Chrome, step: &Step, began: u64, trouble: Trouble) -> Trouble {
        let ignored = self.spec.read().map(|read| &read.ignore[..]).unwrap_or_default();
        if let Some(defect) = chrome.watch.defect_since(began, ignored) {
            return trouble.and(&format!("the page was reached, but {defect}"));
        }
        if let Some(address) = chrome.watch.unrest(AT_REST, ignored) {
            return trouble.and(&format!("the page was reached, but still asks {address}"));
        }
        if matches!(step.act, Act::WaitFor(_) | Act::WaitGone(_)) {
            return trouble
                .and("the page was reached and is at rest: it may have no rows, or the selector is wrong");
        }
        let trouble = trouble.and("the page was reached and is at rest: correct the source file");
        Trouble { class: FailureClass::Config, ..trouble }
    }

    pub(super) async fn is_signed_out(
        &self,
        chrome: &Chrome,
        frame: Option<&Selector>,
    ) -> Result<bool, ChromeError> {
        let Some(login) = &self.spec.login else { return Ok(false) };
        login::look(chrome, login, frame, LOOK, STAYS).await.map(|look| look.is_login())
    }
}

/// The login is there again, whatever was done about it.
pub(super) fn again_and_again(what: &str) -> Trouble {
    let message = format!("signed in again and again, and the pages ask for a login all the same: {what}");
    Trouble::new(FailureClass::Auth, message)
}
