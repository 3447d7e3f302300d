//! What the browser's thread can do with its page. Every call blocks until it is done.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Weak},
    thread::sleep,
    time::{Duration, Instant},
};

use headless_chrome::{
    Browser, Tab,
    protocol::cdp::{DOM, Network, Page, Runtime, types::Method},
};
use nstore_shared::config::spec::browser::{BrowserClock, Selector};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ChromeError,
    launch::{HEAP_MIB, Process},
    protocol::from_base64,
    watch::Watch,
};
use crate::extract::browser::scripts::{PAGE, Script};

/// What came of opening an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The document's status; `None` when the browser did not tell.
    pub(crate) status: Option<u32>,
    /// Where it led to.
    pub(crate) url: String,
}

/// The thread's place at its page.
pub(crate) struct Seat {
    /// The tab that it works in.
    pub(super) tab: RefCell<Arc<Tab>>,
    /// The tabs that are known, the first of them opened by us.
    pub(super) known: RefCell<Vec<Arc<Tab>>>,
    /// Clock and language of the pages.
    pub(super) clock: BrowserClock,
    pub(super) process: Weak<Process>,
    /// What the page tells by itself.
    pub(crate) watch: Arc<Watch>,
    /// Worlds of our own in the frames of the page, by the selector of the frame; under no selector, in the page.
    pub(super) worlds: RefCell<HashMap<String, u32>>,
    /// What puts a session's storage back before each document.
    pub(super) restorers: RefCell<Vec<String>>,
    // dropped last: with it the connection ends
    pub(super) browser: Browser,
}

impl Seat {
    pub(super) fn call<C>(&self, method: C) -> Result<C::ReturnObject, ChromeError>
    where
        C: Method + Serialize + std::fmt::Debug,
    {
        let tab = self.tab.borrow().clone();
        tab.call_method(method).map_err(|error| self.failed(error))
    }

    /// What a call's error means.
    pub(super) fn failed(&self, error: impl std::fmt::Display) -> ChromeError {
        if self.watch.has_crashed() {
            return ChromeError::Gone(format!(
                "the page's process crashed, for lack of memory as a rule: its scripts may hold {HEAP_MIB} MiB; smaller chunks need less"
            ));
        }
        failed(error)
    }

    /// Opens an address and waits until its document is there.
    pub(crate) fn goto(&self, url: &str) -> Result<Landing, ChromeError> {
        self.worlds.borrow_mut().clear();
        let navigate = Page::Navigate {
            url: url.to_owned(),
            referrer: None,
            transition_Type: None,
            frame_id: None,
            referrer_policy: None,
        };
        let landed = self.call(navigate)?;
        if let Some(error) = landed.error_text.filter(|text| !text.is_empty()) {
            return Err(ChromeError::Navigation(error));
        }
        if landed.loader_id.is_none() {
            // an address with a `#` that is open already is not loaded anew by itself
            self.call(Page::Reload {
                ignore_cache: None,
                script_to_evaluate_on_load: None,
                loader_id: None,
            })?;
            return Ok(Landing { status: None, url: url.to_owned() });
        }
        let document = landed.loader_id.as_deref().and_then(|loader| self.document(loader));
        let (status, url) = document.map_or((None, url.to_owned()), |(status, url)| (Some(status), url));
        Ok(Landing { status, url })
    }

