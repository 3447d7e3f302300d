//! Dashboards, through a headless browser.
//!
//! - [`visit`]: the steps of a source, one after the other; [`opening`]: the first of them; [`steps`]: the others
//! - [`entrance`]: in, and in again when the session ends; [`login`]: the way in; [`sessions`]: logins are shared
//! - [`lanes`]: the ways by which a page's rows come out of it
//! - [`pool`]: the browsers of a worker; [`chrome`]: one of them, and the only place that knows the crate
//! - [`scripts`]: what runs inside the page; [`bundle`]: what a failed visit looked like

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use nstore_shared::{
    config::{
        secrets::Secret,
        spec::{
            SecretRef,
            browser::{BrowserClock, BrowserSpec},
        },
    },
    retry::FailureClass,
};
use tokio::{sync::mpsc, time::timeout};

use super::{ExtractError, Extracted, Extractor, Page, PageFormat, Sent, Span, Split};

mod bundle;
mod chrome;
mod entrance;
pub mod lanes;
mod login;
mod opening;
pub(crate) mod pool;
mod scripts;
pub(crate) mod sessions;
mod steps;
mod trouble;
mod visit;

use chrome::Chrome;
use lanes::Harvest;
use login::Credentials;
use pool::{Key, Pool};
use sessions::Sessions;
use trouble::Trouble;
use visit::{Place, Visit};

/// About how large a page of rows is that is handed on, in bytes.
const PAGE_BYTES: usize = 1 << 20;

/// Extracts the chunks of one source.
pub struct BrowserExtractor {
    spec: BrowserSpec,
    secrets: HashMap<SecretRef, Secret>,
    pool: Arc<Pool>,
    sessions: Arc<Sessions>,
}

impl BrowserExtractor {
    /// Gets the secrets of a source together.
    ///
    /// # Errors
    /// Class `auth` when one is not on this host.
    pub(crate) fn new(
        spec: &BrowserSpec,
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        pool: Arc<Pool>,
        sessions: Arc<Sessions>,
    ) -> Result<Self, ExtractError> {
        let value = |name: &SecretRef| {
            let lacks =
                || ExtractError::new(FailureClass::Auth, format!("this host lacks the secret `{}`", name.0));
            Ok((name.clone(), secrets(name).ok_or_else(lacks)?))
        };
        let secrets = spec.secrets().into_iter().map(value).collect::<Result<_, ExtractError>>()?;
        Ok(Self { spec: spec.clone(), secrets, pool, sessions })
    }

    /// Which browsers may be used: those that hold this login and have this clock.
    fn key(&self, clock: BrowserClock) -> Key {
        let login = self.spec.login.as_ref().zip(self.who());
        let login = login.map(|(login, who)| self.sessions.name_of(login, &who)).unwrap_or_default();
        Key { login, clock }
    }

    /// Clock and language of the browser.
    fn clock(&self, span: Span) -> BrowserClock {
        self.spec.clock.clone().unwrap_or_else(|| BrowserClock::of_zone(span.zone))
    }

    /// The account, where there is a login.
    fn who(&self) -> Option<Credentials> {
        let login = self.spec.login.as_ref()?;
        let secret = |name: &SecretRef| self.secrets.get(name).cloned();
        Some(Credentials { username: secret(&login.username)?, password: secret(&login.password)? })
    }

    /// The rows of a range, or why there are none, with what it looked like.
    async fn harvest(&self, span: Span) -> Result<Harvest, ExtractError> {
        let key = self.key(self.clock(span));
        let mut chrome = self.pool.take(&key).await.map_err(|error| of(error.into(), &Place::default()))?;
        let mut place = Place::default();
        match self.visit(span, &mut chrome, &mut place).await {
            Ok(harvest) => {
                self.pool.give_back(chrome, &key);
                Ok(harvest)
            }
            Err(trouble) => {
                let secrets = bundle::Covered::new(&self.secrets, &self.spec.user_names());
                let bundle = bundle::take(&chrome, &secrets, &place, &trouble).await;
                // the next try begins with a fresh browser: what is wrong with this one cannot be known
                Err(ExtractError { bundle: Some(Box::new(bundle)), ..of(trouble, &place) })
            }
        }
    }

    async fn visit(&self, span: Span, chrome: &mut Chrome, place: &mut Place) -> Result<Harvest, Trouble> {
        let secrets = |name: &SecretRef| self.secrets.get(name).cloned();
        let (sessions, who) = (&*self.sessions, self.who());
        let visit = Visit { spec: &self.spec, span, secrets: &secrets, sessions, who };
        let limit = self.spec.chunk_timeout;
        timeout(limit, visit.run(chrome, place)).await.unwrap_or_else(|_| {
            let message = format!("the chunk took longer than {} s (`timeouts.chunk`)", limit.as_secs());
            Err(Trouble { late: true, ..Trouble::passing(message) })
        })
    }

