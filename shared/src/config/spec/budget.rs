//! How often a source may be asked, by the whole fleet. Pure.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::chunk::SourceId;

/// The most requests that a rate may name.
const MOST_REQUESTS: u32 = 10_000;

/// The rate limit of a source: the requests of all workers share it, and those of every source that names its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Whose limit it is: a credential at a host, as a rule.
    pub key: BudgetKey,
    /// How often.
    pub rate: Rate,
    /// Requests that may leave at once after a rest.
    pub burst: u32,
}

/// The name of a budget; what a source may be called, it may be called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BudgetKey(SourceId);

/// A text that names no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key of a budget")]
pub struct NoKey(String);

impl FromStr for BudgetKey {
    type Err = NoKey;
    fn from_str(text: &str) -> Result<Self, NoKey> {
        text.parse().map(Self).map_err(|_| NoKey(text.to_owned()))
    }
}

impl From<SourceId> for BudgetKey {
    fn from(source: SourceId) -> Self {
        Self(source)
    }
}

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// So many requests in a span of time: `10/s`, `100/min`, `1000/h`, `5000/d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    requests: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    name: &'static str,
    seconds: u32,
}

const UNITS: [Unit; 4] = [
    Unit { name: "s", seconds: 1 },
    Unit { name: "min", seconds: 60 },
    Unit { name: "h", seconds: 3600 },
    Unit { name: "d", seconds: 86_400 },
];

/// A text that says no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// Not a number of requests in a unit of time.
    #[error("`{0}` is no rate")]
    Form(String),
    /// None, or more than Redis is to hand out.
    #[error("`{0}`: a rate is 1 to {MOST_REQUESTS} requests")]
    Size(String),
}

impl FromStr for Rate {
    type Err = NoRate;
    fn from_str(text: &str) -> Result<Self, NoRate> {
        let form = || NoRate::Form(text.to_owned());
        let (count, name) = text.split_once('/').ok_or_else(form)?;
        let unit = UNITS.into_iter().find(|unit| unit.name == name.trim()).ok_or_else(form)?;
        let requests: u64 = count.trim().parse().map_err(|_| form())?;
        match u32::try_from(requests) {
            Ok(requests @ 1..=MOST_REQUESTS) => Ok(Self { requests, unit }),
            _ => Err(NoRate::Size(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = NoRate;
    fn try_from(text: String) -> Result<Self, NoRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl Rate {
    /// From one request to the next, in whole microseconds; rather one too many.
    pub fn interval(self) -> Duration {
        Duration::from_micros((u64::from(self.unit.seconds) * 1_000_000).div_ceil(self.requests.into()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.unit.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_requests_in_a_unit_of_time() {
        for (text, interval) in [
            ("10/s", Duration::from_millis(100)),
            ("100/min", Duration::from_millis(600)),
            ("1/h", Duration::from_secs(3600)),
            ("5000/d", Duration::from_micros(17_280_000)),
            ("9999/s", Duration::from_micros(101)),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), interval);
            assert_eq!(rate.to_string(), text);
            assert_eq!(serde_json::from_value::<Rate>(serde_json::json!(rate)).unwrap(), rate);
        }
        assert_eq!("10 / min".parse::<Rate>().unwrap().to_string(), "10/min");
        for bad in ["", "10", "/s", "10/", "10/week", "-1/s", "1.5/s", "ten/s", "10/s/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(NoRate::Form(bad.to_owned())));
        }
        for bad in ["0/s", "10001/s", "99999999999/d"] {
            assert_eq!(bad.parse::<Rate>(), Err(NoRate::Size(bad.to_owned())));
        }
    }
}
