//! Asks a source for the first page of a day that has data: is it there, does it let us in, do its records fit?
//! Without Redis and storage; with the config directory and the secrets of this host.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chrono::{Days, NaiveDate, Utc};
use nstore_shared::{
    chunk::{Kind, start_of_day},
    config::{
        self, LoadOptions, Source,
        path::FieldPath,
        secrets::{self, Secrets},
        spec::{ApiSpec, ExtractSpec, Paginator},
    },
    retry::FailureClass,
    storage::marker::Evidence,
};
use tokio::sync::mpsc;

use crate::{
    extract::{
        Excuse, ExtractError, Extractor as _, Page, Sent, Span,
        host::{BrowserConfig, Host},
    },
    refine::Refiner,
};

mod days;
mod finding;

use days::Asked;
pub use finding::{Class, Finding};

/// No page takes longer here, whatever the source's own limits are.
const LONGEST: Duration = Duration::from_secs(60);
/// After this time no further range of days is asked for.
const SEARCH: Duration = Duration::from_secs(60);
/// The longest wait between two requests for the sake of the source's budget.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Of a value that an answer names, so many characters are shown.
const VALUE_CHARS: usize = 40;

/// A source that may be asked.
pub struct Prepared {
    name: String,
    source: Source,
    secrets: Secrets,
}

/// Reads the config directory and this host's secrets.
///
/// # Errors
/// What is wrong before anything is asked.
pub fn prepare(dir: &Path, name: &str, env: fn(&str) -> Option<String>) -> Result<Prepared, Box<Finding>> {
    let failed = |class: Class, message: String| Box::new(Finding::failed(name, None, class, message));
    let config = |faults: config::Faults| failed(Class::Config, faults.to_string().trim_end().to_owned());
    let options = LoadOptions { env: &env, timezone: None };
    let loaded = config::load_for(dir, &options, &[name.to_owned()]).map_err(config)?;
    let known = || loaded.names().into_iter().collect::<Vec<_>>().join(", ");
    let found = name.parse().ok().and_then(|id| loaded.sources.get(&id));
    let Some(source) = found.cloned() else {
        let message = format!("no source `{name}` in {}: there are {}", dir.display(), known());
        return Err(failed(Class::Config, message));
    };
    let secrets = Secrets::load(&Secrets::file(dir, &env), env).map_err(config)?;
    secrets.note_user_names(source.spec.user_names());
    let absent: Vec<String> = source
        .spec
        .secrets()
        .into_iter()
        .filter(|secret| secrets.get(secret).is_none())
        .map(|secret| format!("`{}` ({})", secret.0, Secrets::variable(secret)))
        .collect();
    if !absent.is_empty() {
        let message = format!("this host lacks the secret {}", absent.join(" and "));
        let kind = Some(source.spec.kind());
        return Err(Box::new(Finding::failed(name, kind, Class::SecretMissing, message)));
    }
    Ok(Prepared { name: name.to_owned(), source, secrets })
}

impl Prepared {
    /// Asks the source for a day, or else for the newest days that have data.
    pub async fn ask(&self, date: Option<NaiveDate>) -> Finding {
        let host = match self.host().await {
            Ok(host) => host,
            Err(message) => return self.failed(Class::Unfit, message),
        };
        let finding = self.search(&host, date).await;
        host.close().await;
        Finding { message: secrets::redact(&finding.message, &self.secrets), ..finding }
    }

    /// Asks for one range of days after the other until one has data.
    async fn search(&self, host: &Host, date: Option<NaiveDate>) -> Finding {
        let today = Utc::now().with_timezone(&self.source.spec.timezone).date_naive();
        let ranges = days::ranges(today, date, self.source.chunk_days.value, self.source.spec.kind());
        let began = Instant::now();
        let mut empty: Vec<Asked> = Vec::new();
        let mut last: Option<Finding> = None;
        for asked in ranges {
            if !empty.is_empty() {
                if began.elapsed() > SEARCH {
                    break;
                }
                tokio::time::sleep(self.pause()).await;
            }
            let started = Instant::now();
            let page = tokio::time::timeout(LONGEST, self.first_page(host, self.span(asked))).await;
            let page = page.unwrap_or_else(|_| {
                let message = format!("no page within {} s from {}", LONGEST.as_secs(), self.place());
                Err(ExtractError::new(FailureClass::Transient, message))
            });
            let latency_ms = Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
            let found = match page {
                Ok(seen) => self.judge(asked, &seen, &empty),
                Err(error) if self.shows_nothing(&error) => Some(self.failed(
                    Class::NotShown,
                    format!("the dashboard is reached and shows nothing for {asked}: {}", error.message),
                )),
                Err(error) => Some(self.failed(error.class.into(), error.message)),
            };
            let found = found.map(|finding| Finding { latency_ms, ..finding });
            match found {
                Some(finding) if finding.class == Some(Class::NotShown) => last = last.or(Some(finding)),
                // the source has answered before: what it says of more days is no answer to the question
                Some(finding) if !finding.ok && !empty.is_empty() => break,
                Some(finding) => return finding,
                None => {
                    last = last.or_else(|| {
                        Some(Finding { latency_ms, ..self.failed(Class::NoData, String::new()) })
                    });
                }
            }
            empty.push(asked);
        }
        self.nothing_found(last, &empty)
    }

