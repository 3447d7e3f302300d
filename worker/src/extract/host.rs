//! What a host has for extracting: for each kind of source the extractor that this build and this host can give it.

use std::path::PathBuf;
#[cfg(feature = "browser")]
use std::sync::Arc;

use nstore_shared::{
    chromium,
    chunk::Kind,
    config::{
        secrets::Secret,
        spec::{ExtractSpec, SecretRef},
    },
    contract::Contract,
    redis::{budget::Budgets, vault::Vault},
    retry::FailureClass,
};
use tokio::sync::mpsc;

#[cfg(feature = "browser")]
use super::browser::{BrowserExtractor, pool::Pool, sessions::Sessions};
use super::{
    ExtractError, Extracted, Extractor, Sent, Span,
    api::{ApiExtractor, PreparedSource, PreparedSources},
};

/// How requests to sources name this program.
const USER_AGENT: &str = concat!("nstore/", env!("CARGO_PKG_VERSION"));

/// How a host's browsers are started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrowserConfig {
    /// The program; looked for on PATH unless said.
    pub binary: Option<PathBuf>,
    /// Chromium's own sandbox is off: an explicit choice, for hosts that cannot give it one.
    pub no_sandbox: bool,
}

impl BrowserConfig {
    /// `NSTORE_BROWSER_BINARY` and `NSTORE_BROWSER_SANDBOX` (`on` unless said, or `off`).
    ///
    /// # Errors
    /// When the sandbox is neither on nor off.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let no_sandbox = match env("NSTORE_BROWSER_SANDBOX").as_deref() {
            None | Some("" | "on") => false,
            Some("off") => true,
            Some(other) => {
                let hint = "write `on`, or `off` where there can be none";
                return Err(format!("NSTORE_BROWSER_SANDBOX is `{other}`; {hint}"));
            }
        };
        let binary = env(chromium::VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { binary, no_sandbox })
    }
}

/// Why a host cannot extract a kind of source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// This build was made without it.
    #[error(
        "this build extracts no {0} sources: it was made without the feature `{0}`; \
         run a worker of kind api, or build nstore-worker with its default features"
    )]
    NotBuilt(Kind),
    /// No browser can be started.
    #[error("no browser for sources of kind browser: {0}")]
    Browser(String),
}

/// The extractors of a host. Browsers and logins are kept between chunks.
pub struct Host {
    budgets: Option<Budgets>,
    apis: PreparedSources,
    #[cfg(feature = "browser")]
    browsers: Option<(Arc<Pool>, Arc<Sessions>)>,
}

impl Host {
    /// Gets a host ready for one kind of source. Logins are shared within this process alone, until [`Self::share`].
    ///
    /// # Errors
    /// When this build or this host cannot do it.
    #[cfg(feature = "browser")]
    pub async fn open(kind: Kind, config: &BrowserConfig) -> Result<Self, HostError> {
        let browsers = match kind {
            Kind::Api => None,
            Kind::Browser => {
                let pool = Pool::open(config).await.map_err(HostError::Browser)?;
                Some((Arc::new(pool), Arc::new(Sessions::new(None, ""))))
            }
        };
        Ok(Self { budgets: None, apis: PreparedSources::default(), browsers })
    }

    /// Gets a host ready for one kind of source.
    ///
    /// # Errors
    /// When this build cannot do it.
    #[cfg(not(feature = "browser"))]
    #[expect(clippy::unused_async, reason = "the same door as with browsers")]
    pub async fn open(kind: Kind, _: &BrowserConfig) -> Result<Self, HostError> {
        match kind {
            Kind::Api => Ok(Self { budgets: None, apis: PreparedSources::default() }),
            Kind::Browser => Err(HostError::NotBuilt(kind)),
        }
    }

    /// From now on requests keep to their sources' budgets; until then they have none.
    pub fn ration(&mut self, budgets: Budgets) {
        self.budgets = Some(budgets);
    }

    /// From now on logins are shared with all workers of this vault; `owner` says who asks for them.
    #[cfg(feature = "browser")]
    pub fn share(&mut self, vault: Vault, owner: &str) {
        if let Some((_, sessions)) = &mut self.browsers {
            *sessions = Arc::new(Sessions::new(Some(vault), owner));
        }
    }

    /// There are no logins to share.
    #[cfg(not(feature = "browser"))]
    #[expect(clippy::unused_self, clippy::needless_pass_by_value, reason = "the same door as with browsers")]
    pub fn share(&mut self, _: Vault, _: &str) {}

    /// The extractor of a chunk of a source; `contract` says what tells its records apart. What is prepared from plans
    /// of equal digests is shared by all their chunks; without one it is for this chunk alone.
    ///
    /// # Errors
    /// Class `config` when its description is wrong or of another kind, `auth` when a secret is not on this host.
    pub fn extractor(
        &self,
        spec: &ExtractSpec,
        contract: &Contract,
        digest: Option<&str>,
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
    ) -> Result<AnyExtractor, ExtractError> {
        match spec {
            ExtractSpec::Api(api) => {
                let prepare = || PreparedSource::new(api, &contract.key_paths(), secrets, USER_AGENT);
                let source = self.apis.get(digest, api, prepare)?;
                Ok(AnyExtractor::Api(Box::new(ApiExtractor::of(source, self.budgets.as_ref()))))
            }
            #[cfg(feature = "browser")]
            ExtractSpec::Browser(browser) => {
                let other =
                    || ExtractError::new(FailureClass::Config, "this worker extracts no browser sources");
                let (pool, sessions) = self.browsers.as_ref().ok_or_else(other)?;
                BrowserExtractor::new(browser, secrets, pool.clone(), sessions.clone())
                    .map(|browser| AnyExtractor::Browser(Box::new(browser)))
            }
            #[cfg(not(feature = "browser"))]
            ExtractSpec::Browser(_) => {
                Err(ExtractError::new(FailureClass::Config, HostError::NotBuilt(Kind::Browser).to_string()))
            }
        }
    }

    /// Ends what still runs, and removes what it wrote.
    pub async fn close(&self) {
        #[cfg(feature = "browser")]
        if let Some((pool, _)) = &self.browsers {
            pool.close().await;
        }
    }
}

/// An extractor of any kind.
pub enum AnyExtractor {
    /// Over HTTP.
    Api(Box<ApiExtractor>),
    /// Through a headless browser.
    #[cfg(feature = "browser")]
    Browser(Box<BrowserExtractor>),
}

impl Extractor for AnyExtractor {
    async fn extract(&self, span: Span, pages: mpsc::Sender<Sent>) -> Result<Extracted, ExtractError> {
        match self {
            Self::Api(api) => api.extract(span, pages).await,
            #[cfg(feature = "browser")]
            Self::Browser(browser) => browser.extract(span, pages).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_on_unless_it_is_said_to_be_off() {
        let read = |value: Option<&'static str>| {
            BrowserConfig::from_env(&move |name| {
                value.filter(|_| name == "NSTORE_BROWSER_SANDBOX").map(str::to_owned)
            })
        };
        assert!(!read(None).unwrap().no_sandbox);
        assert!(!read(Some("on")).unwrap().no_sandbox);
        assert!(read(Some("off")).unwrap().no_sandbox);
        assert!(read(Some("no")).unwrap_err().contains("`on`, or `off`"));
    }
}
