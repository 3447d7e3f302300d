//! One visit to a dashboard: the steps of the source, one after the other, to the rows.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::{
        secrets::Secret,
        spec::{
            SecretRef,
            browser::{Act, BrowserSpec, FillText, Filter, Selector, Step},
        },
    },
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde_json::{Value, json};
use tracing::{debug, info};

use super::{
    Span,
    chrome::{Chrome, ChromeError},
    lanes::{Harvest, Reading},
    login::{self, Credentials, millis},
    scripts::Script,
    sessions::{Entry, Known, Sessions},
    trouble::{Trouble, inside},
};

/// Pages that do not come, frames that do not mount and filters that do not take are tried so often.
const TRIES: u32 = 3;
/// How long a frame may take to mount before the page is opened again.
const MOUNT: Duration = Duration::from_secs(10);
/// How long a page may load before it is used as it is.
const LOAD: Duration = Duration::from_secs(10);
/// How long a filter may take to show what was set.
const APPLY: Duration = Duration::from_secs(5);
/// A session that has ended is made anew so often in one visit.
const ENTRANCES: u32 = 2;
/// How long it takes to tell a login page.
const LOOK: Duration = Duration::from_secs(5);

/// What a visit needs.
pub(super) struct Visit<'a> {
    pub(super) spec: &'a BrowserSpec,
    pub(super) span: Span,
    pub(super) secrets: &'a (dyn Fn(&SecretRef) -> Option<Secret> + Send + Sync),
    pub(super) sessions: &'a Sessions,
    pub(super) who: Option<Credentials>,
}

/// Where a visit stands, for whoever asks why it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The step's number, from 1, and its word.
    pub(super) step: Option<(usize, &'static str)>,
    /// The frame in which it acts.
    pub(super) frame: Option<Selector>,
}

/// What the steps before `read` leave behind.
#[derive(Default)]
struct Trail {
    evidence: Vec<Evidence>,
    /// Requests of the page from here on are those of the chunk.
    mark: u64,
}

/// Why a walk ended early.
enum Stopped {
    Trouble(Trouble),
    /// The session has ended.
    SignedOut,
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

impl Visit<'_> {
    /// Walks to the rows; signs in first, and again where the session ends on the way.
    pub(super) async fn run(&self, chrome: &mut Chrome, place: &mut Place) -> Result<Harvest, Trouble> {
        let mut stale = None;
        for _ in 0..=ENTRANCES {
            *place = Place::default();
            let known = self.enter(chrome, stale.as_ref()).await?;
            match self.walk(chrome, place).await {
                Ok(harvest) => return Ok(harvest),
                Err(Stopped::Trouble(trouble)) => return Err(trouble),
                Err(Stopped::SignedOut) => info!("the session has ended, signing in anew"),
            }
            stale = known;
        }
        let message = "signed in again and again, and the pages ask for a login all the same";
        Err(Trouble::new(FailureClass::Auth, message))
    }

    /// Sees to it that the browser holds a session.
    async fn enter(&self, chrome: &mut Chrome, stale: Option<&Known>) -> Result<Option<Known>, Trouble> {
        let (Some(login), Some(who)) = (&self.spec.login, &self.who) else { return Ok(None) };
        let known = match self.sessions.enter(login, stale).await? {
            Entry::Known(known) => known,
            Entry::Turn(turn) => {
                let signed_in = match self.fresh(chrome).await {
                    Ok(()) => login::sign_in(chrome, login, who).await,
                    Err(error) => Err(error.into()),
                };
                match signed_in {
                    Ok(session) => {
                        info!(url = login.url, "signed in");
                        let known = self.sessions.keep(turn, session).await?;
                        chrome.session = Some(known.id);
                        known
                    }
                    Err(trouble) => {
                        self.sessions.give_up(turn).await;
                        return Err(trouble);
                    }
                }
            }
        };
        if chrome.session != Some(known.id) {
            let session = known.session.clone();
            chrome.ask(login.timeout, move |seat| seat.restore(&session.cookies, &session.kept)).await?;
            chrome.session = Some(known.id);
        }
        Ok(Some(known))
    }

    /// Without what an ended session left.
    async fn fresh(&self, chrome: &Chrome) -> Result<(), ChromeError> {
        chrome.ask(LOOK, |seat| seat.restore(&[], &[])).await
    }

    async fn walk(&self, chrome: &Chrome, place: &mut Place) -> Result<Harvest, Stopped> {
        let mut trail = Trail::default();
        for (at, step) in self.spec.steps.iter().enumerate() {
            *place = Place { step: Some((at + 1, step.act.word())), frame: step.frame.clone() };
            let started = Instant::now();
            let taken = match &step.act {
                Act::Read(read) => {
                    let reading = Reading {
                        chrome,
                        read,
                        frame: step.frame.as_ref(),
                        limit: step.timeout,
                        mark: trail.mark,
                        divisible: self.span.days() > 1,
                    };
                    match reading.run().await {
                        Ok(mut harvest) => {
                            harvest.evidence.splice(0..0, trail.evidence);
                            return Ok(harvest);
                        }
                        Err(trouble) => Err(trouble),
                    }
                }
                _ => self.take(chrome, at, step, &mut trail).await,
            };
            debug!(step = at + 1, act = step.act.word(), ms = millis(started.elapsed()), "step taken");
            if let Err(trouble) = taken {
                return Err(self.why(chrome, step, trouble).await);
            }
            if matches!(step.act, Act::Goto(_)) && self.is_signed_out(chrome, None).await? {
                return Err(Stopped::SignedOut);
            }
        }
        // the config's check lets no source without a `read` pass
        Err(Trouble::new(FailureClass::Config, "no step reads the rows").into())
    }

