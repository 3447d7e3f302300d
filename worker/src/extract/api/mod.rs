//! HTTP APIs: one request at a time, page by page, until something shows that the list is complete.
//!
//! - [`window`]: the chunk's range -> query parameters
//! - [`paginate`]: which page comes next, and what must not happen on the way
//! - [`facts`]: the few things that paging needs to know of a body; [`identity`]: which records are the same
//! - [`refusal`]: bodies of status 200 that say that they failed
//! - [`budget`]: when a request may leave
//! - [`prepared`]: what the chunks of a source share; [`access`]: secrets, and how they stay out of texts
//! - [`client`], [`request`], [`patience`]: the connection, one request, and its tries
//! - [`headers`], [`charset`]: what the headers say of an answer; its bytes as UTF-8

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use nstore_shared::{
    config::{
        path::FieldPath,
        secrets::Secret,
        spec::{ApiSpec, SecretRef},
    },
    redis::budget::Budgets,
    retry::FailureClass,
    storage::marker::{ChunkWarning, SplitAnswer, SplitAnswerKind},
};
use reqwest::Url;
use tokio::sync::mpsc;

use super::{Expected, ExtractError, Extracted, Extractor, Page, PageFormat, Sent, Span, Split};

mod access;
mod budget;
mod charset;
mod client;
mod facts;
mod headers;
mod identity;
mod paginate;
mod patience;
mod prepared;
mod refusal;
mod request;
mod window;

use budget::Allowance;
use facts::{FactsError, PageFacts, Signal};
use paginate::{End, Paging, PagingError, Step};
pub(super) use prepared::{PreparedSource, PreparedSources};
use request::{Answer, Failure};

/// How much is shown of an answer that is no JSON.
const SHOWN_CHARS: usize = 80;
/// How much is shown of an answer that says that it failed.
const MAX_REFUSAL_CHARS: usize = 200;

/// What a source may send for a chunk, where its window is asked wider than the chunk on purpose.
pub fn expected(spec: &ApiSpec, span: Span) -> Expected {
    window::expected(&spec.window, span)
}

/// Extracts a chunk of one source.
pub struct ApiExtractor {
    source: Arc<PreparedSource>,
    allowance: Option<Allowance>,
}

/// One page of the list.
struct Received {
    /// `None` where the source answered that it has no records.
    body: Option<Bytes>,
    facts: PageFacts,
}

impl ApiExtractor {
    /// Prepares a source for this one extraction; see [`PreparedSource::new`].
    ///
    /// # Errors
    /// Class `config` when the description is wrong, `auth` when a secret is not on this host.
    pub fn new(
        spec: &ApiSpec,
        key: &[FieldPath],
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        budgets: Option<&Budgets>,
        user_agent: &str,
    ) -> Result<Self, ExtractError> {
        let source = PreparedSource::new(spec, key, secrets, user_agent)?;
        Ok(Self::of(Arc::new(source), budgets))
    }

    /// Extracts a chunk of a source that is prepared already, within its budget where somebody hands it out.
    pub(super) fn of(source: Arc<PreparedSource>, budgets: Option<&Budgets>) -> Self {
        let allowance = Allowance::of(&source.spec, budgets);
        Self { source, allowance }
    }

    async fn run(
        &self,
        span: Span,
        pages: &mpsc::Sender<Sent>,
        sent: &mut u64,
    ) -> Result<Extracted, ExtractError> {
        let window = window::params(&self.source.spec.window, span);
        let mut paging =
            Paging::new(&self.source.spec.paginator, self.source.counting, &self.source.spec.limits);
        let mut next = paging.first();
        loop {
            let (url, shown) = self.source.url(&window, &next);
            let allowance = self.allowance.as_ref();
            let once = || self.page(url.clone());
            let Received { body, facts } =
                patience::insist(&self.source.spec.retry, &shown, pages, allowance, once).await?;
            let step =
                paging.turn(&facts).map_err(|error| self.paging_failed(&error, body.as_ref(), &shown))?;
            let body = body.filter(|_| !matches!(&step, Step::Done(End { repeats_last: true, .. })));
            if let Some(body) = &body {
                let page = Page { body: body.clone(), format: PageFormat::Json, origin: shown };
                if pages.send(Sent::Page(page)).await.is_err() {
                    return Ok(Extracted { pages: *sent, ..Extracted::default() });
                }
            }
            *sent = paging.pages();
            match step {
                Step::Ask(params) => next = params,
                Step::Done(End { evidence, mut warnings, .. }) => {
                    for warning in &mut warnings {
                        if let (ChunkWarning::EndUnknown { fields }, Some(body)) = (warning, &body) {
                            *fields = refusal::end_fields(&String::from_utf8_lossy(body));
                        }
                    }
                    return Ok(Extracted { pages: *sent, evidence, warnings, ..Extracted::default() });
                }
            }
        }
    }

