//! Why a visit to a dashboard failed.

use nstore_shared::{redis::vault::VaultError, retry::FailureClass};

use super::{chrome::ChromeError, lanes::decode};
use crate::extract::Excuse;

/// What the error of a script begins with when an element that the source names is not there.
const ABSENT: &str = "absent: ";

/// Whether a script waited for something that did not come in its time: it may come later.
pub(super) fn may_come(text: &str) -> bool {
    text.starts_with(ABSENT) || text.starts_with("time-out: ")
}

/// A failure, before anything is kept of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Trouble {
    /// What kind it is.
    pub(super) class: FailureClass,
    /// What failed.
    pub(super) message: String,
    /// There are more rows than can be read at once: fewer days may do.
    pub(super) capped: bool,
    /// It took longer than it may: fewer days may do.
    pub(super) late: bool,
    /// An element that the source names is not there.
    pub(super) absent: bool,
    /// The browser can be asked no more.
    pub(super) browser_gone: bool,
    /// Why the try does not count.
    pub(super) excuse: Option<Excuse>,
}

impl Trouble {
    pub(super) fn new(class: FailureClass, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { class, message, capped: false, late: false, absent: false, browser_gone: false, excuse: None }
    }

    /// Another try may do.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Transient, message)
    }

    /// Whatever was meant to be read was cut off.
    pub(super) fn capped(message: impl Into<String>) -> Self {
        Self { capped: true, ..Self::new(FailureClass::Data, message) }
    }

    /// This host cannot do it now.
    fn of_host(message: impl Into<String>) -> Self {
        Self { excuse: Some(Excuse::Host), ..Self::passing(message) }
    }

    /// With what else is known.
    pub(super) fn and(self, what: &str) -> Self {
        Self { message: format!("{}; {what}", self.message), ..self }
    }

    /// With what was being done.
    pub(super) fn during(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl From<ChromeError> for Trouble {
    fn from(error: ChromeError) -> Self {
        if let ChromeError::Start(_) = error {
            return Self { browser_gone: true, ..Self::of_host(error.to_string()) };
        }
        let browser_gone = error.is_final();
        let absent = matches!(&error, ChromeError::Script(text) if text.starts_with(ABSENT));
        let (class, message) = match error {
            ChromeError::Script(text) => of_script(&text),
            error => (FailureClass::Transient, error.to_string()),
        };
        Self { browser_gone, absent, ..Self::new(class, message) }
    }
}

impl From<VaultError> for Trouble {
    fn from(error: VaultError) -> Self {
        Self::of_host(format!("the shared login cannot be asked for: {error}"))
    }
}

impl From<decode::sheet::SheetError> for Trouble {
    fn from(error: decode::sheet::SheetError) -> Self {
        use decode::sheet::SheetError::{Encoding, FooterIsRow, Missing, NoFooter, NoHeader, NoSheet, Twice};
        match error {
            Missing { .. } | NoSheet { .. } | Twice { .. } | Encoding { .. } | NoHeader(_) => {
                Self::new(FailureClass::Config, error.to_string())
            }
            NoFooter { .. } | FooterIsRow { .. } => Self::new(FailureClass::Data, error.to_string()),
            _ => Self::passing(error.to_string()),
        }
    }
}

/// Our scripts begin their errors with a word for what it is; the browser's own begin with other ones.
fn of_script(text: &str) -> (FailureClass, String) {
    if let Some(rest) = text.strip_prefix("time-out: ") {
        return (FailureClass::Transient, rest.to_owned());
    }
    if let Some(rest) = text.strip_prefix(ABSENT) {
        return (FailureClass::Transient, rest.to_owned());
    }
    if let Some(rest) = text.strip_prefix("incomplete: ") {
        return (FailureClass::Transient, rest.to_owned());
    }
    if let Some(rest) = text.strip_prefix("foreign: ") {
        return (FailureClass::Auth, rest.to_owned());
    }
    if let Some(rest) = text.strip_prefix("config: ") {
        return (FailureClass::Config, rest.to_owned());
    }
    if let Some(rest) = text.strip_prefix("endless: ") {
        return (FailureClass::Data, rest.to_owned());
    }
    if text.contains("is not a valid selector") || text.contains("is not a valid XPath") {
        return (FailureClass::Config, format!("the browser does not understand a selector: {text}"));
    }
    (FailureClass::Transient, format!("a script in the page failed: {text}"))
}

/// Scheme, host and port of an address, as the browser writes them.
pub(super) fn origin(url: &str) -> Option<String> {
    url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_script_decides() {
        let class = |text: &str| Trouble::from(ChromeError::Script(text.to_owned())).class;
        assert_eq!(class("time-out: nothing to be seen at #x"), FailureClass::Transient);
        assert_eq!(class("absent: nothing to be seen at #x"), FailureClass::Transient);
        assert_eq!(class("config: #x is not a text field"), FailureClass::Config);
        let absent = |text: &str| Trouble::from(ChromeError::Script(text.to_owned())).absent;
        assert!(absent("absent: nothing to be seen at #x") && !absent("time-out: #x stays disabled"));
        assert!(may_come("absent: x") && may_come("time-out: x") && !may_come("config: x"));
        assert_eq!(class("endless: more than 3 pages"), FailureClass::Data);
        let css =
            "SyntaxError: Failed to execute 'querySelectorAll' on 'Document': '#1' is not a valid selector.";
        assert_eq!(class(css), FailureClass::Config);
        assert!(Trouble::from(ChromeError::Gone("x".into())).browser_gone);
        assert_eq!(Trouble::from(ChromeError::Start("x".into())).excuse, Some(Excuse::Host));
        assert_eq!(origin("https://a.example:443/b").unwrap(), "https://a.example");
    }
}
