//! Asks a source for the first page of yesterday: is it there, does it let us in, do its records fit?
//! Without Redis and storage; with the config directory and the secrets of this host.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, Utc};
use nstore_shared::{
    chunk::{Kind, start_of_day},
    config::{
        self, LoadOptions, Source,
        secrets::{self, Secrets},
        spec::ExtractSpec,
    },
    retry::FailureClass,
};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    extract::{
        Excuse, ExtractError, Extractor as _, Page, Sent, Span,
        host::{BrowserConfig, Host},
    },
    refine::Refiner,
};

/// No page takes longer here, whatever the source's own limits are.
const LONGEST: Duration = Duration::from_secs(60);

/// What a probe found. Its JSON is read by `nstore config test-connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The source, as it was asked for.
    pub source: String,
    /// It lets us in, and its records fit.
    pub ok: bool,
    /// Until the first page was there.
    pub latency_ms: Option<u64>,
    /// Records on the first page.
    pub records: Option<u64>,
    /// Those that do not fit the mapping.
    pub rejected: Option<u64>,
    /// What kind of failure it was.
    pub class: Option<Class>,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What kind of failure a probe met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The config directory has faults, or no such source.
    Config,
    /// This host has no value for a secret; another host may.
    SecretMissing,
    /// This host, or this build, cannot extract sources of that kind; another host may.
    Unfit,
    /// The source refuses the secret.
    Auth,
    /// The source does not answer, or not well.
    Unreachable,
    /// The source asks for patience.
    RateLimited,
    /// The answer is not what the source's description or mapping says.
    Data,
}

impl From<FailureClass> for Class {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Config => Self::Config,
            FailureClass::Auth => Self::Auth,
            FailureClass::Transient => Self::Unreachable,
            FailureClass::RateLimited => Self::RateLimited,
            FailureClass::Data | FailureClass::Poison => Self::Data,
        }
    }
}

