//! One visit to a dashboard: the steps of the source, one after the other, to the rows.

use std::time::{Duration, Instant};

use nstore_shared::{
    config::{
        secrets::Secret,
        spec::{
            SecretRef,
            browser::{Act, BrowserSpec, Filter, LaneHow, Read, Selector, Step},
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
    opening::LOOK,
    scripts::Script,
    sessions::Sessions,
    trouble::Trouble,
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
pub(super) struct Trail {
    pub(super) evidence: Vec<Evidence>,
    /// Requests of the page from here on are those of the chunk.
    pub(super) mark: u64,
    /// When a filter was set: the page may not have asked for its rows yet.
    pub(super) filtered: Option<Instant>,
    /// When something was done to the page, and which request of the page was the next one then.
    pub(super) acted: Option<(Instant, u64)>,
    /// The address that was opened last, as the source names it.
    pub(super) address: Option<String>,
    /// Tabs that pages have opened, as far as they were dealt with.
    pub(super) opened: u64,
    /// What is to be said of a tab that a page opened.
    pub(super) tab: Option<String>,
    /// Whether the page has the frame that it may have, and how many documents had been loaded by then.
    pub(super) has_frame: Option<(bool, u64)>,
}

impl Visit<'_> {
    pub(super) async fn walk(&self, chrome: &Chrome, place: &mut Place) -> Result<Harvest, Stopped> {
        // tabs of the chunk before
        chrome.ask(LOOK, super::chrome::Seat::close_others).await?;
        let mut trail = Trail { opened: chrome.watch.opened(), ..Trail::default() };
        let began = chrome.watch.mark();
        for (at, step) in self.spec.steps.iter().enumerate() {
            *place = Place { step: Some((at + 1, step.act.word())), frame: step.frame.clone() };
            let started = Instant::now();
            let taken = match &step.act {
                Act::Goto(url) => {
                    let url = self.render(url);
                    trail.mark = chrome.watch.mark();
                    trail.acted = None;
                    trail.address = Some(url.clone());
                    match self.goto(chrome, at, &url, step.timeout).await {
                        Err(Stopped::Trouble(trouble)) => Err(trouble),
                        Err(stopped) => return Err(stopped),
                        Ok(has_frame) => {
                            trail.has_frame = has_frame.map(|has| (has, chrome.watch.loads()));
                            Ok(None)
                        }
                    }
                }
                Act::Read(read) => self.read(chrome, step, read, &mut trail, place).await.map(Some),
                _ => self.take(chrome, step, &mut trail, place).await.map(|()| None),
            };
            debug!(step = at + 1, act = step.act.word(), ms = millis(started.elapsed()), "step taken");
            if let Some(trouble) = self.led_elsewhere(chrome, &trail) {
                return Err(trouble.into());
            }
            match taken {
                Ok(None) => {}
                Ok(Some(mut harvest)) => {
                    harvest.evidence.splice(0..0, trail.evidence);
                    return Ok(harvest);
                }
                Err(trouble) => {
                    let trouble = trail.tab.iter().fold(trouble, |trouble, tab| trouble.and(tab));
                    return Err(self.why(chrome, step, place.frame.as_ref(), began, trouble).await);
                }
            }
        }
        // the config's check lets no source without a `read` pass
        Err(Trouble::new(FailureClass::Config, "no step reads the rows").into())
    }

    async fn read(
        &self,
        chrome: &Chrome,
        step: &Step,
        read: &Read,
        trail: &mut Trail,
        place: &mut Place,
    ) -> Result<Harvest, Trouble> {
        self.wait_for_tab(chrome, step, read, trail).await?;
        place.frame = self.frame(chrome, step, trail).await?;
        // what the page asked for after the last click is what the click chose, where it asked at all
        let chosen = trail
            .acted
            .map(|(_, mark)| mark)
            .filter(|mark| self.query().is_some_and(|url| !chrome.watch.asked_since(*mark, url).is_empty()));
        let reading = Reading {
            chrome,
            read,
            frame: place.frame.as_ref(),
            limit: step.timeout,
            mark: chosen.unwrap_or(trail.mark),
            filtered: trail.filtered,
            divisible: self.span.days() > 1,
        };
        reading.run().await
    }

    pub(super) fn render(&self, template: &nstore_shared::config::template::Template) -> String {
        template.render(self.span.start, self.span.end, self.span.zone)
    }

    /// The address behind the rows, where the source names it.
    fn query(&self) -> Option<&str> {
        self.spec.read()?.lanes.iter().find_map(|lane| match &lane.how {
            LaneHow::Response { url, .. } => Some(url.as_str()),
            _ => None,
        })
    }

    /// Sets a filter until the page shows that it took: the first commit after a load is often lost.
    pub(super) async fn filter(
        &self,
        chrome: &Chrome,
        step: &Step,
        frame: Option<&Selector>,
        filter: &Filter,
        trail: &mut Trail,
    ) -> Result<(), Trouble> {
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
