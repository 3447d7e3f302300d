//! What a probe found, for people and as JSON.

use std::fmt;

use nstore_shared::{chunk::Kind, retry::FailureClass};
use serde::Serialize;

/// What a probe found. Its JSON is read by `nstore config test-connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The source, as it was asked for.
    pub source: String,
    /// It lets us in, and its records fit.
    pub ok: bool,
    /// Until the first page was there.
    pub latency_ms: Option<u64>,
    /// Records on the first page that has any.
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
    /// The dashboard was reached, and nothing came that it waits for on the days asked.
    NotShown,
    /// The source answers, and has no record on the days asked: whether its records fit is not known.
    NoData,
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
    pub(super) fn hint(self, kind: Option<Kind>) -> &'static str {
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
            (Self::NotShown, _) => {
                "name a day that has data: --date YYYY-MM-DD; if it has, compare the selector with the page"
            }
            (Self::NoData, _) => "name a day that has data: --date YYYY-MM-DD",
            (Self::RateLimited, _) => "wait as asked and try again",
            (Self::Data, Some(Kind::Browser)) => {
                "compare what the dashboard shows with `read` and the mapping"
            }
            (Self::Data, _) => "compare an answer of the source with records.selector and the mapping",
        }
    }
}

impl Finding {
    pub(super) fn fine(source: &str, records: u64, rejected: u64, message: String) -> Self {
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

    pub(super) fn failed(source: &str, kind: Option<Kind>, class: Class, message: String) -> Self {
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

    fn answer(&self) -> &'static str {
        match self.class {
            None => "ok",
            Some(Class::NoData) => "no data",
            Some(_) => "FAILED",
        }
    }

    /// As one JSON object on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// 0 fine or no data, 1 failed, 2 usage or config, 4 the source is unreachable.
    pub fn exit_code(&self) -> u8 {
        match self.class {
            None | Some(Class::NoData) => 0,
            Some(Class::Config | Class::Unfit) => 2,
            Some(Class::Unreachable) => 4,
            Some(_) => 1,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.source, self.answer(), self.message)?;
        if let Some(latency) = self.latency_ms {
            write!(f, " ({latency} ms)")?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  {hint}"))
    }
}
