//! Whether a server stays one that nstore can work with: its settings may be changed while everything runs.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{Redis, RedisError};

/// How often the server is asked at most.
const EVERY: Duration = Duration::from_secs(5);

/// Looks at a server's settings again and again, and tells when they change between good and bad.
pub struct FitnessWatch {
    redis: Redis,
    asked: Option<Instant>,
    unfit: bool,
}

/// What became of a server's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FitnessChange {
    /// It may lose what it is told, and why.
    Unfit(String),
    /// It can be used again.
    Fit,
}

impl FitnessWatch {
    /// A server that was fit when it was connected to.
    pub fn new(redis: Redis) -> Self {
        Self { redis, asked: None, unfit: false }
    }

    /// Asks the server, unless it was asked a moment ago, and returns what has changed. One that does not answer has not
    /// changed.
    pub async fn look(&mut self) -> Option<FitnessChange> {
        if self.asked.is_some_and(|at| at.elapsed() < EVERY) {
            return None;
        }
        self.asked = Some(Instant::now());
        match self.redis.check().await {
            Ok(_) if std::mem::take(&mut self.unfit) => Some(FitnessChange::Fit),
            Err(error @ RedisError::Unfit { .. }) if !std::mem::replace(&mut self.unfit, true) => {
                Some(FitnessChange::Unfit(error.to_string()))
            }
            Ok(_) | Err(_) => None,
        }
    }
}

impl fmt::Display for FitnessChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(why) => {
                write!(f, "{why}; work goes on, and what redis loses it is told again, which takes time")
            }
            Self::Fit => f.write_str("redis can be used without losses again"),
        }
    }
}
