//! What a browser holds of a session: cookies, and what pages keep for their origin.

use headless_chrome::protocol::cdp::{Network, Page, Storage};
use serde_json::{Value, json};

use super::{
    ChromeError, Seat,
    protocol::{GetCookies, SetCookies},
};

impl Seat {
    /// All cookies of the browser, in the form that [`Self::restore`] takes.
    pub(crate) fn cookies(&self) -> Result<Vec<Value>, ChromeError> {
        let mut cookies = self.call(GetCookies {})?.cookies;
        for cookie in &mut cookies {
            let Some(fields) = cookie.as_object_mut() else { continue };
            fields.remove("size");
            fields.remove("session");
            if fields.get("expires").and_then(Value::as_f64).is_some_and(|at| at < 0.0) {
                fields.remove("expires");
            }
        }
        Ok(cookies)
    }

    /// Makes the browser one that holds these cookies and what pages keep for their origin, and nothing else.
    pub(crate) fn restore(
        &self,
        cookies: &[Value],
        kept: &[(String, Vec<(String, String)>)],
    ) -> Result<(), ChromeError> {
        for identifier in self.restorers.borrow_mut().drain(..) {
            self.call(Page::RemoveScriptToEvaluateOnNewDocument { identifier })?;
        }
        self.forget()?;
        if !cookies.is_empty() {
            self.call(SetCookies { cookies: cookies.to_vec() })?;
        }
        for (origin, entries) in kept {
            // what the page makes of it later stays
            let source = format!(
                "if (location.origin === {} && localStorage.length === 0) \
                 for (const [key, value] of {}) localStorage.setItem(key, value);",
                json!(origin),
                json!(entries)
            );
            let added = self.call(Page::AddScriptToEvaluateOnNewDocument {
                source,
                world_name: None,
                include_command_line_api: None,
                run_immediately: None,
            })?;
            self.restorers.borrow_mut().push(added.identifier);
        }
        Ok(())
    }

    /// Leaves the page, which could put back what it knows, and empties what all origins keep.
    fn forget(&self) -> Result<(), ChromeError> {
        self.worlds.borrow_mut().clear();
        self.call(Page::Navigate {
            url: "about:blank".to_owned(),
            referrer: None,
            transition_Type: None,
            frame_id: None,
            referrer_policy: None,
        })?;
        self.call(Network::ClearBrowserCookies(None))?;
        let all = Storage::ClearDataForOrigin { origin: "*".to_owned(), storage_Types: "all".to_owned() };
        self.call(all).map(drop)
    }
}