    /// A step that failed may have failed for a session that ended.
    async fn why(&self, chrome: &Chrome, step: &Step, trouble: Trouble) -> Stopped {
        if trouble.browser_gone {
            return trouble.into();
        }
        for frame in [None, step.frame.as_ref()].into_iter().take(1 + usize::from(step.frame.is_some())) {
            if self.is_signed_out(chrome, frame).await.is_ok_and(|out| out) {
                return Stopped::SignedOut;
            }
        }
        trouble.into()
    }

    async fn is_signed_out(&self, chrome: &Chrome, frame: Option<&Selector>) -> Result<bool, ChromeError> {
        let Some(login) = &self.spec.login else { return Ok(false) };
        login::look(chrome, login, frame, LOOK).await.map(|look| look.is_login())
    }

    async fn take(&self, chrome: &Chrome, at: usize, step: &Step, trail: &mut Trail) -> Result<(), Trouble> {
        let input = match &step.act {
            Act::Goto(url) => {
                trail.mark = chrome.watch.mark();
                return self.goto(chrome, at, &self.render(url), step.timeout).await;
            }
            Act::ApplyFilter(filter) => return self.filter(chrome, step, filter, trail).await,
            Act::Fill { selector, text } => {
                json!({ "act": "fill", "selector": selector.0, "text": self.text(text)? })
            }
            Act::Click(selector) => json!({ "act": "click", "selector": self.render(selector) }),
            Act::Press { key, selector } => {
                json!({ "act": "press", "key": key, "selector": selector.as_ref().map(|found| &found.0) })
            }
            Act::WaitFor(selector) => json!({ "act": "wait_for", "selector": self.render(selector) }),
            Act::WaitGone(selector) => json!({ "act": "wait_gone", "selector": self.render(selector) }),
            Act::Select { selector, option } => {
                json!({ "act": "select", "selector": selector.0, "text": self.render(option) })
            }
            Act::Read(_) => return Ok(()),
        };
        match script(chrome, step.frame.as_ref(), Script::Step, input, step.timeout).await {
            // what was clicked may lead to another document
            Ok(_) | Err(ChromeError::ContextLost) => Ok(()),
            Err(error) => Err(Trouble::from(error)),
        }
    }

    fn render(&self, template: &nstore_shared::config::template::Template) -> String {
        template.render(self.span.start, self.span.end, self.span.zone)
    }

    fn text(&self, text: &FillText) -> Result<String, Trouble> {
        match text {
            FillText::Text(template) => Ok(self.render(template)),
            FillText::Secret(name) => {
                let secret = (self.secrets)(name);
                let lacks =
                    || Trouble::new(FailureClass::Auth, format!("this host lacks the secret `{}`", name.0));
                secret.map(|secret| secret.expose().to_owned()).ok_or_else(lacks)
            }
        }
    }

