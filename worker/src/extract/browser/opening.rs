//! Opens a page: what answers 5xx, or does not show its frame, is opened again.

use std::time::Duration;

use nstore_shared::{config::spec::browser::Selector, retry::FailureClass};
use serde_json::{Value, json};

use super::{
    chrome::{Chrome, ChromeError, watch::bare},
    scripts::Script,
    trouble::Trouble,
    visit::{LOOK, TRIES, Visit, script},
};

/// How long a frame may take to mount before the page is opened again.
const MOUNT: Duration = Duration::from_secs(10);
/// How long a page may load before it is used as it is.
const LOAD: Duration = Duration::from_secs(10);

/// How long a page that answers 429 is left alone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of opening a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// The page, and its frame if it has one.
    Page,
    /// A login stands before it.
    Login,
}

impl Visit<'_> {
    /// Opens a page; one that answers 5xx, or whose frame does not mount, is opened again.
    pub(super) async fn goto(
        &self,
        chrome: &Chrome,
        at: usize,
        url: &str,
        limit: Duration,
    ) -> Result<Opened, Trouble> {
        let frame = self.spec.steps[at..].iter().find_map(|step| step.frame.as_ref());
        let mut tries = 1;
        loop {
            match self.open(chrome, frame, url, limit).await {
                Err(trouble)
                    if trouble.class == FailureClass::Transient && tries < TRIES && !trouble.browser_gone =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
                Err(trouble) => {
                    return Err(if tries > 1 { trouble.during(&format!("{tries} times")) } else { trouble });
                }
                Ok(opened) => return Ok(opened),
            }
        }
    }

    /// Opens a page once, and waits for its frame.
    async fn open(
        &self,
        chrome: &Chrome,
        frame: Option<&Selector>,
        url: &str,
        limit: Duration,
    ) -> Result<Opened, Trouble> {
        let status = load(chrome, url, limit).await?;
        // some ask for a login by a word alone
        if matches!(status, 401 | 403) && self.spec.login.is_some() {
            return Ok(Opened::Login);
        }
        accept(chrome, url, status).await?;
        if self.is_signed_out(chrome, None).await? {
            return Ok(Opened::Login);
        }
        if frame.is_some() {
            let input = json!({ "act": "wait_for", "selector": "body" });
            let mounted = script(chrome, frame, Script::Step, input, limit.min(MOUNT)).await;
            let without =
                |error| Trouble::from(error).during(&format!("{}: its frame does not mount", bare(url)));
            mounted.map_err(without)?;
        }
        Ok(Opened::Page)
    }
}

/// Loads a document, as a whole where it comes to that; gives its status.
pub(super) async fn load(chrome: &Chrome, url: &str, limit: Duration) -> Result<u32, Trouble> {
    let address = url.to_owned();
    let landing = chrome.ask(limit, move |seat| seat.goto(&address)).await;
    let landing = landing.map_err(|error| Trouble::from(error).during(bare(url)))?;
    if let Some(lost) = lost(url, &landing.url) {
        let message = format!("{}: the page did not take `{lost}`, and shows all it has", bare(url));
        return Err(Trouble::new(FailureClass::Config, message));
    }
    let status = landing.status.unwrap_or(200);
    if status < 400 {
        // with its styles: before, hidden things are to be seen; a page that never ends loading is taken as it is
        match script(chrome, None, Script::Step, json!({ "act": "loaded" }), limit.min(LOAD)).await {
            Ok(_) | Err(ChromeError::ContextLost | ChromeError::Script(_)) => {}
            Err(error) => return Err(Trouble::from(error).during(bare(url))),
        }
    }
    Ok(status)
}

/// Whether a page's status is one of a page.
pub(super) async fn accept(chrome: &Chrome, url: &str, status: u32) -> Result<(), Trouble> {
    let class = match status {
        ..=399 => return Ok(()),
        401 | 403 => FailureClass::Auth,
        404 | 410 => FailureClass::Config,
        429 => FailureClass::RateLimited,
        _ => FailureClass::Transient,
    };
    let seen =
        script(chrome, None, Script::Step, json!({ "act": "glimpse" }), LOOK).await.unwrap_or_default();
    let title = seen.get("title").and_then(Value::as_str).unwrap_or_default();
    let message = format!("{} answers {status}, with a page titled `{title}`", bare(url));
    let wait = (class == FailureClass::RateLimited).then_some(PATIENCE);
    Err(Trouble { wait, ..Trouble::new(class, message) })
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
