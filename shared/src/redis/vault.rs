//! The door to the vault: logins that workers share, encrypted, with one login at a time for each name.
//!
//! A worker that needs a session asks [`Vault::turn`]: it gets the session that stands there, or the word that the
//! login is its own to do, or it waits while another one logs in. One that meets an expired session tells
//! [`Vault::forget`] which one it saw, so a newer one that a quicker worker left is not thrown away.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::Value;

use super::{
    Redis, RedisError,
    keys::VAULT_LIBRARY,
    wire::{self, Push as _},
};

pub use super::seal::{Fingerprint, VaultKey, VaultKeyError};

/// No value is larger, in bytes: a session is cookies and a page's storage.
pub const LARGEST_VALUE: usize = 1024 * 1024;

/// The pause between two looks of one that waits; drawn anew each time, so that a fleet does not look in step.
const PAUSE_MILLIS: std::ops::Range<u64> = 100..300;

/// What goes wrong with the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A name that cannot be a part of a key.
    #[error("`{0}` is no name for the vault: 1 to 100 characters of a-z, 0-9, `_` and `-`")]
    Name(String),
    /// A value that no login is.
    #[error("{0} bytes are too many for the vault, which takes {LARGEST_VALUE}")]
    TooLarge(usize),
    /// The system gave no random numbers.
    #[error("the system has no random numbers to encrypt with")]
    Random,
    /// Redis is away or refuses.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Which login: 1 to 100 characters of `[a-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VaultName(String);

impl std::str::FromStr for VaultName {
    type Err = VaultError;
    fn from_str(text: &str) -> Result<Self, VaultError> {
        // what a source may be called, the vault's names may be called
        match text.parse::<crate::chunk::SourceId>() {
            Ok(name) => Ok(Self(name.into())),
            Err(_) => Err(VaultError::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A value as it stood in the vault. Its bytes are secret: it shows only its fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// What was put in.
    pub bytes: Vec<u8>,
    /// Which one it is, for [`Vault::forget`].
    pub fingerprint: Fingerprint,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The lock of a name, until its ttl or [`Vault::unlock`]. Dropping it frees nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    name: VaultName,
    token: String,
}

/// What one that waited found.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// A value.
    Value(Kept),
    /// No value, and nobody who is about to bring one.
    Free,
    /// Neither in time.
    Late,
}

/// Whose turn it is to log in.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody's: here is a login.
    Value(Kept),
    /// The caller's: log in, [`Vault::put`], [`Vault::unlock`]; [`Vault::renew`] where it takes long.
    Mine(Held),
    /// Another one's, who did not end in time.
    Late,
}

/// The door to shared logins. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    redis: Redis,
    key: VaultKey,
    /// Names whose value did not open: told once each.
    told: Arc<Mutex<HashSet<VaultName>>>,
}

impl Vault {
    pub(super) fn new(redis: Redis, key: VaultKey) -> Self {
        Self { redis, key, told: Arc::default() }
    }

    /// The key that its users share.
    pub fn key(&self) -> &VaultKey {
        &self.key
    }

