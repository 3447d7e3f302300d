//! What the crate's own protocol types do not read of today's Chromium.

use headless_chrome::protocol::cdp::types::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ChromeError;

/// Bytes that come as text.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, ChromeError> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| ChromeError::Protocol(e.to_string()))
}

/// `Storage.getCookies`: the crate's own type does not read what Chromium answers today.
#[derive(Debug, Serialize)]
pub(super) struct GetCookies {}

#[derive(Debug, Deserialize)]
pub(super) struct Cookies {
    pub(super) cookies: Vec<Value>,
}

impl Method for GetCookies {
    const NAME: &'static str = "Storage.getCookies";
    type ReturnObject = Cookies;
}

/// `Storage.setCookies`.
#[derive(Debug, Serialize)]
pub(super) struct SetCookies {
    pub(super) cookies: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Done {}

impl Method for SetCookies {
    const NAME: &'static str = "Storage.setCookies";
    type ReturnObject = Done;
}
