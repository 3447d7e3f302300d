//! What the browser tells by itself: documents, requests of the page, downloads, the console, crashes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::launch::locked;
pub(crate) use super::told::{Asked, Download, Line, bare};
use headless_chrome::protocol::cdp::{
    Browser::DownloadProgressEventStateOption as DownloadState,
    Network::{
        ResourceType,
        events::{RequestWillBeSentEventParams, ResponseReceivedEventParams},
    },
    Page::FrameDetachedEventReasonOption,
    types::Event,
};

/// Lines of the console that are kept.
const CONSOLE_LINES: usize = 200;
/// How long an answer that has begun, and brings nothing more, counts as under way: a page that never reads it leaves
/// it open for ever.
const ANSWERING: Duration = Duration::from_secs(1);
/// Requests that are kept; a page that makes more is not read by its answers.
const REQUESTS: usize = 2000;

#[derive(Default)]
struct Seen {
    /// The tab that is looked at; what other ones tell does not count.
    tab: String,
    /// How many tabs the page has opened.
    opened: u64,
    /// The first document or script of the page that did not come.
    broken: Option<String>,
    /// Status and address of the last document of each loader.
    documents: BTreeMap<String, (u32, String)>,
    /// Status and address of the newest document of the page itself.
    newest: Option<(u32, String)>,
    asked: VecDeque<Asked>,
    number: u64,
    downloads: Vec<Download>,
    console: VecDeque<Line>,
    loads: u64,
    crashed: bool,
}

