//! How a request proves who asks, and how that stays out of every text.

use nstore_shared::{
    config::{
        secrets::{Secret, Secrets, redact},
        spec::{Auth, KeyPlace, SecretRef},
    },
    retry::FailureClass,
};
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use crate::extract::ExtractError;

/// What is added to each request, and what may never be shown.
pub(super) struct Access {
    /// A header that proves it.
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// A query parameter that proves it.
    pub(super) query: Option<(String, String)>,
    hidden: Secrets,
}

impl Access {
    /// Looks the secrets up.
    pub(super) fn new(
        auth: &Auth,
        secrets: &dyn Fn(&SecretRef) -> Option<Secret>,
        client: &Client,
    ) -> Result<Self, ExtractError> {
        let value = |name: &SecretRef| secrets(name).ok_or_else(|| missing(name));
        let hidden = auth.secrets().into_iter().filter_map(|name| {
            let value = secrets(name)?;
            Some((name.0.clone(), value.expose().to_owned()))
        });
        let hidden = Secrets::of(hidden);
        hidden.note_user_names(auth.user_names());
        let mut access = Self { header: None, query: None, hidden };
        match auth {
            Auth::None => {}
            Auth::Basic { username, password } => {
                let (user, word) = (value(username)?, value(password)?);
                // the client encodes it, so that no second encoder is needed
                let sample =
                    client.get("http://localhost").basic_auth(user.expose(), Some(word.expose())).build();
                let header = sample.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned());
                let header = header.ok_or_else(|| unusable(password))?;
                access.header = Some((AUTHORIZATION, header));
            }
            Auth::Bearer { token } => {
                let text = value(token)?;
                access.header =
                    Some((AUTHORIZATION, sensitive(&format!("Bearer {}", text.expose()), token)?));
            }
            Auth::ApiKey { place, name, prefix, key } => {
                let text = value(key)?;
                let sent = format!("{prefix}{}", text.expose());
                match place {
                    KeyPlace::Query => access.query = Some((name.clone(), sent)),
                    KeyPlace::Header => {
                        let header = HeaderName::from_bytes(name.as_bytes());
                        let header = header.map_err(|_| {
                            ExtractError::new(
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

    /// A text without any of the values.
    pub(super) fn redact(&self, text: &str) -> String {
        redact(text, &self.hidden)
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
    ExtractError::new(FailureClass::Auth, message)
}

fn unusable(name: &SecretRef) -> ExtractError {
    let message =
        format!("secret `{}` holds a character that no header may hold, perhaps a line break", name.0);
    ExtractError::new(FailureClass::Auth, message)
}