    /// The value under a name. One that does not open counts as absent.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn get(&self, name: &VaultName) -> Result<Option<Kept>, VaultError> {
        let connection = &self.redis.connection;
        let place = connection.keys.vault_value(name);
        let sealed = match connection.call(redis::cmd("GET").arg(&place)).await? {
            Value::Nil => return Ok(None),
            Value::BulkString(sealed) => sealed,
            other => return Err(wire::unexpected("sealed bytes", &other).into()),
        };
        match (self.key.open(&place, &sealed), Fingerprint::of(&sealed)) {
            (Ok(bytes), Some(fingerprint)) => Ok(Some(Kept { bytes, fingerprint })),
            (opened, _) => {
                self.tell_once(name, opened.err());
                Ok(None)
            }
        }
    }

    /// Puts a value under a name, for `ttl`, over what stands there.
    ///
    /// # Errors
    /// When it is too large or Redis is away.
    pub async fn put(
        &self,
        name: &VaultName,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<Fingerprint, VaultError> {
        if bytes.len() > LARGEST_VALUE {
            return Err(VaultError::TooLarge(bytes.len()));
        }
        let connection = &self.redis.connection;
        let place = connection.keys.vault_value(name);
        let sealed = self.key.seal(&place, bytes).ok_or(VaultError::Random)?;
        let fingerprint = Fingerprint::of(&sealed).ok_or(VaultError::Random)?;
        let mut set = redis::cmd("SET");
        set.arg(&place).arg(sealed).arg("PX").push_millis(at_least_a_tick(ttl));
        connection.call(&set).await?;
        Ok(fingerprint)
    }

    /// Removes the value that the caller saw; true when it was still there. Another one's newer value stays.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn forget(&self, name: &VaultName, seen: Fingerprint) -> Result<bool, VaultError> {
        let mut call = function("forget", &self.redis.connection.keys.vault_value(name));
        call.arg(seen.bytes());
        self.ask(&call).await
    }

    /// Takes the lock of a name for `ttl`; `None` while another one holds it. `owner` says who, for people who look.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lock(
        &self,
        name: &VaultName,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<Held>, VaultError> {
        // a token of its own for each lock: the call may be repeated, and slots of one owner do not share it
        let token = format!("{owner}|{:032x}", fastrand::u128(..));
        let mut call = function("lock", &self.redis.connection.keys.vault_lock(name));
        call.arg(&token).push_millis(at_least_a_tick(ttl));
        Ok(self.ask(&call).await?.then(|| Held { name: name.clone(), token }))
    }

    /// Holds a lock for `ttl` from now on; false when it is lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn renew(&self, held: &Held, ttl: Duration) -> Result<bool, VaultError> {
        let mut call = function("renew", &self.redis.connection.keys.vault_lock(&held.name));
        call.arg(&held.token).push_millis(at_least_a_tick(ttl));
        self.ask(&call).await
    }

    /// Lets a lock go; false when it was lost before.
    ///
    /// # Errors
    /// When Redis is away: the lock goes with its ttl.
    pub async fn unlock(&self, held: &Held) -> Result<bool, VaultError> {
        let mut call = function("unlock", &self.redis.connection.keys.vault_lock(&held.name));
        call.arg(&held.token);
        self.ask(&call).await
    }

    /// Waits until a value stands under a name or its lock is free.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn wait(&self, name: &VaultName, patience: Duration) -> Result<Waited, VaultError> {
        let start = Instant::now();
        loop {
            // the lock first: one that is let go between the two looks has left its value already
            let locked = self.is_locked(name).await?;
            if let Some(kept) = self.get(name).await? {
                return Ok(Waited::Value(kept));
            }
            if !locked {
                return Ok(Waited::Free);
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(Waited::Late);
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(PAUSE_MILLIS)).min(left)).await;
        }
    }

    /// The value under a name, or the turn to bring one, or neither within `patience`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn turn(
        &self,
        name: &VaultName,
        owner: &str,
        ttl: Duration,
        patience: Duration,
    ) -> Result<Turn, VaultError> {
        let start = Instant::now();
        loop {
            if let Some(kept) = self.get(name).await? {
                return Ok(Turn::Value(kept));
            }
            if let Some(held) = self.lock(name, owner, ttl).await? {
                // another one may have logged in between the look and the lock
                return match self.get(name).await? {
                    Some(kept) => {
                        self.unlock(&held).await?;
                        Ok(Turn::Value(kept))
                    }
                    None => Ok(Turn::Mine(held)),
                };
            }
            match self.wait(name, patience.saturating_sub(start.elapsed())).await? {
                Waited::Value(kept) => return Ok(Turn::Value(kept)),
                Waited::Late => return Ok(Turn::Late),
                Waited::Free => {}
            }
        }
    }

    async fn is_locked(&self, name: &VaultName) -> Result<bool, VaultError> {
        let connection = &self.redis.connection;
        let answer = connection.call(redis::cmd("EXISTS").arg(connection.keys.vault_lock(name))).await?;
        Ok(wire::number::<u64>(&answer)? == 1)
    }

    /// Calls a function that answers 1 or 0.
    async fn ask(&self, call: &redis::Cmd) -> Result<bool, VaultError> {
        let answer = self.redis.connection.function(&VAULT_LIBRARY, call).await?;
        Ok(wire::number::<u64>(&answer)? == 1)
    }

    fn tell_once(&self, name: &VaultName, why: Option<super::seal::Unopened>) {
        let fresh = self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        if let Some(why) = why.filter(|_| fresh) {
            tracing::warn!(%name, %why, "a shared login in redis is not used; do all workers have the same {}",
                VaultKey::VARIABLE);
        }
    }
}

fn function(door: &str, key: &str) -> redis::Cmd {
    let mut cmd = redis::cmd("FCALL");
    cmd.arg(VAULT_LIBRARY.function(door)).arg(1).arg(key);
    cmd
}

/// Redis refuses an expiry of no milliseconds.
fn at_least_a_tick(ttl: Duration) -> Duration {
    ttl.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_keys_may_hold() {
        assert_eq!("powerbi-1_a".parse::<VaultName>().unwrap().to_string(), "powerbi-1_a");
        for bad in ["", "Powerbi", "a b", "a:b", "{a}", "a*", &"a".repeat(101)] {
            assert!(bad.parse::<VaultName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kept_value_does_not_show_itself() {
        let sealed = VaultKey::random().seal("a", b"x").unwrap();
        let kept = Kept { bytes: b"canary".to_vec(), fingerprint: Fingerprint::of(&sealed).unwrap() };
        assert!(!format!("{kept:?}").contains("bytes"), "{kept:?}");
    }
}