/// What a browser has told so far.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Seen>);

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.0)
    }

    /// Takes an event of a tab; true when the renderer has crashed.
    pub(super) fn on_event(&self, tab: &str, event: &Event) -> bool {
        let mut seen = self.seen();
        // downloads are told by the tab that asked for it, whichever began them
        let is_download =
            matches!(event, Event::BrowserDownloadWillBegin(_) | Event::BrowserDownloadProgress(_));
        if seen.tab != tab && !is_download {
            return false;
        }
        match event {
            Event::NetworkRequestWillBeSent(event) => {
                if matches!(event.params.Type, Some(ResourceType::Xhr | ResourceType::Fetch)) {
                    seen.ask(&event.params);
                }
            }
            Event::NetworkResponseReceived(event) => seen.answer(&event.params),
            Event::NetworkDataReceived(event) => {
                if let Some(asked) = seen.asked(&event.params.request_id) {
                    asked.answered = Some(Instant::now());
                }
            }
            Event::NetworkLoadingFinished(event) => seen.end(&event.params.request_id),
            Event::NetworkLoadingFailed(event) => {
                let params = &event.params;
                let matters = matches!(params.Type, ResourceType::Document | ResourceType::Script);
                if matters && params.canceled != Some(true) {
                    seen.broken.get_or_insert_with(|| params.error_text.clone());
                }
                seen.end(&params.request_id);
            }
            Event::PageFrameNavigated(event) => {
                let frame = &event.params.frame;
                seen.leave(frame.parent_id.as_ref().map(|_| frame.id.as_str()), Some(&frame.loader_id));
            }
            Event::PageFrameDetached(event)
                if event.params.reason == FrameDetachedEventReasonOption::Remove =>
            {
                seen.leave(Some(&event.params.frame_id), None);
            }
            Event::PageWindowOpen(_) => seen.opened += 1,
            Event::PageLoadEventFired(_) => seen.loads += 1,
            Event::BrowserDownloadWillBegin(event) => {
                seen.downloads.push(Download { file: event.params.guid.clone(), ended: None });
            }
            Event::BrowserDownloadProgress(event) => seen.progress(&event.params.guid, &event.params.state),
            Event::RuntimeConsoleAPICalled(event) => {
                let words: Vec<String> = event.params.args.iter().filter_map(shown).collect();
                seen.say(&format!("{:?}", event.params.Type).to_lowercase(), &words.join(" "));
            }
            Event::RuntimeExceptionThrown(event) => {
                let details = &event.params.exception_details;
                let text = details.exception.as_ref().and_then(|e| e.description.clone());
                seen.say("exception", text.as_deref().unwrap_or(&details.text));
            }
            Event::LogEntryAdded(event) => seen.say("log", &event.params.entry.text),
            Event::PageJavascriptDialogOpening(event) => seen.say("dialog", &event.params.message),
            Event::InspectorTargetCrashed(_) => {
                seen.crashed = true;
                return true;
            }
            _ => {}
        }
        false
    }

    /// Forgets what belongs to an earlier chunk.
    pub(crate) fn clear(&self) {
        let mut seen = self.seen();
        let (number, tab) = (seen.number, std::mem::take(&mut seen.tab));
        *seen = Seen { number, tab, ..Seen::default() };
    }

    /// Looks at another tab from now on: what the one before still asks for does not count.
    pub(super) fn look_at(&self, tab: &str) {
        let mut seen = self.seen();
        tab.clone_into(&mut seen.tab);
        seen.leave(None, None);
        seen.newest = None;
        seen.broken = None;
    }

    /// How many tabs the page has opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.seen().opened
    }

    /// Status and address of the newest document of the page itself.
    pub(crate) fn newest(&self) -> Option<(u32, String)> {
        self.seen().newest.clone()
    }

    /// Why the page may not be what its makers meant it to be: a script, a document or a request from a mark on that
    /// failed, or an error of a script. `None` for a page that shows no sign of it.
    pub(crate) fn defect_since(&self, mark: u64, ignored: &[String]) -> Option<String> {
        let seen = self.seen();
        if let Some(broken) = &seen.broken {
            return Some(format!("a part of it did not come: {broken}"));
        }
        let counts = |one: &&Asked| one.number >= mark && !ignored.iter().any(|part| one.url.contains(part));
        let failed =
            |one: &&Asked| one.has_ended() && one.status.is_none_or(is_defect) && !seen.recovered(one);
        if let Some(failed) = seen.asked.iter().filter(counts).find(failed) {
            let answer =
                failed.status.map_or("was not answered".to_owned(), |s| format!("was answered with {s}"));
            return Some(format!("its request to {} {answer}", failed.place()));
        }
        let error = seen.console.iter().find(|line| line.kind == "exception" || line.kind == "error")?;
        let text: String = error.text.lines().next().unwrap_or_default().chars().take(120).collect();
        Some(format!("its script reported `{text}`"))
    }

    /// The number of the next request: what was asked before it belongs to something else.
    pub(crate) fn mark(&self) -> u64 {
        self.seen().number
    }

    /// The requests to an address from a mark on, the newest first.
    pub(crate) fn asked_since(&self, mark: u64, part_of_url: &str) -> Vec<Asked> {
        let seen = self.seen();
        let wanted = |one: &&Asked| one.number >= mark && one.place().contains(part_of_url);
        seen.asked.iter().rev().filter(wanted).cloned().collect()
    }

    /// What keeps the page from being at rest: the address of a request that is under way, or that ended within
    /// `quiet`; but for those with one of these texts in it.
    pub(crate) fn unrest(&self, quiet: Duration, ignored: &[String]) -> Option<String> {
        let seen = self.seen();
        let stirs = |one: &&Asked| match (one.ended, one.answered) {
            (Some(at), _) => at.elapsed() < quiet,
            (None, Some(_)) if one.is_stream => false,
            (None, Some(at)) => at.elapsed() < ANSWERING,
            (None, None) => true,
        };
        let counts = |one: &&Asked| !ignored.iter().any(|part| one.url.contains(part));
        seen.asked.iter().filter(counts).find(stirs).map(|one| one.place().to_owned())
    }

    /// A request from a mark on that failed, and was not made again with success: its address and status.
    pub(crate) fn failed_since(&self, mark: u64, ignored: &[String]) -> Option<(String, Option<u32>)> {
        let seen = self.seen();
        let counts = |one: &&Asked| one.number >= mark && !ignored.iter().any(|part| one.url.contains(part));
        let failed = seen.asked.iter().filter(counts).find(|one| one.failed() && !seen.recovered(one))?;
        Some((failed.place().to_owned(), failed.status))
    }

    /// The address of a request from a mark on that was answered 401, and was not made again with success; whatever
    /// else failed before it.
    pub(crate) fn refused_since(&self, mark: u64) -> Option<String> {
        let seen = self.seen();
        // its body may never be read, and then it has no end
        let refused = |one: &&Asked| one.number >= mark && one.status == Some(401) && !seen.recovered(one);
        seen.asked.iter().find(refused).map(|one| one.place().to_owned())
    }

    /// Whether a request to an address, from a mark on, asks for all of these texts: there, or in its body.
    pub(crate) fn asked_for(&self, mark: u64, part_of_url: &str, texts: &[&str]) -> bool {
        let holds = |one: &Asked, text: &str| {
            one.url.contains(text) || one.body.as_ref().is_some_and(|body| body.contains(text))
        };
        let since = self.asked_since(mark, part_of_url);
        since.iter().any(|one| texts.iter().all(|text| holds(one, text)))
    }

    /// Status and address of a document that was opened.
    pub(crate) fn document(&self, loader: &str) -> Option<(u32, String)> {
        self.seen().documents.get(loader).cloned()
    }

    /// How many documents have been loaded.
    pub(crate) fn loads(&self) -> u64 {
        self.seen().loads
    }

    /// The downloads so far.
    pub(crate) fn downloads(&self) -> Vec<Download> {
        self.seen().downloads.clone()
    }

    /// The last lines of the console.
    pub(crate) fn console(&self) -> Vec<Line> {
        self.seen().console.iter().cloned().collect()
    }

    /// The page's process has died, for lack of memory as a rule.
    pub(crate) fn has_crashed(&self) -> bool {
        self.seen().crashed
    }
}

