//! Live workers: who is there, what they work on and what they cannot do; and the word that one is to end.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use super::{
    Redis, RedisError,
    wire::{self, Push as _},
};
use crate::chunk::{ChunkRange, Kind, RunId, SourceId};

/// Cards that one call brings.
const BATCH: usize = 100;
/// How long a worker that is away may find that it was asked to drain.
const ASKED: Duration = Duration::from_secs(24 * 3600);

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
    /// Kinds of sources that its build leaves out.
    #[serde(default)]
    pub without: Vec<Kind>,
    /// How long this card stands, in milliseconds; 0 when it does not say.
    #[serde(default)]
    pub lease_ms: u64,
    /// It claims nothing more, and ends once it has finished what it has.
    #[serde(default)]
    pub draining: bool,
    /// What it works on.
    #[serde(default)]
    pub holds: Vec<Holding>,
    /// Where its storage is, as its host writes it; empty when it does not say.
    #[serde(default)]
    pub storage_url: String,
    /// Which storage that is; empty when it does not say.
    #[serde(default)]
    pub storage_id: String,
    /// How far its host's clock is ahead of the clock of Redis, in milliseconds; `None` when it does not say.
    #[serde(default)]
    pub clock_ahead_ms: Option<i64>,
}

impl WorkerCard {
    /// Whether it looks at another storage than the one of this identity: then it finds none of the runs there. One that
    /// does not say is not doubted.
    pub fn is_elsewhere(&self, identity: Option<&str>) -> bool {
        !self.storage_id.is_empty() && identity != Some(self.storage_id.as_str())
    }
}

/// A chunk that a worker works on, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The source.
    pub source: SourceId,
    /// The run.
    pub run: RunId,
    /// The chunk.
    pub chunk: ChunkRange,
    /// Which try it is.
    pub attempt: u32,
    /// Pages read.
    pub pages: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What is known of a worker's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Lives(Box<WorkerCard>),
    /// It was asked to drain and has not been heard since, nor has it said that it ends.
    Lost,
    /// Nobody of that name is listed: it never was, or has ended.
    Unknown,
}

/// The door to live workers.
#[derive(Clone)]
pub struct Fleet {
    pub(super) redis: Redis,
}

impl Fleet {
    /// Says that a worker lives, for `ttl`; true when it is asked to drain.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn announce(&self, card: &WorkerCard, ttl: Duration) -> Result<bool, RedisError> {
        let connection = &self.redis.connection;
        let text = serde_json::to_string(card).map_err(|bad| RedisError::Protocol(bad.to_string()))?;
        // listed first: a card that nobody lists would not be seen, one that is listed too long is dropped
        connection.call(redis::cmd("SADD").arg(connection.keys.workers()).arg(&card.id)).await?;
        let mut set = redis::cmd("SET");
        set.arg(connection.keys.card(&card.id)).arg(text).arg("PX").push_millis(ttl);
        connection.call(&set).await?;
        self.is_asked_to_drain(&card.id).await
    }

    /// How far this host's clock is ahead of the clock of Redis, for [`WorkerCard::clock_ahead_ms`].
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn clock_ahead_ms(&self) -> Result<i64, RedisError> {
        Ok(self.redis.clock_ahead().await?.num_milliseconds())
    }

    /// Takes the card down at a clean end.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn leave(&self, id: &str) -> Result<(), RedisError> {
        let keys = &self.redis.connection.keys;
        self.redis.connection.call(redis::cmd("DEL").arg(keys.card(id)).arg(keys.drain(id))).await?;
        self.drop_from_list(id).await
    }

    /// Asks a worker to drain; it hears of it with its next heartbeat. Repeating it changes nothing.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn drain(&self, id: &str) -> Result<(), RedisError> {
        let mut set = redis::cmd("SET");
        set.arg(self.redis.connection.keys.drain(id)).arg("1").arg("PX").push_millis(ASKED);
        self.redis.connection.call(&set).await.map(drop)
    }

    /// What is known of a worker.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn standing(&self, id: &str) -> Result<Standing, RedisError> {
        let connection = &self.redis.connection;
        match connection.call(redis::cmd("GET").arg(connection.keys.card(id))).await? {
            // asked after the card: one that ends well takes both down at once
            Value::Nil if self.is_asked_to_drain(id).await? => Ok(Standing::Lost),
            Value::Nil => Ok(Standing::Unknown),
            card => Ok(read_card(id, card).map_or(Standing::Unknown, |card| Standing::Lives(Box::new(card)))),
        }
    }

    /// How long ago each of these workers was heard; `None` for one that has ended meanwhile or does not say how
    /// long its word holds.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn heard(&self, cards: &[WorkerCard]) -> Result<Vec<Option<Duration>>, RedisError> {
        let connection = &self.redis.connection;
        let mut heard = Vec::with_capacity(cards.len());
        for card in cards {
            // by the server's clock: a worker's own may be an hour off
            let left = connection.call(redis::cmd("PTTL").arg(connection.keys.card(&card.id))).await?;
            let left = u64::try_from(wire::number::<i64>(&left)?).ok();
            heard.push(left.and_then(|left| card.lease_ms.checked_sub(left)).map(Duration::from_millis));
        }
        Ok(heard)
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
        for card in &cards {
            self.shorten(card).await?;
        }
        Ok(cards)
    }

    /// No card stands longer than one that is written now, unless the server's clock was set back since: then a worker that
    /// died would be shown for as long as that.
    async fn shorten(&self, card: &WorkerCard) -> Result<(), RedisError> {
        if card.lease_ms == 0 {
            return Ok(());
        }
        let mut expire = redis::cmd("EXPIRE");
        expire.arg(self.redis.connection.keys.card(&card.id)).push(card.lease_ms.div_ceil(1000)).arg("LT");
        self.redis.connection.call(&expire).await.map(drop)
    }

    async fn is_asked_to_drain(&self, id: &str) -> Result<bool, RedisError> {
        let connection = &self.redis.connection;
        let answer = connection.call(redis::cmd("EXISTS").arg(connection.keys.drain(id))).await?;
        Ok(wire::number::<u64>(&answer)? == 1)
    }

    /// A worker that died is listed until someone looks. One that lives lists itself again with its next card.
    async fn drop_from_list(&self, id: &str) -> Result<(), RedisError> {
        let connection = &self.redis.connection;
        connection.call(redis::cmd("SREM").arg(connection.keys.workers()).arg(id)).await.map(drop)
    }
}

/// A card that makes no sense hides no other.
fn read_card(id: &str, card: Value) -> Option<WorkerCard> {
    let bad = |what: String| RedisError::Protocol(what);
    let read = wire::text(card).and_then(|text| {
        let card: WorkerCard = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let told = [&card.host, &card.version, &card.storage_url, &card.storage_id]
            .into_iter()
            .chain(card.lacks.iter().map(|(_, why)| why));
        if card.id != id {
            return Err(bad(format!("it is the card of `{}`", card.id.escape_debug())));
        }
        // it is shown on terminals, and whoever may write to redis may write a card
        if told.chain([&card.id]).any(|text| text.chars().any(char::is_control)) {
            return Err(bad("it holds signs that no terminal should see".to_owned()));
        }
        Ok(card)
    });
    match read {
        Ok(card) => Some(card),
        Err(error) => {
            tracing::warn!(worker = id.escape_debug().to_string(), %error, "a worker's card in redis is not understood");
            None
        }
    }
}
