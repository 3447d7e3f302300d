//! How a request proves who asks, and how that stays out of every text.

use nstore_shared::{
    config::{
        secrets::{Secret, Secrets},
        spec::{Auth, KeyPlace, SecretRef},
    },
    retry::FailureClass,
};
use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::failed;
use crate::extract::ExtractError;

/// What is added to each request, and what may never be shown.
pub(super) struct Access {
    /// A header that proves it.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// A query parameter that proves it.
    pub(super) query: Option<(String, String)>,
    /// The values as they are and as requests encode them, the longest first.
    hidden: Vec<String>,
}

impl Access {
    /// Looks the secrets up.
    pub(super) fn new(
        auth: &Auth,
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        client: &Client,
    ) -> Result<Self, ExtractError> {
        let value = |name: &SecretRef| secrets(name).ok_or_else(|| missing(name));
        let mut access = Self { header: None, query: None, hidden: vec![] };
        match auth {
            Auth::None => {}
            Auth::Basic { username, password } => {
                let (user, word) = (value(username)?, value(password)?);
                // the client encodes it, so that no second encoder is needed
                let sample =
                    client.get("http://localhost").basic_auth(user.expose(), Some(word.expose())).build();
                let header = sample.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned());
                let header = header.ok_or_else(|| unusable(password))?;
                access.hide(header.to_str().unwrap_or_default().trim_start_matches("Basic "));
                access.hide(user.expose());
                access.hide(word.expose());
                access.header = Some((AUTHORIZATION, header));
            }
            Auth::Bearer { token } => {
                let text = value(token)?;
                access.hide(text.expose());
                access.header =
                    Some((AUTHORIZATION, sensitive(&format!("Bearer {}", text.expose()), token)?));
            }
            Auth::ApiKey { place, name, prefix, key } => {
                let text = value(key)?;
                access.hide(text.expose());
                let sent = format!("{prefix}{}", text.expose());
                match place {
                    KeyPlace::Query => access.query = Some((name.clone(), sent)),
                    KeyPlace::Header => {
                        let header = HeaderName::from_bytes(name.as_bytes());
                        let header = header.map_err(|_| {
                            failed(
                                FailureClass::Config,
                                format!("`auth.name`: `{name}` is no name of a header"),
                            )
                        })?;
                        access.header = Some((header, sensitive(&sent, key)?));
                    }
                }
            }
        }
        Ok(access)
    }

    /// Adds a value to what is never shown.
    fn hide(&mut self, value: &str) {
        let mut url = Url::parse("http://localhost").ok();
        let encoded = url.as_mut().map(|url| {
            url.query_pairs_mut().append_pair("", value);
            url.query().unwrap_or_default().trim_start_matches('=').to_owned()
        });
        let spaced = encoded.as_ref().map(|text| text.replace('+', "%20"));
        self.hidden.extend(
            [Some(value.to_owned()), encoded, spaced].into_iter().flatten().filter(|v| !v.is_empty()),
        );
        self.hidden.sort_by_key(|value| std::cmp::Reverse(value.len()));
        self.hidden.dedup();
    }

    /// A text without any of the values.
    pub(super) fn redact(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), "***"))
    }
}

fn sensitive(text: &str, name: &SecretRef) -> Result<HeaderValue, ExtractError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| unusable(name))?;
    value.set_sensitive(true);
    Ok(value)
}

fn missing(name: &SecretRef) -> ExtractError {
    let message = format!(
        "secret `{}` is not on this host; set {}, or add it to the credentials file",
        name.0,
        Secrets::variable(name)
    );
    failed(FailureClass::Auth, message)
}

fn unusable(name: &SecretRef) -> ExtractError {
    let message =
        format!("secret `{}` holds a character that no header may hold, perhaps a line break", name.0);
    failed(FailureClass::Auth, message)
}