impl Class {
    /// What to do about it; `kind` is none where no source is known.
    fn hint(self, kind: Option<Kind>) -> &'static str {
        match (self, kind) {
            (Self::Config, _) => "correct the config; `nstore config validate` names file and line",
            (Self::SecretMissing, _) => "set it on this host, or probe on a host that has it",
            (Self::Unfit, _) => "do what it says, or probe on a host that can",
            (Self::Auth, Some(Kind::Browser)) => "sign in by hand with this account, and open the dashboard",
            (Self::Auth, _) => "check the secret's value and what it may do at the source",
            (Self::Unreachable, Some(Kind::Browser)) => {
                "open the addresses of `login` and `goto` by hand, and compare what is there with the steps"
            }
            (Self::Unreachable, _) => "check base_url, the network and whether the source is up",
            (Self::RateLimited, _) => "wait as asked and try again",
            (Self::Data, Some(Kind::Browser)) => {
                "compare what the dashboard shows with `read` and the mapping"
            }
            (Self::Data, _) => "compare an answer of the source with records.selector and the mapping",
        }
    }
}

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
    /// Asks the source.
    pub async fn ask(&self) -> Finding {
        let span = yesterday(Utc::now(), &self.source);
        let host = match self.host().await {
            Ok(host) => host,
            Err(message) => return self.failed(Class::Unfit, message),
        };
        let started = Instant::now();
        let page = tokio::time::timeout(LONGEST, self.first_page(&host, span)).await.unwrap_or_else(|_| {
            let message = format!("no page within {} s from {}", LONGEST.as_secs(), self.place());
            Err(ExtractError::new(FailureClass::Transient, message))
        });
        host.close().await;
        let latency = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut finding = match page {
            Ok(Some(page)) => self.judge(span, &page),
            Ok(None) => {
                Finding::fine(&self.name, 0, 0, "it lets us in, and has no page for yesterday".to_owned())
            }
            Err(error) => self.failed(error.class.into(), error.message),
        };
        finding.latency_ms = Some(latency);
        finding.message = secrets::redact(&finding.message, &self.secrets);
        finding
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

    /// The first page, or none where there is none.
    async fn first_page(&self, host: &Host, span: Span) -> Result<Option<Page>, ExtractError> {
        let mut once = self.source.spec.extract.clone();
        if let ExtractSpec::Api(api) = &mut once {
            api.retry.attempts = 1;
            // a day that a chunk would be split for has a first page all the same
            (api.limits.max_pages, api.limits.max_records) = (u64::MAX, None);
        }
        let extractor = host.extractor(&once, &self.source.contract, &|name| self.secrets.get(name))?;
        let (sender, mut pages) = mpsc::channel(1);
        let extraction = extractor.extract(span, sender);
        tokio::pin!(extraction);
        tokio::select! {
            biased;
            sent = pages.recv() => match sent {
                Some(Sent::Page(page)) => Ok(Some(page)),
                Some(Sent::Patience(wait)) => Err(patience(wait)),
                None => extraction.await.map(|_| None),
            },
            ended = &mut extraction => {
                let extracted = ended?;
                // the only page may have come with the end
                Ok(pages.try_recv().ok().filter(|_| extracted.pages > 0).and_then(|sent| match sent {
                    Sent::Page(page) => Some(page),
                    Sent::Patience(_) => None,
                }))
            }
        }
    }

    /// Whether the records of a page fit.
    fn judge(&self, span: Span, page: &Page) -> Finding {
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        let refined = Refiner::new(&self.source.contract, &self.source.spec.extract.records(), span)
            .and_then(|mut refiner| refiner.page(page, &mut rows, &mut rejects));
        let figures = match refined {
            Ok(figures) => figures,
            Err(error) => return self.failed(error.class().into(), error.to_string()),
        };
        let (records, rejected) = (figures.records, figures.rejected);
        if !self.source.contract.rejects.exceeded(rejected, records) {
            let message =
                format!("it lets us in; {} of {records} records on the first page fit", records - rejected);
            return Finding::fine(&self.name, records, rejected, message);
        }
        let first = rejects.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first: String = String::from_utf8_lossy(first).chars().take(300).collect();
        let message = format!(
            "{rejected} of {records} records on the first page do not fit the mapping; the first: {first}"
        );
        let failed = self.failed(Class::Data, message);
        Finding { records: Some(records), rejected: Some(rejected), ..failed }
    }
}

fn patience(wait: Duration) -> ExtractError {
    let message = format!("the source asks to be left alone for {} s", wait.as_secs().max(1));
    ExtractError {
        excuse: Some(Excuse::Patience(wait)),
        ..ExtractError::new(FailureClass::RateLimited, message)
    }
}

/// The whole day before the one that it is in the source's zone.
fn yesterday(now: DateTime<Utc>, source: &Source) -> Span {
    let zone = source.spec.timezone;
    let today = now.with_timezone(&zone).date_naive();
    Span { start: start_of_day(today - Days::new(1), zone), end: start_of_day(today, zone), zone }
}

impl Finding {
    fn fine(source: &str, records: u64, rejected: u64, message: String) -> Self {
        Self {
            source: source.to_owned(),
            ok: true,
            latency_ms: None,
            records: Some(records),
            rejected: Some(rejected),
            class: None,
            message,
            hint: None,
        }
    }

    fn failed(source: &str, kind: Option<Kind>, class: Class, message: String) -> Self {
        Self {
            source: source.to_owned(),
            ok: false,
            latency_ms: None,
            records: None,
            rejected: None,
            class: Some(class),
            message,
            hint: Some(class.hint(kind).to_owned()),
        }
    }

    /// As one JSON object on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// 0 fine, 1 failed, 2 usage or config, 4 the source is unreachable.
    pub fn exit_code(&self) -> u8 {
        match self.class {
            None => 0,
            Some(Class::Config | Class::Unfit) => 2,
            Some(Class::Unreachable) => 4,
            Some(_) => 1,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.source, if self.ok { "ok" } else { "FAILED" }, self.message)?;
        if let Some(latency) = self.latency_ms {
            write!(f, " ({latency} ms)")?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  {hint}"))
    }
}