    /// A list that cannot be read, with what its last page holds where a path leads nowhere.
    fn paging_failed(&self, error: &PagingError, body: Option<&Bytes>, shown: &str) -> ExtractError {
        let there = match (error, body) {
            (PagingError::PathLeadsNowhere(want), Some(body)) => {
                let found = self.source.pointers.explain(*want, &String::from_utf8_lossy(body));
                format!(": {}", self.source.access.redact(&found))
            }
            _ => String::new(),
        };
        let message = format!("GET {shown}: {}{there}", self.source.access.redact(&error.to_string()));
        let failed = ExtractError::new(error.class(), message);
        if !error.is_cap() {
            return failed;
        }
        let seen = |body: &Bytes| SplitAnswer::new(SplitAnswerKind::Records, body);
        ExtractError { split: Split::AtOnce, answer: body.map(seen), ..failed }
    }

    /// The same, for as long as a chunk may take; what it waits for its budget is not its own time.
    async fn run_in_time(
        &self,
        span: Span,
        pages: &mpsc::Sender<Sent>,
        sent: &mut u64,
    ) -> Result<Extracted, ExtractError> {
        let Some(limit) = self.source.spec.limits.chunk_timeout else {
            return self.run(span, pages, sent).await;
        };
        let ended = tokio::select! {
            biased;
            ended = self.run(span, pages, sent) => Some(ended),
            () = self.late(limit) => None,
        };
        if let Some(ended) = ended {
            return ended;
        }
        let message = format!(
            "{}: not read to its end within {} s, {sent} pages came; raise `timeouts.chunk` or make the chunks smaller",
            self.source.access.redact(self.source.address.as_str()),
            limit.as_secs_f64()
        );
        Err(ExtractError { split: Split::AtOnce, ..ExtractError::new(FailureClass::Transient, message) })
    }

    /// Resolves when a chunk has taken that long.
    async fn late(&self, limit: Duration) {
        let began = Instant::now();
        let waited = || self.allowance.as_ref().map_or(Duration::ZERO, Allowance::waited);
        loop {
            let left = (limit + waited()).saturating_sub(began.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// One try of one page.
    async fn page(&self, url: Url) -> Result<Received, Failure> {
        if let Some(allowance) = &self.allowance {
            allowance.wait().await?;
        }
        let answer = request::send(&self.source.client, url, &self.source.access, &self.source.spec).await?;
        let mut facts = self.facts(&answer)?;
        if let Some(range) = answer.range {
            if range.is_bytes {
                let message =
                    "answered with a range of bytes, which is a piece of a document; correct `request`";
                return Err(Failure::Final(FailureClass::Config, message.to_owned()));
            }
            if let (Signal::Absent, Some(total)) = (&facts.total, range.total) {
                facts.total = Signal::Value(total);
            }
        }
        facts.has_link = answer.has_link;
        facts.is_partial = answer.is_partial;
        Ok(Received { body: answer.body, facts })
    }

    fn facts(&self, answer: &Answer) -> Result<PageFacts, Failure> {
        let none = PageFacts { is_none: true, ..PageFacts::default() };
        let Some(body) = &answer.body else { return Ok(none) };
        // it was made sure when the body was read
        let text = std::str::from_utf8(body).unwrap_or_default();
        match self.source.pointers.read(text, answer.is_trusted) {
            Err(FactsError::NoRecords { .. } | FactsError::NullList { .. }) if answer.is_trusted => Ok(none),
            facts => facts.map_err(|error| self.unreadable(&error, body, &answer.content_type)),
        }
    }

    fn unreadable(&self, error: &FactsError, body: &Bytes, content_type: &str) -> Failure {
        let mut message = self.source.access.redact(&error.to_string());
        if let FactsError::Refused { .. } = error {
            message = format!(
                "{message}; it starts with `{}`",
                request::excerpt(body, MAX_REFUSAL_CHARS, &self.source.access)
            );
        }
        if error.may_pass() {
            return Failure::Passing(message);
        }
        if let FactsError::Syntax { .. } = error {
            let kind = if content_type.is_empty() { "no content type" } else { content_type };
            let start = request::excerpt(body, SHOWN_CHARS, &self.source.access);
            message = format!(
                "{message}: {kind} came instead, starting with `{start}`; check `base_url`, `request.path` and `auth`"
            );
        }
        let class = if error.is_config() { FailureClass::Config } else { FailureClass::Data };
        Failure::Final(class, message)
    }
}

impl Extractor for ApiExtractor {
    async fn extract(&self, span: Span, pages: mpsc::Sender<Sent>) -> Result<Extracted, ExtractError> {
        let mut sent = 0;
        let ended = tokio::select! {
            biased;
            ended = self.run_in_time(span, &pages, &mut sent) => Some(ended),
            // nobody listens any more: the request in flight is dropped too
            () = pages.closed() => None,
        };
        ended.unwrap_or(Ok(Extracted { pages: sent, ..Extracted::default() }))
    }
}

#[cfg(test)]
mod tests;
