//! One step of a visit: an element is waited for, and something is done to it; where that opens a tab, the visit goes on
//! in it.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::spec::browser::{Act, FillText, LaneHow, Read, Selector, Step},
    retry::FailureClass,
};
use serde_json::{Value, json};

use super::{
    chrome::{Chrome, ChromeError, Mouse, tabs::ERROR_PAGE, watch::bare},
    lanes::ASKS_WITHIN,
    login::millis,
    opening::{MOUNT, accept},
    scripts::Script,
    trouble::{Trouble, may_come, origin},
    visit::{Place, Trail, Visit, script},
};

/// How long an element is waited for, the first time, before a look is taken whether a tab has opened meanwhile.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// How long after that, each time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long it takes to go on in another tab.
const FOLLOW: Duration = Duration::from_secs(40);
/// How long the document there may load before it is used as it is.
const LOAD: Duration = Duration::from_secs(10);

impl Visit<'_> {
    pub(super) async fn take(
        &self,
        chrome: &Chrome,
        step: &Step,
        trail: &mut Trail,
        place: &mut Place,
    ) -> Result<(), Trouble> {
        let mut end = Instant::now() + step.timeout;
        let mut look = FIRST_LOOK;
        loop {
            if self.follow(chrome, trail).await? {
                // what is looked for has only begun to come
                end = Instant::now() + step.timeout;
            }
            place.frame = self.frame(chrome, step, trail).await?;
            let frame = place.frame.as_ref();
            if let Act::ApplyFilter(filter) = &step.act {
                return self.filter(chrome, step, frame, filter, trail).await;
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            // what was done to the page before may still open a tab
            let limit = if trail.acted.is_some() { left.min(look) } else { left };
            let mark = chrome.watch.mark();
            match self.act(chrome, &step.act, frame, limit).await {
                // the document that it was for has given way to another one
                Err(Untaken::Browser(ChromeError::ContextLost)) if limit < left || Instant::now() < end => {}
                Err(Untaken::Browser(ChromeError::Script(text))) if limit < left && may_come(&text) => {}
                Err(Untaken::Browser(error)) => return Err(error.into()),
                Err(Untaken::Trouble(trouble)) => return Err(trouble),
                Ok(()) => {
                    if changes_the_page(&step.act) {
                        trail.acted = Some((Instant::now(), mark));
                    }
                    return Ok(());
                }
            }
            look = LOOK_AGAIN;
        }
    }

    /// Does what a step says, once. The document's end before anything was done is an error.
    async fn act(
        &self,
        chrome: &Chrome,
        act: &Act,
        frame: Option<&Selector>,
        limit: Duration,
    ) -> Result<(), Untaken> {
        let input = match act {
            Act::Click(selector) => {
                let input = json!({ "act": "point", "selector": self.render(selector), "enabled": true });
                return point(chrome, frame, input, Mouse::Click, limit).await;
            }
            Act::Hover(selector) => {
                let input = json!({ "act": "point", "selector": self.render(selector), "enabled": false });
                return point(chrome, frame, input, Mouse::Hover, limit).await;
            }
            Act::Press { key, selector } => {
                let selector = selector.as_ref().map(|found| &found.0);
                let input = json!({ "act": "focus", "selector": selector, "ms": millis(limit) });
                let (frame, key) = (frame.cloned(), key.clone());
                let pressed =
                    chrome.ask(limit * 2, move |seat| seat.press(frame.as_ref(), &input, &key)).await;
                return Ok(pressed?);
            }
            Act::Fill { selector, text } => {
                let origins = matches!(text, FillText::Secret(_)).then(|| self.origins());
                json!({ "act": "fill", "selector": selector.0, "text": self.text(text)?, "origins": origins })
            }
            Act::WaitFor(selector) => json!({ "act": "wait_for", "selector": self.render(selector) }),
            Act::WaitGone(selector) => json!({ "act": "wait_gone", "selector": self.render(selector) }),
            Act::Select { selector, option } => {
                json!({ "act": "select", "selector": selector.0, "text": self.render(option) })
            }
            // these are the walk's own matter
            Act::ApplyFilter(_) | Act::Goto(_) | Act::Read(_) => return Ok(()),
        };
        script(chrome, frame, Script::Step, input, limit).await?;
        Ok(())
    }

    /// Goes on in the newest tab that the page has opened since the last look; false where there is none.
    async fn follow(&self, chrome: &Chrome, trail: &mut Trail) -> Result<bool, Trouble> {
        let opened = chrome.watch.opened();
        let new = opened.saturating_sub(trail.opened);
        if new == 0 {
            return Ok(false);
        }
        trail.opened = opened;
        let mark = chrome.watch.mark();
        let Some(landing) = chrome.ask(FOLLOW, move |seat| seat.follow(new)).await? else {
            trail.tab = Some("the page opened a tab, which was closed again or did not open".to_owned());
            return Ok(false);
        };
        let url = bare(&landing.url).to_owned();
        trail.tab = Some(format!("the page opened a tab, {url}, and the visit went on in it"));
        trail.mark = mark;
        trail.acted = None;
        trail.filtered = None;
        trail.has_frame = None;
        if landing.status.is_none() && url.starts_with(ERROR_PAGE) {
            return Err(Trouble::passing("the page opened a tab, and what it leads to cannot be reached"));
        }
        accept(&url, landing.status.unwrap_or(200))?;
        match script(chrome, None, Script::Step, json!({ "act": "loaded" }), LOAD).await {
            // a page that never ends loading is taken as it is
            Ok(_) | Err(ChromeError::ContextLost | ChromeError::Script(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Before rows are read: what was done to the page last may have opened a tab, at once or with the answer to what
    /// the page asked for.
    pub(super) async fn wait_for_tab(
        &self,
        chrome: &Chrome,
        step: &Step,
        read: &Read,
        trail: &mut Trail,
    ) -> Result<(), Trouble> {
        while let Some((at, mark)) = trail.acted {
            if chrome.watch.opened() > trail.opened {
                self.follow(chrome, trail).await?;
                continue;
            }
            let has_asked = chrome.watch.mark() > mark;
            let is_quiet = chrome.watch.unrest(read.settle, &read.ignore).is_none();
            if is_quiet && (has_asked || at.elapsed() >= ASKS_WITHIN) || at.elapsed() > step.timeout {
                break;
            }
            chrome.look_again().await?;
        }
        Ok(())
    }

    /// The frame in which a step acts, where the page has it.
    pub(super) async fn frame(
        &self,
        chrome: &Chrome,
        step: &Step,
        trail: &mut Trail,
    ) -> Result<Option<Selector>, Trouble> {
        let Some(frame) = &step.frame else { return Ok(None) };
        if !step.frame_optional {
            return Ok(Some(frame.clone()));
        }
        let loads = chrome.watch.loads();
        let known = trail.has_frame.filter(|(_, then)| *then == loads).map(|(has, _)| has);
        let has = match known {
            Some(has) => has,
            None => self.has_frame(chrome, frame, step, step.timeout.min(MOUNT)).await?,
        };
        trail.has_frame = Some((has, loads));
        Ok(has.then(|| frame.clone()))
    }

    /// Waits until the page has a frame, or shows by itself what a step is about: then it has none.
    pub(super) async fn has_frame(
        &self,
        chrome: &Chrome,
        frame: &Selector,
        step: &Step,
        limit: Duration,
    ) -> Result<bool, ChromeError> {
        let (label, selectors) = match &step.act {
            Act::ApplyFilter(filter) => (Some(&filter.label), vec![]),
            act => (None, self.selectors(act)),
        };
        let input =
            json!({ "act": "has_frame", "selector": frame.0, "label": label, "selectors": selectors });
        let found = script(chrome, None, Script::Step, input, limit).await?;
        Ok(found == Value::Bool(true))
    }

    /// The elements that a step is about.
    fn selectors(&self, act: &Act) -> Vec<String> {
        match act {
            Act::Click(selector) | Act::Hover(selector) | Act::WaitFor(selector) => {
                vec![self.render(selector)]
            }
            Act::Fill { selector, .. } | Act::Select { selector, .. } => vec![selector.0.clone()],
            Act::Press { selector, .. } => selector.iter().map(|found| found.0.clone()).collect(),
            Act::Read(read) => {
                let grids = read.lanes.iter().filter_map(|lane| match &lane.how {
                    LaneHow::Grid { selector, .. } => Some(selector.0.clone()),
                    LaneHow::Export { clicks, .. } => clicks.first().map(|click| click.0.clone()),
                    LaneHow::Response { .. } => None,
                });
                grids.collect()
            }
            Act::Goto(_) | Act::WaitGone(_) | Act::ApplyFilter(_) => vec![],
        }
    }

    /// Where secrets may be typed: the pages that the steps name.
    fn origins(&self) -> Vec<String> {
        let opened = self.spec.steps.iter().filter_map(|step| match &step.act {
            Act::Goto(url) => origin(&self.render(url)),
            _ => None,
        });
        opened.collect()
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
}

/// Why a step was not taken.
enum Untaken {
    Browser(ChromeError),
    Trouble(Trouble),
}

impl From<ChromeError> for Untaken {
    fn from(error: ChromeError) -> Self {
        Self::Browser(error)
    }
}

impl From<Trouble> for Untaken {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Has the mouse go to an element.
async fn point(
    chrome: &Chrome,
    frame: Option<&Selector>,
    mut input: Value,
    mouse: Mouse,
    limit: Duration,
) -> Result<(), Untaken> {
    input["ms"] = millis(limit).into();
    let frame = frame.cloned();
    Ok(chrome.ask(limit * 2, move |seat| seat.point(frame.as_ref(), &input, mouse)).await?)
}

/// Whether a page may ask for something, or open a tab, because of it.
fn changes_the_page(act: &Act) -> bool {
    matches!(act, Act::Click(_) | Act::Press { .. } | Act::Fill { .. } | Act::Select { .. })
}