    /// The document of a loader; its event may come a little after the call's own answer.
    fn document(&self, loader: &str) -> Option<(u32, String)> {
        let end = Instant::now() + Duration::from_secs(1);
        loop {
            let found = self.watch.document(loader);
            if found.is_some() || Instant::now() > end {
                return found;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Runs a script in the page, or in one of its frames; what it returns comes back as JSON.
    pub(crate) fn run(
        &self,
        frame: Option<&Selector>,
        script: Script,
        input: &Value,
    ) -> Result<Value, ChromeError> {
        let known =
            |seat: &Self| seat.worlds.borrow().contains_key(frame.map_or("", |frame| frame.0.as_str()));
        let kept = known(self);
        let world = match frame {
            Some(frame) => Some(self.world(frame, input)?),
            None if script.is_private() => Some(self.own_world()?),
            None => None,
        };
        let ran = self.evaluate(world, script, input);
        match ran {
            Err(ChromeError::ContextLost) => self.worlds.borrow_mut().clear(),
            // the document that a kept world belonged to was gone before the script began
            Err(ChromeError::NoContext) => {
                self.worlds.borrow_mut().clear();
                return if kept { self.run(frame, script, input) } else { Err(ChromeError::ContextLost) };
            }
            _ => {}
        }
        ran
    }

    /// A world of our own in the page: the page's scripts see nothing of it.
    pub(super) fn own_world(&self) -> Result<u32, ChromeError> {
        if let Some(world) = self.worlds.borrow().get("") {
            return Ok(*world);
        }
        // the page's first frame has its target's name
        let frame = self.tab.borrow().get_target_id().clone();
        let world = self.isolated(frame)?;
        self.worlds.borrow_mut().insert(String::new(), world);
        Ok(world)
    }

    fn isolated(&self, frame_id: String) -> Result<u32, ChromeError> {
        let world = Page::CreateIsolatedWorld {
            frame_id,
            world_name: Some("nstore".to_owned()),
            grant_univeral_access: None,
        };
        self.call(world).map(|made| made.execution_context_id)
    }

    fn evaluate(&self, world: Option<u32>, script: Script, input: &Value) -> Result<Value, ChromeError> {
        let text = format!("(async (input) => {{\n{PAGE}\n{}\n}})({input})", script.text());
        let ran = self.call(evaluation(text, world, true))?;
        if let Some(details) = ran.exception_details {
            let text = details.exception.and_then(|thrown| thrown.description).unwrap_or(details.text);
            // the first line is the message, the others are the stack
            let line = text.lines().next().unwrap_or_default();
            return Err(ChromeError::Script(line.strip_prefix("Error: ").unwrap_or(line).to_owned()));
        }
        Ok(ran.result.value.unwrap_or(Value::Null))
    }

    /// A world of our own in a frame; the frame's document is waited for.
    pub(super) fn world(&self, frame: &Selector, input: &Value) -> Result<u32, ChromeError> {
        if let Some(world) = self.worlds.borrow().get(&frame.0) {
            return Ok(*world);
        }
        let ms = input.get("ms").and_then(Value::as_u64).unwrap_or(10_000);
        let end = Instant::now() + Duration::from_millis(ms);
        let wait = json!({ "act": "wait_for", "selector": frame.0, "ms": ms });
        self.evaluate(None, Script::Step, &wait)?;
        loop {
            let made = self.make_world(frame);
            match made {
                Ok(world) => {
                    self.worlds.borrow_mut().insert(frame.0.clone(), world);
                    return Ok(world);
                }
                Err(error) if error.is_final() || Instant::now() > end => return Err(error),
                // its first document gives way to the real one
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    fn make_world(&self, frame: &Selector) -> Result<u32, ChromeError> {
        let find = format!("(() => {{\n{PAGE}\nreturn all({})[0];\n}})()", json!(frame.0));
        let element = self.call(evaluation(find, None, false))?.result.object_id;
        let described = self.call(DOM::DescribeNode {
            node_id: None,
            backend_node_id: None,
            object_id: Some(element.ok_or(ChromeError::ContextLost)?),
            depth: None,
            pierce: None,
        })?;
        let no_frame = || ChromeError::Script(format!("{} is no iframe", frame.0));
        let world = self.isolated(described.node.frame_id.ok_or_else(no_frame)?)?;
        let ready = "document.readyState === 'complete' && location.href !== 'about:blank'".to_owned();
        let ready = self.call(evaluation(ready, Some(world), true))?;
        if ready.result.value == Some(Value::Bool(true)) {
            Ok(world)
        } else {
            Err(ChromeError::Script(format!("time-out: the frame {} did not load", frame.0)))
        }
    }

    /// The body of an answer that the page got.
    pub(crate) fn answer(&self, id: &str) -> Result<Vec<u8>, ChromeError> {
        let found = self.call(Network::GetResponseBody { request_id: id.to_owned() })?;
        if !found.base_64_encoded {
            return Ok(found.body.into_bytes());
        }
        from_base64(&found.body)
    }

    /// The body that a request was sent with, when its event did not hold it.
    pub(crate) fn question(&self, id: &str) -> Result<String, ChromeError> {
        self.call(Network::GetRequestPostData { request_id: id.to_owned() }).map(|found| found.post_data)
    }

    /// A picture of the page, as PNG.
    pub(crate) fn picture(&self) -> Result<Vec<u8>, ChromeError> {
        let picture = self.call(Page::CaptureScreenshot {
            format: Some(Page::CaptureScreenshotFormatOption::Png),
            quality: None,
            clip: None,
            from_surface: Some(true),
            capture_beyond_viewport: None,
            optimize_for_speed: None,
        })?;
        from_base64(&picture.data)
    }
}

pub(super) fn evaluation(expression: String, world: Option<u32>, by_value: bool) -> Runtime::Evaluate {
    Runtime::Evaluate {
        expression,
        object_group: None,
        include_command_line_api: None,
        silent: Some(true),
        context_id: world,
        return_by_value: Some(by_value),
        generate_preview: None,
        // what a script clicks counts as clicked by a person
        user_gesture: Some(true),
        await_promise: Some(by_value),
        throw_on_side_effect: None,
        timeout: None,
        disable_breaks: None,
        repl_mode: None,
        allow_unsafe_eval_blocked_by_csp: None,
        unique_context_id: None,
        serialization_options: None,
    }
}

/// The crate's errors have no types for these.
pub(super) fn failed(error: impl std::fmt::Display) -> ChromeError {
    let text = format!("{error:#}");
    let has = |part: &str| text.contains(part);
    if has("connection is closed")
        || has("closed connection")
        || has("Connection closed")
        || has("Broken pipe")
        || has("Unable to make method calls")
    {
        return ChromeError::Gone(text);
    }
    if has("Cannot find context") {
        return ChromeError::NoContext;
    }
    let lost = ["context", "navigated or closed", "Cannot find", "No frame", "Frame with the given"];
    if lost.iter().any(|part| has(part)) {
        return ChromeError::ContextLost;
    }
    ChromeError::Protocol(text)
}