    /// What is said when no range had data.
    fn nothing_found(&self, last: Option<Finding>, empty: &[Asked]) -> Finding {
        let finding = last.unwrap_or_else(|| self.failed(Class::NoData, String::new()));
        if finding.class == Some(Class::NotShown) {
            return finding;
        }
        let message = format!("it answers, and has no records on the days tried: {}", listed(empty));
        Finding { records: Some(0), rejected: Some(0), message, ..finding }
    }

    /// A step that waits for something to be seen came to nothing: the page itself was reached.
    fn shows_nothing(&self, error: &ExtractError) -> bool {
        self.source.spec.kind() == Kind::Browser
            && error.class != FailureClass::Auth
            && error.message.starts_with("step ")
            && error.message.contains(" (wait_for): ")
    }

    /// The wait between two requests that the source's budget asks for.
    fn pause(&self) -> Duration {
        match &self.source.spec.extract {
            ExtractSpec::Api(api) => {
                api.budget.as_ref().map_or(Duration::ZERO, |budget| budget.rate.interval().min(MAX_PAUSE))
            }
            ExtractSpec::Browser(_) => Duration::ZERO,
        }
    }

    fn span(&self, asked: Asked) -> Span {
        let zone = self.source.spec.timezone;
        Span {
            start: start_of_day(asked.first, zone),
            end: start_of_day(asked.last + Days::new(1), zone),
            zone,
        }
    }

    /// Where it asks, for people.
    fn place(&self) -> String {
        match &self.source.spec.extract {
            ExtractSpec::Api(api) => api.base_url.clone(),
            ExtractSpec::Browser(browser) => {
                browser.login.as_ref().map_or_else(|| "the dashboard".to_owned(), |login| login.url.clone())
            }
        }
    }

    fn failed(&self, class: Class, message: String) -> Finding {
        Finding::failed(&self.name, Some(self.source.spec.kind()), class, message)
    }

    /// What this host has for the source's kind, or what it lacks.
    async fn host(&self) -> Result<Host, String> {
        let config = BrowserConfig::from_env(&|name| std::env::var(name).ok())?;
        Host::open(self.source.spec.kind(), &config).await.map_err(|error| error.to_string())
    }

    /// The first page, if there is one, and what was seen of the end.
    async fn first_page(&self, host: &Host, span: Span) -> Result<Seen, ExtractError> {
        let mut once = self.source.spec.extract.clone();
        if let ExtractSpec::Api(api) = &mut once {
            api.retry.attempts = 1;
            // a day that a chunk would be split for has a first page all the same
            (api.limits.max_pages, api.limits.max_records) = (u64::MAX, None);
        }
        // a dashboard has been read to its end when its first page comes
        let to_the_end = matches!(once, ExtractSpec::Browser(_));
        let extractor = host.extractor(&once, &self.source.contract, None, &|name| self.secrets.get(name))?;
        let (sender, mut pages) = mpsc::channel(1);
        let extraction = extractor.extract(span, sender);
        tokio::pin!(extraction);
        let mut first = None;
        loop {
            tokio::select! {
                biased;
                sent = pages.recv() => match sent {
                    Some(Sent::Page(page)) => {
                        first.get_or_insert(page);
                        if !to_the_end {
                            return Ok(Seen { page: first, evidence: None });
                        }
                    }
                    Some(Sent::Patience(wait)) => return Err(patience(wait)),
                    None => {
                        let extracted = extraction.await?;
                        return Ok(Seen { page: first, evidence: Some(extracted.evidence) });
                    }
                },
                ended = &mut extraction => {
                    let extracted = ended?;
                    // the only page may have come with the end
                    while let Ok(sent) = pages.try_recv() {
                        if let Sent::Page(page) = sent {
                            first.get_or_insert(page);
                        }
                    }
                    return Ok(Seen { page: first, evidence: Some(extracted.evidence) });
                }
            }
        }
    }

