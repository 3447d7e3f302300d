//! What is prepared once for all chunks of a source: its HTTP client, which reads the system's certificates and keeps
//! connections open, its address, its secrets, its paths.

use std::{
    collections::VecDeque,
    fs::Metadata,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use nstore_shared::{
    config::{
        path::FieldPath,
        secrets::Secret,
        spec::{ApiSpec, SecretRef, TimeFormat},
    },
    retry::FailureClass,
};
use reqwest::{Client, Url};

use super::{
    access::Access,
    client,
    facts::Pointers,
    identity::Identity,
    paginate::{Counting, Params},
    window,
};
use crate::extract::ExtractError;

/// Sources that are kept prepared, the most recently used ones.
const MAX_SOURCES: usize = 64;
/// A source is prepared again after so long, so that changes of the system's certificates are seen.
const MAX_AGE: Duration = Duration::from_secs(300);

/// A source whose requests are prepared.
pub(in crate::extract) struct PreparedSource {
    pub(super) spec: ApiSpec,
    pub(super) client: Client,
    /// Base, path and fixed parameters.
    pub(super) address: Url,
    pub(super) access: Access,
    pub(super) pointers: Pointers,
    pub(super) counting: Counting,
}

impl PreparedSource {
    /// Prepares the requests of a source: its address, its client, its secrets. `key` are the fields that tell its
    /// records apart; none where nothing does.
    ///
    /// # Errors
    /// Class `config` when the description is wrong, `auth` when a secret is not on this host.
    pub(in crate::extract) fn new(
        spec: &ApiSpec,
        key: &[FieldPath],
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        user_agent: &str,
    ) -> Result<Self, ExtractError> {
        let address = address(spec)?;
        if let TimeFormat::Strftime(pattern) = &spec.window.format
            && !window::is_pattern(pattern)
        {
            let message = format!("`window.format`: `{pattern}` is no strftime pattern");
            return Err(ExtractError::new(FailureClass::Config, message));
        }
        let client = client::client(spec, user_agent)?;
        let access = Access::new(&spec.auth, secrets, &client)?;
        let identity = Identity::new(key);
        let counting = Counting { has_key: identity.has_key(), repeats: spec.records.repeats };
        let pointers = Pointers::new(&spec.paginator, &spec.records, identity);
        Ok(Self { spec: spec.clone(), client, address, access, pointers, counting })
    }

    /// A page's URL, and the same as it may be shown.
    pub(super) fn url(&self, window: &Params, page: &Params) -> (Url, String) {
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

/// The prepared sources of a worker, by the digests of their plans. Secrets are those that the worker started with.
#[derive(Default)]
pub(in crate::extract) struct PreparedSources(Mutex<VecDeque<Entry>>);

struct Entry {
    digest: String,
    since: Instant,
    /// Size and time of the file of `tls.ca`.
    tls_ca: Option<(u64, SystemTime)>,
    source: Arc<PreparedSource>,
}

impl PreparedSources {
    /// The source prepared from the plan with that digest, or for this once; prepared by `prepare` when it is not kept,
    /// is old, or the file of its `tls.ca` has changed.
    ///
    /// # Errors
    /// As `prepare`.
    pub(in crate::extract) fn get(
        &self,
        digest: Option<&str>,
        spec: &ApiSpec,
        prepare: impl FnOnce() -> Result<PreparedSource, ExtractError>,
    ) -> Result<Arc<PreparedSource>, ExtractError> {
        let Some(digest) = digest else { return prepare().map(Arc::new) };
        let tls_ca =
            spec.tls_ca.as_ref().and_then(|file| std::fs::metadata(file).ok()).and_then(|file| stamp(&file));
        // held while a source is prepared: the other loops need the same one
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|entry| entry.digest == digest)
            && let Some(entry) = kept.remove(at)
            && entry.since.elapsed() < MAX_AGE
            && entry.tls_ca == tls_ca
        {
            let source = entry.source.clone();
            kept.push_front(entry);
            return Ok(source);
        }
        let source = Arc::new(prepare()?);
        kept.push_front(Entry {
            digest: digest.to_owned(),
            since: Instant::now(),
            tls_ca,
            source: source.clone(),
        });
        kept.truncate(MAX_SOURCES);
        Ok(source)
    }
}

fn stamp(file: &Metadata) -> Option<(u64, SystemTime)> {
    Some((file.len(), file.modified().ok()?))
}
