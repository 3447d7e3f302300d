//! HTTP APIs: one request at a time, page by page, until something shows that the list is complete.
//!
//! - [`window`]: the chunk's range -> query parameters
//! - [`paginate`]: which page comes next, and what must not happen on the way
//! - [`pointers`]: the few things that paging needs to know of a body
//! - [`budget`]: when a request may leave
//! - [`access`]: secrets, and how they stay out of texts
//! - [`request`], [`patience`]: one request, and its tries

use std::time::{Duration, Instant};

use nstore_shared::{
    config::{
        secrets::Secret,
        spec::{ApiSpec, SecretRef, TimeFormat},
    },
    redis::budget::Budgets,
    retry::FailureClass,
};
use reqwest::{Client, Url};
use tokio::sync::mpsc;

use super::{ExtractError, Extracted, Extractor, Page, PageFormat, Sent, Span, Split};

mod access;
mod budget;
mod paginate;
mod patience;
mod pointers;
mod request;
mod window;

use access::Access;
use budget::Allowance;
use paginate::{PageFacts, Paging, Params, Step};
use pointers::{PointerFault, Pointers};
use request::{Answer, Failure};

/// How much is shown of an answer that is no JSON.
const SHOWN_CHARS: usize = 80;

/// Extracts the chunks of one source.
pub struct ApiExtractor {
    spec: ApiSpec,
    client: Client,
    /// Base, path and fixed parameters.
    address: Url,
    access: Access,
    allowance: Option<Allowance>,
    pointers: Pointers,
}

impl ApiExtractor {
    /// Prepares the requests of a source: its address, its client, its secrets, its budget where somebody hands it out.
    ///
    /// # Errors
    /// Class `config` when the description is wrong, `auth` when a secret is not on this host.
    pub fn new(
        spec: &ApiSpec,
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        budgets: Option<&Budgets>,
        user_agent: &str,
    ) -> Result<Self, ExtractError> {
        let address = address(spec)?;
        if let TimeFormat::Strftime(pattern) = &spec.window.format
            && !window::is_pattern(pattern)
        {
            let message = format!("`window.format`: `{pattern}` is no strftime pattern");
            return Err(ExtractError::new(FailureClass::Config, message));
        }
        let client = request::client(spec, user_agent)?;
        let access = Access::new(&spec.auth, secrets, &client)?;
        let pointers = Pointers::new(&spec.paginator, &spec.records);
        let allowance = Allowance::of(spec, budgets);
        Ok(Self { spec: spec.clone(), client, address, access, allowance, pointers })
    }

    /// A page's URL, and the same as it may be shown.
    fn url(&self, window: &Params, page: &Params) -> (Url, String) {
        let mut url = self.address.clone();
        let with = |url: &mut Url, pairs: &[(String, String)]| {
            if !pairs.is_empty() {
                url.query_pairs_mut().extend_pairs(pairs);
            }
        };
        with(&mut url, window);
        with(&mut url, page);
        let mut shown = self.access.redact(url.as_str());
        if let Some((name, value)) = &self.access.query {
            let mark = if url.query().is_some() { '&' } else { '?' };
            shown = format!("{shown}{mark}{name}=***");
            url.query_pairs_mut().append_pair(name, value);
        }
        (url, shown)
    }

    async fn run(
        &self,
        span: Span,
        pages: &mpsc::Sender<Sent>,
        sent: &mut u64,
    ) -> Result<Extracted, ExtractError> {
        let window = window::params(&self.spec.window, span);
        let mut paging = Paging::new(&self.spec.paginator, &self.spec.limits);
        let mut next = paging.first();
        loop {
            let (url, shown) = self.url(&window, &next);
            let allowance = self.allowance.as_ref();
            let once = || self.page(url.clone());
            let (body, facts) = patience::insist(&self.spec.retry, &shown, pages, allowance, once).await?;
            let step = paging.turn(&facts);
            let step = step.map_err(|fault| {
                let error = ExtractError::new(fault.class(), format!("GET {shown}: {fault}"));
                ExtractError { split: if fault.is_cap() { Split::AtOnce } else { Split::No }, ..error }
            })?;
            let page = Page { body, format: PageFormat::Json, origin: shown };
            if pages.send(Sent::Page(page)).await.is_err() {
                return Ok(Extracted { pages: *sent, ..Extracted::default() });
            }
            *sent = paging.pages();
            match step {
                Step::Ask(params) => next = params,
                Step::Done(evidence) => {
                    return Ok(Extracted { pages: *sent, evidence, ..Extracted::default() });
                }
            }
        }
    }

    /// The same, for as long as a chunk may take; what it waits for its budget is not its own time.
    async fn run_in_time(
        &self,
        span: Span,
        pages: &mpsc::Sender<Sent>,
        sent: &mut u64,
    ) -> Result<Extracted, ExtractError> {
        let Some(limit) = self.spec.limits.chunk_timeout else { return self.run(span, pages, sent).await };
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
            self.access.redact(self.address.as_str()),
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
    async fn page(&self, url: Url) -> Result<(bytes::Bytes, PageFacts), Failure> {
        if let Some(allowance) = &self.allowance {
            allowance.wait().await?;
        }
        let answer = request::send(&self.client, url, &self.access, &self.spec).await?;
        let facts = self.pointers.read(&answer.body).map_err(|fault| self.unreadable(&fault, &answer))?;
        Ok((answer.body, facts))
    }

    fn unreadable(&self, fault: &PointerFault, answer: &Answer) -> Failure {
        let mut message = self.access.redact(&fault.to_string());
        if fault.may_pass() {
            return Failure::Passing(message);
        }
        if let PointerFault::Syntax { .. } = fault {
            let kind = if answer.content_type.is_empty() { "no content type" } else { &answer.content_type };
            let start = request::excerpt(&answer.body, SHOWN_CHARS, &self.access);
            message = format!(
                "{message}: {kind} came instead, starting with `{start}`; check `base_url`, `request.path` and `auth`"
            );
        }
        Failure::Final(FailureClass::Data, message)
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

/// Base URL, path and fixed parameters in one.
fn address(spec: &ApiSpec) -> Result<Url, ExtractError> {
    let config = |message: String| ExtractError::new(FailureClass::Config, message);
    // what cannot be taken apart may hold a password anywhere
    let given = if spec.base_url.contains('@') { "its value" } else { spec.base_url.as_str() };
    let base =
        Url::parse(&spec.base_url).map_err(|e| config(format!("`base_url`: `{given}` is no url ({e})")))?;
    if !base.username().is_empty() || base.password().is_some() {
        let message = "`base_url` holds a user name or password; put them into `auth: {type: basic}`";
        return Err(config(message.to_owned()));
    }
    if !matches!(base.scheme(), "http" | "https") {
        return Err(config(format!("`base_url`: `{given}` starts with neither https:// nor http://")));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(config("`base_url` holds a query; put it into `request.params`".to_owned()));
    }
    let (start, path) = (base.as_str().trim_end_matches('/'), spec.request.path.trim_start_matches('/'));
    let joined = if path.is_empty() { base.to_string() } else { format!("{start}/{path}") };
    let mut url =
        Url::parse(&joined).map_err(|e| config(format!("`request.path`: `{path}` is no path ({e})")))?;
    if !spec.request.params.is_empty() {
        url.query_pairs_mut().extend_pairs(&spec.request.params);
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests;