    /// Opens a page; one that answers 5xx, or whose frame does not mount, is opened again.
    async fn goto(&self, chrome: &Chrome, at: usize, url: &str, limit: Duration) -> Result<(), Trouble> {
        let frame = self.spec.steps[at..].iter().find_map(|step| step.frame.clone());
        let mut tries = 1;
        loop {
            let opened = match self.open(chrome, url, limit).await {
                Ok(()) if frame.is_some() && !self.is_signed_out(chrome, None).await? => {
                    let input = json!({ "act": "wait_for", "selector": "body" });
                    let mounted = script(chrome, frame.as_ref(), Script::Step, input, limit.min(MOUNT)).await;
                    mounted.map(drop).map_err(|error| {
                        Trouble::from(error)
                            .during(&format!("{url}: the page came{}", inside(frame.as_ref())))
                    })
                }
                opened => opened,
            };
            match opened {
                Err(trouble)
                    if trouble.class == FailureClass::Transient && tries < TRIES && !trouble.browser_gone =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
                Err(trouble) => {
                    return Err(if tries > 1 { trouble.during(&format!("{tries} times")) } else { trouble });
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn open(&self, chrome: &Chrome, url: &str, limit: Duration) -> Result<(), Trouble> {
        let address = url.to_owned();
        let landing = chrome.ask(limit, move |seat| seat.goto(&address)).await;
        let landing = landing.map_err(|error| Trouble::from(error).during(url))?;
        let status = landing.status.unwrap_or(200);
        if let Some(lost) = lost(url, &landing.url) {
            let message = format!("{url}: the page did not take `{lost}`, it led to {}", landing.url);
            return Err(Trouble::new(FailureClass::Config, message));
        }
        if status < 400 {
            // with its styles: before, hidden things are to be seen; a page that never ends loading is taken as it is
            return match script(chrome, None, Script::Step, json!({ "act": "loaded" }), limit.min(LOAD)).await
            {
                Ok(_) | Err(ChromeError::ContextLost | ChromeError::Script(_)) => Ok(()),
                Err(error) => Err(Trouble::from(error).during(url)),
            };
        }
        let class = match status {
            401 | 403 => FailureClass::Auth,
            404 | 410 => FailureClass::Config,
            429 => FailureClass::RateLimited,
            _ => FailureClass::Transient,
        };
        let seen =
            script(chrome, None, Script::Step, json!({ "act": "glimpse" }), LOOK).await.unwrap_or_default();
        let title = seen.get("title").and_then(Value::as_str).unwrap_or_default();
        Err(Trouble::new(class, format!("{} answers {status}, with a page titled `{title}`", landing.url)))
    }

    /// Sets a filter until the page shows that it took: the first commit after a load is often lost.
    async fn filter(
        &self,
        chrome: &Chrome,
        step: &Step,
        filter: &Filter,
        trail: &mut Trail,
    ) -> Result<(), Trouble> {
        let frame = step.frame.as_ref();
        let fill: Vec<(&str, String)> =
            filter.fill.iter().map(|(selector, text)| (selector.0.as_str(), self.render(text))).collect();
        let shows: Vec<String> = filter.shows.iter().map(|text| self.render(text)).collect();
        let set = json!({
            "label": filter.label,
            "option": filter.option,
            "fill": fill,
            "enter": filter.enter,
            "submit": filter.submit,
        });
        let shown_in = filter.shown_in.as_ref().map(|selector| &selector.0);
        let shown = json!({ "label": filter.label, "fill": fill, "shows": shows, "shown_in": shown_in });
        let (mut found, end) = (String::new(), Instant::now() + step.timeout);
        for _ in 0..TRIES {
            let left = end.saturating_duration_since(Instant::now()).max(APPLY);
            trail.mark = chrome.watch.mark();
            match script(chrome, frame, Script::Filter, set.clone(), left).await {
                Ok(_) | Err(ChromeError::ContextLost) => {}
                Err(error) => return Err(error.into()),
            }
            let answer = script(chrome, frame, Script::Applied, shown.clone(), APPLY.min(left)).await;
            let answer = match answer {
                Err(ChromeError::ContextLost) => {
                    script(chrome, frame, Script::Applied, shown.clone(), APPLY).await
                }
                answer => answer,
            }?;
            if let Some(text) = answer.get("applied").and_then(Value::as_str) {
                trail.evidence.push(Evidence::FilterShown { text: text.to_owned() });
                return Ok(());
            }
            found = answer.get("found").and_then(Value::as_str).unwrap_or_default().to_owned();
        }
        let wanted: Vec<String> =
            if shows.is_empty() { fill.into_iter().map(|(_, text)| text).collect() } else { shows };
        let message = format!(
            "filter `{}` was set {TRIES} times and does not show `{}`: it shows `{found}`",
            filter.label,
            wanted.join("` and `")
        );
        Err(Trouble::passing(message))
    }
}

/// A parameter that a page dropped on the way to itself: one that it does not know, and then it shows all it has.
fn lost(asked: &str, landed: &str) -> Option<String> {
    let (asked_path, wanted) = asked.split('#').next()?.split_once('?')?;
    let (path, found) = landed.split('#').next()?.split_once('?').unwrap_or((landed, ""));
    let found: Vec<&str> = found.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let name =
        wanted.split('&').filter_map(|pair| pair.split('=').next()).find(|name| !found.contains(name))?;
    (asked_path == path).then(|| name.to_owned())
}

/// Runs a script that ends by itself within `limit`.
pub(super) async fn script(
    chrome: &Chrome,
    frame: Option<&Selector>,
    script: Script,
    mut input: Value,
    limit: Duration,
) -> Result<Value, ChromeError> {
    if let Some(fields) = input.as_object_mut() {
        fields.insert("ms".to_owned(), millis(limit).into());
    }
    let frame = frame.cloned();
    // a frame is waited for first
    let whole = if frame.is_some() { limit * 2 } else { limit };
    chrome.ask(whole, move |seat| seat.run(frame.as_ref(), script, &input)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_a_page_drops_is_noticed() {
        let list = "https://a/list?day__gte=2018-01-01&day__lt=2018-01-08";
        assert_eq!(lost(list, "https://a/list?e=1").unwrap(), "day__gte");
        assert_eq!(lost(list, &format!("{list}&p=1#top")), None);
        assert_eq!(lost(list, "https://a/login?next=%2Flist"), None, "a login is another matter");
        assert_eq!(lost("https://a/list", "https://a/list?e=1"), None);
    }
}
