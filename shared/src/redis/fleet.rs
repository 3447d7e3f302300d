//! Live workers: who is there, and what they cannot do.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use super::{
    Redis, RedisError,
    wire::{self, Push as _},
};
use crate::chunk::{Kind, SourceId};

/// Cards that one call brings.
const BATCH: usize = 100;

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
        let connection = &self.redis.connection;
        let text = serde_json::to_string(card).map_err(|bad| RedisError::Protocol(bad.to_string()))?;
        // listed first: a card that nobody lists would not be seen, one that is listed too long is dropped
        connection.call(redis::cmd("SADD").arg(connection.keys.workers()).arg(&card.id)).await?;
        let mut set = redis::cmd("SET");
        set.arg(connection.keys.card(&card.id)).arg(text).arg("PX").push_millis(ttl);
        connection.call(&set).await.map(drop)
    }

    /// Takes the card down at a clean end.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn leave(&self, id: &str) -> Result<(), RedisError> {
        let connection = &self.redis.connection;
        connection.call(redis::cmd("DEL").arg(connection.keys.card(id))).await?;
        connection.call(redis::cmd("SREM").arg(connection.keys.workers()).arg(id)).await.map(drop)
    }

    /// The workers that live now.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn workers(&self) -> Result<Vec<WorkerCard>, RedisError> {
        let connection = &self.redis.connection;
        let answer = connection.call(redis::cmd("SMEMBERS").arg(connection.keys.workers())).await?;
        let mut ids: Vec<String> =
            wire::array(answer)?.into_iter().map(wire::text).collect::<Result<_, _>>()?;
        ids.sort();
        let mut cards = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let mut get = redis::cmd("MGET");
            for id in batch {
                get.arg(connection.keys.card(id));
            }
            let found = wire::array(connection.call(&get).await?)?;
            for (id, card) in batch.iter().zip(found) {
                match card {
                    Value::Nil => self.drop_from_list(id).await?,
                    card => cards.extend(read_card(id, card)),
                }
            }
        }
        Ok(cards)
    }

    /// A worker that died is listed until someone looks. One that lives lists itself again with its next card.
    async fn drop_from_list(&self, id: &str) -> Result<(), RedisError> {
        let connection = &self.redis.connection;
        connection.call(redis::cmd("SREM").arg(connection.keys.workers()).arg(id)).await.map(drop)
    }
}

/// A card that makes no sense hides no other.
fn read_card(id: &str, card: Value) -> Option<WorkerCard> {
    let read = wire::text(card)
        .and_then(|text| serde_json::from_str(&text).map_err(|bad| RedisError::Protocol(bad.to_string())));
    match read {
        Ok(card) => Some(card),
        Err(error) => {
            tracing::warn!(worker = id, %error, "a worker's card in redis is not understood");
            None
        }
    }
}