    /// The columns that `read` names, in their order.
    fn columns(&self) -> &[String] {
        self.spec.read().map(|read| &read.columns[..]).unwrap_or_default()
    }
}

/// With the step that failed.
fn of(trouble: Trouble, place: &Place) -> ExtractError {
    let (class, excuse) = (trouble.class, trouble.excuse);
    let split = match (trouble.capped, trouble.late) {
        (true, _) => Split::AtOnce,
        // a page that hangs is late as well
        (false, true) => Split::AtLast,
        (false, false) => Split::No,
    };
    let message = match place.step {
        Some((number, word)) => format!("step {number} ({word}): {}", trouble.message),
        None => trouble.message,
    };
    ExtractError { split, excuse, ..ExtractError::new(class, message) }
}

impl Extractor for BrowserExtractor {
    async fn extract(&self, span: Span, pages: mpsc::Sender<Sent>) -> Result<Extracted, ExtractError> {
        let harvest = tokio::select! {
            biased;
            harvest = self.harvest(span) => harvest?,
            // nobody listens any more: the browser at work ends with its visit
            () = pages.closed() => return Ok(Extracted::default()),
        };
        let origin = format!("the dashboard, by lane {}", harvest.lane);
        for body in pages_of(self.columns(), &harvest.absent, &harvest.table.rows) {
            let page = Page { body, format: PageFormat::Json, origin: origin.clone() };
            if pages.send(Sent::Page(page)).await.is_err() {
                break;
            }
        }
        let Harvest { pages, evidence, lane, .. } = harvest;
        let browser = Some(self.clock(span));
        Ok(Extracted { pages, evidence, lane: Some(lane), browser, ..Extracted::default() })
    }
}

/// Rows as JSON arrays of records, each page of about [`PAGE_BYTES`]; no rows are one empty page. Columns that were nowhere
/// are left out, so that they can be told from those that are null.
fn pages_of<'a>(
    columns: &'a [String],
    absent: &[bool],
    rows: &'a [Vec<Option<String>>],
) -> impl Iterator<Item = Bytes> + use<'a> {
    let is_there = |at: usize| !absent.get(at).copied().unwrap_or(false);
    let names: Vec<(usize, String)> =
        columns.iter().map(|name| json_text(name)).enumerate().filter(|(at, _)| is_there(*at)).collect();
    let (mut rest, mut first) = (rows.iter(), true);
    std::iter::from_fn(move || {
        if rest.len() == 0 && !std::mem::take(&mut first) {
            return None;
        }
        first = false;
        let mut page = String::from("[");
        for row in rest.by_ref() {
            page.push_str(if page.len() == 1 { "{" } else { ",{" });
            for (place, (at, name)) in names.iter().enumerate() {
                if place > 0 {
                    page.push(',');
                }
                page.push_str(name);
                page.push(':');
                let value = row.get(*at).and_then(Option::as_deref);
                page.push_str(&value.map_or("null".to_owned(), json_text));
            }
            page.push('}');
            if page.len() >= PAGE_BYTES {
                break;
            }
        }
        page.push(']');
        Some(page.into())
    })
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_pages_of_records() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let row = |a: &str, b: Option<&str>| vec![Some(a.to_owned()), b.map(str::to_owned)];
        let rows = [row("1", None), row("q\"\n", Some("ü"))];
        let pages: Vec<Bytes> = pages_of(&columns, &[], &rows).collect();
        assert_eq!(pages, [r#"[{"a":"1","b":null},{"a":"q\"\n","b":"ü"}]"#]);
        let known: Vec<Bytes> = pages_of(&columns, &[false, true], &rows).collect();
        assert_eq!(known, [r#"[{"a":"1"},{"a":"q\"\n"}]"#], "what was nowhere is not told as null");
        assert_eq!(pages_of(&columns, &[], &[]).collect::<Vec<_>>(), ["[]"]);
        let many: Vec<_> = (0..5).map(|_| row(&"x".repeat(PAGE_BYTES / 2), None)).collect();
        let pages: Vec<Bytes> = pages_of(&columns, &[], &many).collect();
        let records: usize = pages
            .iter()
            .map(|page| serde_json::from_slice::<Vec<serde_json::Value>>(page).unwrap().len())
            .sum();
        assert_eq!((pages.len(), records), (3, 5));
    }
}