impl Seen {
    fn ask(&mut self, params: &RequestWillBeSentEventParams) {
        let (id, request) = (&params.request_id, &params.request);
        let headers = request.headers.0.as_ref().and_then(|headers| headers.as_object());
        let text =
            |(name, value): (&String, &serde_json::Value)| Some((name.clone(), value.as_str()?.to_owned()));
        // a redirect has the same id
        self.asked.retain(|one| one.id != *id);
        let asked = Asked {
            id: id.clone(),
            number: self.number,
            url: request.url.clone(),
            headers: headers.into_iter().flatten().filter_map(text).collect(),
            body: request.post_data.clone(),
            status: None,
            frame: params.frame_id.clone(),
            loader: params.loader_id.clone(),
            is_stream: false,
            answered: None,
            ended: None,
        };
        self.number += 1;
        self.asked.push_back(asked);
        if self.asked.len() > REQUESTS {
            self.asked.pop_front();
        }
    }

    fn answer(&mut self, params: &ResponseReceivedEventParams) {
        let (status, url) = (params.response.status, &params.response.url);
        if matches!(params.Type, ResourceType::Document) {
            self.documents.insert(params.loader_id.clone(), (status, url.clone()));
            // the page's first frame has its tab's name
            if params.frame_id.as_ref().is_none_or(|frame| *frame == self.tab) {
                self.newest = Some((status, url.clone()));
            }
        }
        let is_missing = match params.Type {
            ResourceType::Document => status >= 500,
            ResourceType::Script => status >= 400,
            _ => false,
        };
        if is_missing {
            self.broken.get_or_insert_with(|| format!("{} was answered with {status}", bare(url)));
        }
        let is_stream = params.response.mime_type.eq_ignore_ascii_case("text/event-stream");
        if let Some(asked) = self.asked(&params.request_id) {
            asked.status = Some(status);
            asked.is_stream = is_stream;
            asked.answered = Some(Instant::now());
        }
    }

    /// A document was left, of one frame or of the page with all of its frames: nobody waits for what it asked for.
    /// `loader` names the document that took its place.
    fn leave(&mut self, frame: Option<&str>, loader: Option<&String>) {
        if frame.is_none() {
            self.broken = None;
        }
        let is_of_it = |one: &Asked| {
            frame.is_none_or(|frame| one.frame.as_deref() == Some(frame)) && Some(&one.loader) != loader
        };
        // an answer of 401 still says that the session has ended
        self.asked.retain(|one| !(is_of_it(one) && one.status.is_none()));
        let now = Instant::now();
        for one in self.asked.iter_mut().filter(|one| is_of_it(one)) {
            one.ended.get_or_insert(now);
        }
    }

    /// The same was asked for later, and that did not fail.
    fn recovered(&self, one: &Asked) -> bool {
        let later = self.asked.iter().filter(|other| other.number > one.number);
        later.filter(|other| other.place() == one.place()).any(|other| !other.says_no())
    }

    fn asked(&mut self, id: &str) -> Option<&mut Asked> {
        self.asked.iter_mut().find(|one| one.id == id)
    }

    fn end(&mut self, id: &str) {
        if let Some(asked) = self.asked(id) {
            asked.ended = Some(Instant::now());
        }
    }

    fn progress(&mut self, file: &str, state: &DownloadState) {
        let ended = match state {
            DownloadState::InProgress => return,
            DownloadState::Completed => true,
            DownloadState::Canceled => false,
        };
        if let Some(download) = self.downloads.iter_mut().find(|one| one.file == file) {
            download.ended = Some(ended);
        }
    }

    fn say(&mut self, kind: &str, text: &str) {
        self.console.push_back(Line { kind: kind.to_owned(), text: text.chars().take(2000).collect() });
        if self.console.len() > CONSOLE_LINES {
            self.console.pop_front();
        }
    }
}

/// Whether an answer's status says that something is wrong with the server, the session or the network; what is merely
/// absent is not.
fn is_defect(status: u32) -> bool {
    matches!(status, 401 | 403 | 407 | 408 | 425 | 429 | 500..)
}

fn shown(object: &headless_chrome::protocol::cdp::Runtime::RemoteObject) -> Option<String> {
    match &object.value {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(value) => Some(value.to_string()),
        None => object.description.clone(),
    }
}
