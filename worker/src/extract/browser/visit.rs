//! One visit to a dashboard: the steps of the source, one after the other, to the rows.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::{
        secrets::Secret,
        spec::{
            SecretRef,
            browser::{Act, BrowserSpec, FillText, Filter, LaneHow, Selector, Step},
        },
    },
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde_json::{Value, json};
use tracing::debug;

use super::{
    Span,
    chrome::{Chrome, ChromeError},
    entrance::Stopped,
    lanes::{Harvest, Reading},
    login::{Credentials, millis},
    scripts::Script,
    sessions::Sessions,
    trouble::{Trouble, origin},
};

/// Pages that do not come, frames that do not mount and filters that do not take are tried so often.
pub(super) const TRIES: u32 = 3;
/// How long a filter may take to show what was set.
const APPLY: Duration = Duration::from_secs(5);

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
    /// When a filter was set: the page may not have asked for its rows yet.
    filtered: Option<Instant>,
}

impl Visit<'_> {
    pub(super) async fn walk(&self, chrome: &Chrome, place: &mut Place) -> Result<Harvest, Stopped> {
        let mut trail = Trail::default();
        let began = chrome.watch.mark();
        for (at, step) in self.spec.steps.iter().enumerate() {
            *place = Place { step: Some((at + 1, step.act.word())), frame: step.frame.clone() };
            let started = Instant::now();
            let taken = match &step.act {
                Act::Goto(url) => {
                    trail.mark = chrome.watch.mark();
                    match self.goto(chrome, at, &self.render(url), step.timeout).await {
                        Err(Stopped::Trouble(trouble)) => Err(trouble),
                        Err(stopped) => return Err(stopped),
                        Ok(()) => Ok(()),
                    }
                }
                Act::Read(read) => {
                    let reading = Reading {
                        chrome,
                        read,
                        frame: step.frame.as_ref(),
                        limit: step.timeout,
                        mark: trail.mark,
                        filtered: trail.filtered,
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
                _ => self.take(chrome, step, &mut trail).await,
            };
            debug!(step = at + 1, act = step.act.word(), ms = millis(started.elapsed()), "step taken");
            if let Err(trouble) = taken {
                return Err(self.why(chrome, step, began, trouble).await);
            }
        }
        // the config's check lets no source without a `read` pass
        Err(Trouble::new(FailureClass::Config, "no step reads the rows").into())
    }

    async fn take(&self, chrome: &Chrome, step: &Step, trail: &mut Trail) -> Result<(), Trouble> {
        let input = match &step.act {
            Act::ApplyFilter(filter) => return self.filter(chrome, step, filter, trail).await,
            Act::Fill { selector, text } => {
                let origins = matches!(text, FillText::Secret(_)).then(|| self.origins());
                json!({ "act": "fill", "selector": selector.0, "text": self.text(text)?, "origins": origins })
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
            // these two are the walk's own matter
            Act::Goto(_) | Act::Read(_) => return Ok(()),
        };
        let end = Instant::now() + step.timeout;
        loop {
            match script(chrome, step.frame.as_ref(), Script::Step, input.clone(), step.timeout).await {
                Ok(_) => return Ok(()),
                Err(ChromeError::ContextLost) => match step.act {
                    // what was clicked leads to another document
                    Act::Click(_) | Act::Press { .. } => return Ok(()),
                    // the document that it was for has given way to another one
                    _ if Instant::now() < end => {}
                    _ => return Err(ChromeError::ContextLost.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn render(&self, template: &nstore_shared::config::template::Template) -> String {
        template.render(self.span.start, self.span.end, self.span.zone)
    }

    /// The address behind the rows, where the source names it.
    fn query(&self) -> Option<&str> {
        self.spec.read()?.lanes.iter().find_map(|lane| match &lane.how {
            LaneHow::Response { url, .. } => Some(url.as_str()),
            _ => None,
        })
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
            let mut seen = answer.get("applied").and_then(Value::as_str).map(str::to_owned);
            if let Some(url) = self.query().filter(|_| seen.is_none() && shows.is_empty()) {
                // or what the page asks its server for
                let texts: Vec<&str> = fill.iter().map(|(_, text)| text.as_str()).collect();
                let asked = chrome.watch.asked_for(trail.mark, url, &texts);
                seen = asked.then(|| format!("asked for {}", texts.join(" and ")));
            }
            if let Some(text) = seen {
                trail.evidence.push(Evidence::FilterShown { text });
                trail.filtered = Some(Instant::now());
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
