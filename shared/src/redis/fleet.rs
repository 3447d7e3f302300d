//! Live workers: who is there, and what they cannot do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Redis, RedisError};
use crate::chunk::{Kind, SourceId};

/// What a worker process says of itself every heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCard {
    /// Unique per process start.
    pub id: String,
    /// Its host's name.
    pub host: String,
    /// Which sources it extracts.
    pub kind: Kind,
    /// The program's version.
    pub version: String,
    /// Chunks it works on at once.
    pub slots: u32,
    /// Sources it leaves alone, with the reason (a secret that its host lacks).
    pub lacks: Vec<(SourceId, String)>,
}

/// The door to live workers.
#[derive(Clone)]
pub struct Fleet {
    pub(super) redis: Redis,
}

impl Fleet {
    /// Says that a worker lives, for `ttl`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn announce(&self, card: &WorkerCard, ttl: Duration) -> Result<(), RedisError> {
        let _ = (card, ttl, &self.redis);
        unimplemented!()
    }

    /// Takes the card down at a clean end.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn leave(&self, id: &str) -> Result<(), RedisError> {
        let _ = id;
        unimplemented!()
    }

    /// The workers that live now.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn workers(&self) -> Result<Vec<WorkerCard>, RedisError> {
        unimplemented!()
    }
}
