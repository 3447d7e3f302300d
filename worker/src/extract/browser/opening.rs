//! Opens a page: what answers 5xx, or does not show its frame, is opened again.

use std::time::Duration;

use nstore_shared::{
    config::spec::browser::{Selector, Step},
    retry::FailureClass,
};
use serde_json::{Value, json};

use super::{
    chrome::{Chrome, ChromeError, watch::bare},
    entrance::{Stopped, again_and_again},
    login::origins,
    scripts::Script,
    trouble::{Trouble, origin},
    visit::{TRIES, Trail, Visit, script},
};
use crate::extract::Excuse;

/// How long a frame may take to mount before the page is opened again.
pub(super) const MOUNT: Duration = Duration::from_secs(10);
/// How long a page may load before it is used as it is.
const LOAD: Duration = Duration::from_secs(10);
/// How long it takes to tell a login page.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// How long it takes to tell what is on a page.
const GLIMPSE: Duration = Duration::from_secs(1);
/// How long a page that answers 429 is left alone.
const PATIENCE: Duration = Duration::from_secs(30);

impl Visit<'_> {
    /// Opens a page; one that answers 5xx, or whose frame does not mount, is opened again. Gives whether it has the
    /// frame that the steps act in, where they do.
    pub(super) async fn goto(
        &self,
        chrome: &Chrome,
        at: usize,
        url: &str,
        limit: Duration,
    ) -> Result<Option<bool>, Stopped> {
        let framed = self.spec.steps[at..].iter().find(|step| step.frame.is_some());
        let (mut tries, mut first) = (1, None);
        loop {
            match self.open(chrome, framed, url, limit).await {
                Err(Stopped::Trouble(trouble))
                    if trouble.class == FailureClass::Transient && tries < TRIES && !trouble.browser_gone =>
                {
                    first.get_or_insert(trouble.message);
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200) * tries).await;
                }
                Err(Stopped::Trouble(trouble)) if tries > 1 => {
                    let other = first.filter(|first| *first != trouble.message);
                    let trouble = trouble.during(&format!("{tries} times"));
                    return Err(other
                        .iter()
                        .fold(trouble, |trouble, first| trouble.and(&format!("the first time: {first}")))
                        .into());
                }
                ended => return ended,
            }
        }
    }

    /// Opens a page once, and waits for its frame.
    async fn open(
        &self,
        chrome: &Chrome,
        framed: Option<&Step>,
        url: &str,
        limit: Duration,
    ) -> Result<Option<bool>, Stopped> {
        let (status, landed) = load(chrome, url, limit).await?;
        if let Some(trouble) = self.elsewhere(url, &landed) {
            return Err(trouble.into());
        }
        // some ask for a login by a word alone
        if matches!(status, 401 | 403) && self.spec.login.is_some() {
            let message =
                format!("{} answers {status} to a fresh login: has this account a right to it?", bare(url));
            return Err(Stopped::Refused(Trouble::new(FailureClass::Auth, message)));
        }
        accept(url, status)?;
        if let Some(lost) = lost(url, &landed) {
            let message = format!("{}: the page did not take `{lost}`, and shows all it has", bare(url));
            return Err(Trouble::new(FailureClass::Config, message).into());
        }
        if self.is_signed_out(chrome, None).await? {
            return Err(Stopped::SignedOut(again_and_again(bare(url))));
        }
        let Some((step, frame)) = framed.and_then(|step| Some((step, step.frame.as_ref()?))) else {
            return Ok(None);
        };
        self.mount(chrome, step, frame, limit.min(MOUNT)).await.map(Some).map_err(|error| {
            Trouble::from(error).during(&format!("{}: its frame does not mount", bare(url))).into()
        })
    }

    /// A page that leads to another origin by itself, at once or later, as long as no step has led there.
    pub(super) fn led_elsewhere(&self, chrome: &Chrome, trail: &Trail) -> Option<Trouble> {
        let asked = trail.address.as_ref().filter(|_| trail.acted.is_none() && trail.tab.is_none())?;
        let (_, landed) = chrome.watch.newest()?;
        self.elsewhere(asked, &landed)
    }

    /// A redirect to another origin; those of the login are its own.
    fn elsewhere(&self, asked: &str, landed: &str) -> Option<Trouble> {
        let logins = self.spec.login.as_ref().map(origins).unwrap_or_default();
        let target = other_origin(asked, landed, &logins)?;
        let message = format!(
            "{}: redirected from {} to another origin, {target}, which is not followed; if that is right, name it in `goto`",
            bare(asked),
            origin(asked).unwrap_or_default()
        );
        Some(Trouble::new(FailureClass::Config, message))
    }

    /// Waits until a frame has its document. False where the page may do without it, and does.
    async fn mount(
        &self,
        chrome: &Chrome,
        step: &Step,
        frame: &Selector,
        limit: Duration,
    ) -> Result<bool, ChromeError> {
        if step.frame_optional && !self.has_frame(chrome, frame, step, limit).await? {
            return Ok(false);
        }
        let input = json!({ "act": "wait_for", "selector": "body" });
        script(chrome, Some(frame), Script::Step, input, limit).await.map(|_| true)
    }
}

