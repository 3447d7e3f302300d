//! The tab that a visit works in, how it is prepared, and the tabs that pages open by themselves.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
    thread::sleep,
    time::{Duration, Instant},
};

use headless_chrome::{
    Browser, Tab,
    protocol::cdp::{
        Browser::{SetDownloadBehavior, SetDownloadBehaviorBehaviorOption},
        Emulation, Inspector, Log, Network, Page, Runtime, Target,
        types::Event,
    },
    util::Timeout,
};
use nstore_shared::config::spec::browser::BrowserClock;
use serde_json::Value;

use super::{
    ChromeError, Seat,
    launch::Process,
    seat::{Landing, evaluation, failed},
    watch::Watch,
};

/// The crate ends a connection whose calls are silent for so long; our own limits are shorter.
const NEVER: Duration = Duration::from_secs(86_400);
/// How large the answers of a page may be that are kept for reading, in bytes.
const ANSWERS: u32 = 256 << 20;
const LONGEST_BODY: u32 = 4 << 20;
/// Where the address of Chromium's own page begins that it shows in place of a document without a body or an answer.
pub(crate) const ERROR_PAGE: &str = "chrome-error:";
/// How long a tab that the page opened may take until it can be talked to, and until it has an address.
const TAB_OPENS: Duration = Duration::from_secs(5);
/// How long its document may take.
const TAB_LOADS: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

impl Seat {
    /// Connects to a process and opens a page.
    pub(super) fn take(process: &Arc<Process>, clock: &BrowserClock) -> Result<Self, ChromeError> {
        let browser = Browser::connect_with_timeout(process.address.clone(), NEVER).map_err(failed)?;
        let tab = open_tab(&browser, process)?;
        let watch = Arc::new(Watch::default());
        watch.look_at(tab.get_target_id());
        listen(&tab, &watch, &Arc::downgrade(process))?;
        let seat = Self {
            known: RefCell::new(vec![tab.clone()]),
            tab: RefCell::new(tab),
            clock: clock.clone(),
            process: Arc::downgrade(process),
            watch,
            worlds: RefCell::default(),
            restorers: RefCell::default(),
            browser,
        };
        seat.prepare()?;
        seat.call(SetDownloadBehavior {
            behavior: SetDownloadBehaviorBehaviorOption::AllowAndName,
            browser_context_id: None,
            download_path: Some(process.downloads().display().to_string()),
            events_enabled: Some(true),
        })?;
        Ok(seat)
    }

    /// Sets the tab up: what it tells, its clock and language, its size. All of it outlasts its documents.
    fn prepare(&self) -> Result<(), ChromeError> {
        self.call(Network::Enable {
            max_total_buffer_size: Some(ANSWERS),
            max_resource_buffer_size: Some(ANSWERS),
            max_post_data_size: Some(LONGEST_BODY),
            report_direct_socket_traffic: None,
            enable_durable_messages: None,
        })?;
        self.call(Runtime::Enable(None))?;
        self.call(Log::Enable(None))?;
        self.call(Inspector::Enable(None))?;
        self.set_clock()?;
        // a tab in the background has no focus, and pages notice
        self.call(Emulation::SetFocusEmulationEnabled { enabled: true })?;
        // the size that people's dashboards are made for
        self.call(Emulation::SetDeviceMetricsOverride {
            width: 1920,
            height: 1080,
            device_scale_factor: 1.0,
            mobile: false,
            scale: None,
            screen_width: None,
            screen_height: None,
            position_x: None,
            position_y: None,
            dont_set_visible_size: None,
            screen_orientation: None,
            viewport: None,
            display_feature: None,
            device_posture: None,
        })
        .map(drop)
    }

    /// Sets clock and language, of all scripts and all frames.
    fn set_clock(&self) -> Result<(), ChromeError> {
        let zone = Emulation::SetTimezoneOverride { timezone_id: self.clock.timezone.name().to_owned() };
        let locale = Emulation::SetLocaleOverride { locale: Some(self.clock.locale.clone()) };
        for set in [self.call(zone).map(drop), self.call(locale).map(drop)] {
            match set {
                // a tab that shares its process with the one that opened it shares what was set there, and that is the same
                Err(ChromeError::Protocol(text)) if text.contains("already in effect") => {}
                set => set?,
            }
        }
        Ok(())
    }

    /// Back in its own tab; those that pages opened are closed.
    pub(crate) fn close_others(&self) -> Result<(), ChromeError> {
        self.learn_tabs();
        let mut known = self.known.borrow_mut();
        let Some(own) = known.first().cloned() else { return Ok(()) };
        for other in known.drain(1..) {
            // one that has closed itself is gone already
            match own
                .call_method(Target::CloseTarget { target_id: other.get_target_id().clone() })
                .map_err(failed)
            {
                Err(error) if error.is_final() => return Err(error),
                _ => {}
            }
        }
        drop(known);
        if self.tab.borrow().get_target_id() != own.get_target_id() {
            self.work_in(own);
            self.call(Page::BringToFront(None))?;
        }
        Ok(())
    }

    fn work_in(&self, tab: Arc<Tab>) {
        self.worlds.borrow_mut().clear();
        self.watch.look_at(tab.get_target_id());
        self.tab.replace(tab);
    }

