//! Failure classes and the back-off decision. Pure: the random number is an argument.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// What kind of failure it was; it alone decides whether another try can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The source's description is wrong: a 404, a selector that meets nothing.
    Config,
    /// A secret is missing or refused.
    Auth,
    /// May pass: connection, time-out, 5xx.
    Transient,
    /// The source asked for patience: 429, Retry-After.
    RateLimited,
    /// The answer is not what the mapping promises.
    Data,
    /// The chunk lost worker after worker.
    Poison,
}

/// A text that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no class of failures: config, auth, transient, rate_limited, data or poison")]
pub struct UnknownClass(String);

impl FailureClass {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Config, Self::Auth, Self::Transient, Self::RateLimited, Self::Data, Self::Poison];

    /// Whether another attempt at the chunk can end otherwise.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Transient | Self::RateLimited)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Transient => "transient",
            Self::RateLimited => "rate_limited",
            Self::Data => "data",
            Self::Poison => "poison",
        })
    }
}

impl FromStr for FailureClass {
    type Err = UnknownClass;
    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        let named = Self::ALL.into_iter().find(|class| class.to_string() == text);
        named.ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

/// Exponential back-off with full jitter and a ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait, before jitter.
    #[serde(with = "millis")]
    pub base: Duration,
    /// No wait is longer.
    #[serde(with = "millis")]
    pub ceiling: Duration,
}

/// Waits between two calls to a service of ours that is away; jitter keeps a fleet from knocking in step.
pub const KNOCK: Backoff = Backoff { base: Duration::from_millis(200), ceiling: Duration::from_secs(3) };

impl Backoff {
    /// The wait before try `tries + 1` after `tries` failed ones (at least 1); `random` lies in `[0, 1)`.
    pub fn wait(&self, tries: u32, random: f64) -> Duration {
        let factor = 2u32.saturating_pow(tries.saturating_sub(1).min(30));
        self.base.saturating_mul(factor).min(self.ceiling).mul_f64(random.clamp(0.0, 1.0))
    }
}

/// A duration as whole milliseconds in stored documents.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes whole milliseconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads whole milliseconds.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }

    /// The same for one that may be left out.
    pub mod maybe {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes whole milliseconds.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(value: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX)),
                None => out.serialize_none(),
            }
        }

        /// Reads whole milliseconds.
        ///
        /// # Errors
        /// Those of the deserializer.
        pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<u64>::deserialize(input)?.map(Duration::from_millis))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_read_as_it_is_written() {
        for class in FailureClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert!("Data".parse::<FailureClass>().unwrap_err().to_string().contains("rate_limited"));
    }

    #[test]
    fn waits_double_up_to_the_ceiling() {
        let backoff = Backoff { base: Duration::from_secs(1), ceiling: Duration::from_secs(60) };
        let longest: Vec<u64> = (1..9).map(|tries| backoff.wait(tries, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(4, 0.0), Duration::ZERO);
        assert_eq!(backoff.wait(u32::MAX, 0.5), Duration::from_secs(30));
    }
}