/// Loads a document, as a whole where it comes to that; gives its status and where it led to.
pub(super) async fn load(chrome: &Chrome, url: &str, limit: Duration) -> Result<(u32, String), Trouble> {
    let address = url.to_owned();
    let landing = chrome.ask(limit, move |seat| seat.goto(&address)).await;
    let landing = landing.map_err(|error| Trouble::from(error).during(bare(url)))?;
    let status = landing.status.unwrap_or(200);
    if status < 400 {
        // with its styles: before, hidden things are to be seen; a page that never ends loading is taken as it is
        match script(chrome, None, Script::Step, json!({ "act": "loaded" }), limit.min(LOAD)).await {
            Ok(_) | Err(ChromeError::ContextLost | ChromeError::Script(_)) => {}
            Err(error) => return Err(Trouble::from(error).during(bare(url))),
        }
    }
    Ok((status, landing.url))
}

/// Whether a page's status is one of a page.
pub(super) fn accept(url: &str, status: u32) -> Result<(), Trouble> {
    let class = match status {
        ..=399 => return Ok(()),
        401 | 403 => FailureClass::Auth,
        404 | 410 => FailureClass::Config,
        429 => FailureClass::RateLimited,
        _ => FailureClass::Transient,
    };
    let excuse = (class == FailureClass::RateLimited).then_some(Excuse::Patience(PATIENCE));
    Err(Trouble { excuse, ..Trouble::new(class, format!("{} answers {status}", bare(url))) })
}

/// A trouble, with what was on the page instead of what was waited for.
pub(super) async fn with_looks(chrome: &Chrome, frame: Option<&Selector>, trouble: Trouble) -> Trouble {
    if trouble.browser_gone {
        return trouble;
    }
    let shown = match glimpse(chrome, frame).await {
        None if frame.is_some() => glimpse(chrome, None).await,
        shown => shown,
    };
    match shown {
        Some(shown) => trouble.and(&format!("the page has {shown}")),
        None => trouble,
    }
}

/// What is to be seen, in a few words for people; nothing where that cannot be had.
async fn glimpse(chrome: &Chrome, frame: Option<&Selector>) -> Option<String> {
    let seen = script(chrome, frame, Script::Step, json!({ "act": "glimpse" }), GLIMPSE).await.ok()?;
    let said = |name: &str| {
        let text = seen.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())?;
        Some(format!("{name} `{text}`"))
    };
    let told: Vec<String> = ["title", "heading"].into_iter().filter_map(said).collect();
    if told.is_empty() { said("text") } else { Some(told.join(", ")) }
}

/// The origin of a document that is neither the one asked for nor one of these.
fn other_origin(asked: &str, landed: &str, known: &[String]) -> Option<String> {
    let (asked, landed) = (origin(asked)?, origin(landed)?);
    (asked != landed && !known.contains(&landed)).then_some(landed)
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
    fn another_origin_is_told_from_those_of_the_login() {
        let login = "https://login.microsoftonline.com".to_owned();
        let other =
            |landed: &str| other_origin("https://a.example/r?x=1", landed, std::slice::from_ref(&login));
        for own in
            ["https://a.example/login", "https://a.example:443/", "https://login.microsoftonline.com/x"]
        {
            assert_eq!(other(own), None, "{own}");
        }
        for (landed, origin) in [
            ("http://a.example/r?x=1", "http://a.example"),
            ("https://a.example:8443/r", "https://a.example:8443"),
            (
                "https://login.microsoftonline.com.evil.example/x",
                "https://login.microsoftonline.com.evil.example",
            ),
        ] {
            assert_eq!(other(landed).as_deref(), Some(origin));
        }
    }

    #[test]
    fn a_parameter_that_a_page_drops_is_noticed() {
        let list = "https://a/list?day__gte=2018-01-01&day__lt=2018-01-08";
        assert_eq!(lost(list, "https://a/list?e=1").unwrap(), "day__gte");
        assert_eq!(lost(list, &format!("{list}&p=1#top")), None);
        assert_eq!(lost(list, "https://a/login?next=%2Flist"), None, "a login is another matter");
        assert_eq!(lost("https://a/list", "https://a/list?e=1"), None);
    }
}