    /// The tabs that were opened since the last look, the oldest first; they are known from now on.
    fn learn_tabs(&self) -> Vec<Arc<Tab>> {
        let mut known = self.known.borrow_mut();
        let is_known = |tab: &Arc<Tab>| known.iter().any(|one| one.get_target_id() == tab.get_target_id());
        let new: Vec<Arc<Tab>> = match self.browser.get_tabs().lock() {
            Ok(tabs) => tabs.iter().filter(|tab| !is_known(tab)).cloned().collect(),
            Err(_) => vec![],
        };
        known.extend(new.iter().cloned());
        new
    }

    /// Goes on in the newest of the tabs that the page has opened, of which there should be `opened`. Its document is
    /// loaded again where that is possible, because what it told before it could be listened to is not known.
    /// `None` when there is no such tab, or none any more.
    pub(crate) fn follow(&self, opened: u64) -> Result<Option<Landing>, ChromeError> {
        let end = Instant::now() + TAB_OPENS;
        let opener = self.tab.borrow().get_target_id().clone();
        let mut new = Vec::new();
        while (new.len() as u64) < opened && Instant::now() < end {
            new.extend(self.learn_tabs());
            sleep(LOOK);
        }
        let is_of_ours = |tab: &&Arc<Tab>| {
            tab.get_target_info().is_ok_and(|info| info.opener_id.is_none_or(|by| by == opener))
        };
        let before = self.tab.borrow().clone();
        let Some(tab) = new.iter().rev().find(is_of_ours).cloned() else { return Ok(None) };
        listen(&tab, &self.watch, &self.process)?;
        self.work_in(tab.clone());
        match self.prepare().and_then(|()| self.load_again()) {
            Ok(landing) => Ok(Some(landing)),
            Err(error) if error.is_final() || self.is_open(&tab) => Err(error),
            // it has closed itself, as one does that was opened for a download
            Err(_) => {
                self.work_in(before);
                Ok(None)
            }
        }
    }

    fn is_open(&self, tab: &Arc<Tab>) -> bool {
        let tabs = self.browser.get_tabs().lock();
        tabs.is_ok_and(|tabs| tabs.iter().any(|one| one.get_target_id() == tab.get_target_id()))
    }

    /// Loads the tab's document again, and waits for it.
    fn load_again(&self) -> Result<Landing, ChromeError> {
        let end = Instant::now() + TAB_OPENS;
        // a script may give it its address later
        let mut url = self.address()?;
        while !url.starts_with("http") && !url.starts_with(ERROR_PAGE) && Instant::now() < end {
            sleep(LOOK);
            url = self.address()?;
        }
        if !url.starts_with("http") && !url.starts_with(ERROR_PAGE) || self.was_posted()? {
            return Ok(Landing { status: None, url });
        }
        let loads = self.watch.loads();
        self.call(Page::Reload { ignore_cache: None, script_to_evaluate_on_load: None, loader_id: None })?;
        let end = Instant::now() + TAB_LOADS;
        while (self.watch.loads() == loads || self.watch.newest().is_none()) && Instant::now() < end {
            sleep(LOOK);
        }
        let (status, url) = self.watch.newest().map_or((None, url), |(status, url)| (Some(status), url));
        Ok(Landing { status, url })
    }

    fn address(&self) -> Result<String, ChromeError> {
        let found = match self.call(evaluation("location.href".to_owned(), None, true)) {
            Err(ChromeError::ContextLost | ChromeError::NoContext) => return Ok(String::new()),
            found => found?,
        };
        Ok(found.result.value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A form led to the document: it cannot be asked for again.
    fn was_posted(&self) -> Result<bool, ChromeError> {
        let history = self.call(Page::GetNavigationHistory(None))?;
        let at = usize::try_from(history.current_index).unwrap_or_default();
        Ok(history
            .entries
            .get(at)
            .is_some_and(|entry| entry.transition_Type == Page::TransitionType::FormSubmit))
    }
}

/// Opens a page. The crate waits for its tab far longer than the browser may live, so that is done here.
fn open_tab(browser: &Browser, process: &Process) -> Result<Arc<Tab>, ChromeError> {
    browser.set_default_timeout(Duration::ZERO);
    match browser.new_tab() {
        Err(error) if error.is::<Timeout>() => {
            let only = || browser.get_tabs().lock().ok()?.first().cloned();
            process.wait_for(only).ok_or_else(|| ChromeError::Gone("it opened no page".to_owned()))
        }
        opened => opened.map_err(failed),
    }
}

/// Events come on a thread of the crate's; it ends with its tab.
fn listen(tab: &Arc<Tab>, watch: &Arc<Watch>, process: &Weak<Process>) -> Result<(), ChromeError> {
    let (watch, process, name) = (watch.clone(), process.clone(), tab.get_target_id().clone());
    let page = Arc::downgrade(tab);
    let listener = move |event: &Event| {
        if watch.on_event(&name, event) {
            // the call in flight would wait for its end for ever
            process.upgrade().inspect(|process| process.kill());
        }
        if let (Event::PageJavascriptDialogOpening(_), Some(page)) = (event, page.upgrade()) {
            // a dialog that nobody answers stops the page; it may be gone already
            let _ = page.get_dialog().accept(None);
        }
    };
    tab.add_event_listener(Arc::new(listener)).map(drop).map_err(failed)
}