    /// Whether the records of a page fit; `None` when there are none.
    fn judge(&self, asked: Asked, seen: &Seen, empty: &[Asked]) -> Option<Finding> {
        let page = seen.page.as_ref()?;
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        let span = self.span(asked);
        let refined = Refiner::new(&self.source.contract, &self.source.spec.extract.records(), span)
            .and_then(|mut refiner| refiner.page(page, &mut rows, &mut rejects));
        let figures = match refined {
            Ok(figures) => figures,
            Err(error) => return Some(self.failed(error.class().into(), error.to_string())),
        };
        let (records, rejected, outside) = (figures.records, figures.rejected, figures.outside);
        if records == 0 {
            return None;
        }
        let counted =
            |failed: Finding| Finding { records: Some(records), rejected: Some(rejected), ..failed };
        if outside == records {
            let message = format!(
                "all {records} records on the first page lie outside {asked}, which was asked for; compare \
                 `window`, `timezone` and the mapping's `range_column` with the source's documents"
            );
            return Some(counted(self.failed(Class::Data, message)));
        }
        if self.source.contract.rejects.exceeded(rejected, records) {
            let first = rejects.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let first: String = String::from_utf8_lossy(first).chars().take(300).collect();
            let message = format!(
                "{rejected} of {records} records on the first page do not fit the mapping; the first: {first}"
            );
            return Some(counted(self.failed(Class::Data, message)));
        }
        let fit = records - rejected;
        let mut message =
            format!("it lets us in; {fit} of {records} records on the first page of {asked} fit");
        if !empty.is_empty() {
            message.push_str(&format!("; no records on {}", listed(empty)));
        }
        if outside > 0 {
            message.push_str(&format!("; {outside} lie outside the days asked for and would be left out"));
        }
        message.push_str(&format!("; {}", self.end(seen)));
        Some(Finding::fine(&self.name, records, rejected, message))
    }

    /// What shows the end of the source's data.
    fn end(&self, seen: &Seen) -> String {
        let proof = seen.evidence.iter().flatten().find(|evidence| evidence.is_proof());
        if let Some(proof) = proof {
            return format!("complete by: {}", proof.name());
        }
        if let Some(gap) = config::evidence_gap(&self.source.spec) {
            return format!("nothing proves that a chunk is complete: {gap}");
        }
        let body =
            seen.page.as_ref().and_then(|page| std::str::from_utf8(&page.body).ok()).unwrap_or_default();
        match &self.source.spec.extract {
            ExtractSpec::Api(api) => {
                let told: Vec<String> = paths(api).iter().map(|(key, path)| value(key, path, body)).collect();
                if told.is_empty() { "the end is told by an empty page".to_owned() } else { told.join(", ") }
            }
            ExtractSpec::Browser(_) => "nothing on these days proved to be complete".to_owned(),
        }
    }
}

/// What came of asking for a range of days.
struct Seen {
    page: Option<Page>,
    /// What was seen of the end, where all pages were read.
    evidence: Option<Vec<Evidence>>,
}

/// The paths by which an API tells its end, with their keys.
fn paths(api: &ApiSpec) -> Vec<(&'static str, &FieldPath)> {
    let (first, total, more) = match &api.paginator {
        Paginator::None { total_path, has_more_path }
        | Paginator::Offset { total_path, has_more_path, .. } => (None, total_path, has_more_path),
        Paginator::PageNumber { total_pages_path, total_path, has_more_path, .. } => {
            (total_pages_path.as_ref().map(|path| ("total_pages_path", path)), total_path, has_more_path)
        }
        Paginator::Cursor { cursor_path, total_path, has_more_path, .. } => {
            (Some(("cursor_path", cursor_path)), total_path, has_more_path)
        }
    };
    let total = total.as_ref().map(|path| ("total_path", path));
    let more = more.as_ref().map(|path| ("has_more_path", path));
    first.into_iter().chain(total).chain(more).collect()
}

/// What an answer has at a path: `total_path` finds 1234.
fn value(key: &str, path: &FieldPath, body: &str) -> String {
    match path.find(body) {
        Ok(Some(found)) => {
            let text: String = found.get().chars().take(VALUE_CHARS).collect();
            format!("`{key}` finds {text}")
        }
        Ok(None) | Err(_) => format!("`{key}` finds nothing in this answer"),
    }
}

/// `2025-08-31, 2025-08-24..2025-08-30`.
fn listed(ranges: &[Asked]) -> String {
    let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

fn patience(wait: Duration) -> ExtractError {
    let message = format!("the source asks to be left alone for {} s", wait.as_secs().max(1));
    ExtractError {
        excuse: Some(Excuse::Patience(wait)),
        ..ExtractError::new(FailureClass::RateLimited, message)
    }
}
