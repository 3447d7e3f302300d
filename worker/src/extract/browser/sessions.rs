//! Logins that are shared: within a worker by memory, within the fleet by the vault. One at a time signs in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nstore_shared::{
    config::spec::browser::Login,
    redis::vault::{Fingerprint, Held, Turn, Vault, VaultKey, VaultName},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tracing::warn;

use super::{login::Credentials, trouble::Trouble};

/// How long a login is kept; one that ends earlier is noticed by its login page.
const KEPT: Duration = Duration::from_secs(12 * 3600);
/// How much longer than a login the turn for it lasts.
const SLACK: Duration = Duration::from_secs(30);

/// What a signed-in browser knows: cookies, and what pages keep for their origin.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// As `Storage.getCookies` gives them.
    pub(super) cookies: Vec<Value>,
    /// `localStorage` by origin.
    pub(super) kept: Vec<(String, Vec<(String, String)>)>,
}

/// A session, and which one it is.
#[derive(Clone, PartialEq)]
pub(super) struct Known {
    pub(super) session: Arc<Session>,
    pub(super) id: u64,
    fingerprint: Option<Fingerprint>,
}

type Slot = Arc<AsyncMutex<Option<Known>>>;

/// The sessions of a worker.
pub(crate) struct Sessions {
    vault: Option<Vault>,
    /// Names accounts; the vault's, so that all workers name them alike.
    key: VaultKey,
    owner: String,
    slots: Mutex<HashMap<String, Slot>>,
    ids: std::sync::atomic::AtomicU64,
}

/// The turn to sign in; nobody else does until it is dropped.
pub(super) struct MyTurn {
    slot: OwnedMutexGuard<Option<Known>>,
    held: Option<Hold>,
}

/// The vault's lock on a login. It is let go when dropped, whatever became of the visit.
struct Hold {
    vault: Vault,
    place: VaultName,
    held: Held,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let (vault, held) = (self.vault.clone(), self.held.clone());
        // outside of a runtime, at the very end, it ends by its time-out
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = vault.unlock(&held).await {
                    warn!(%error, "the turn to sign in ends by its time-out");
                }
            });
        }
    }
}

/// Somebody's session, or the turn to make one.
pub(super) enum Entry {
    Known(Known),
    Turn(Box<MyTurn>),
}

impl Sessions {
    /// Shared through the vault, or within this process alone where there is no key for one.
    pub(crate) fn new(vault: Option<Vault>, owner: &str) -> Self {
        let key = vault.as_ref().map_or_else(VaultKey::random, |vault| vault.key().clone());
        Self { vault, key, owner: owner.to_owned(), slots: Mutex::default(), ids: 1.into() }
    }

    /// Which account at which place: two sources that share both share a session, and another user name or a new
    /// password makes a new one. Says nothing of them to whoever lacks the vault's key.
    pub(super) fn name_of(&self, login: &Login, who: &Credentials) -> String {
        let account = (who.username.expose(), who.password.expose());
        let said = format!("{:?}", (&login.flow, &login.url, account));
        format!("browser-{}", hex::encode(&self.key.digest(&said)[..12]))
    }

    /// A session for this account; `stale` is one that was found to have ended.
    pub(super) async fn enter(
        &self,
        login: &Login,
        who: &Credentials,
        stale: Option<&Known>,
    ) -> Result<Entry, Trouble> {
        let name = self.name_of(login, who);
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(name.clone()).or_default().clone()
        };
        // whoever holds it is signing in: the others wait for what comes of it
        let mut slot = slot.lock_owned().await;
        if let Some(known) = slot.as_ref().filter(|known| stale.is_none_or(|stale| stale.id != known.id)) {
            return Ok(Entry::Known(known.clone()));
        }
        let forgotten = slot.take();
        let Some(vault) = &self.vault else { return Ok(Entry::Turn(Box::new(MyTurn { slot, held: None }))) };
        let place: VaultName = name.parse()?;
        if let Some(fingerprint) = forgotten.as_ref().or(stale).and_then(|known| known.fingerprint) {
            vault.forget(&place, fingerprint).await?;
        }
        let limit = login.timeout + SLACK;
        loop {
            match vault.turn(&place, &self.owner, limit, limit * 2).await? {
                Turn::Value(kept) => match serde_json::from_slice::<Session>(&kept.bytes) {
                    Ok(session) => {
                        let known = self.known(session, Some(kept.fingerprint));
                        *slot = Some(known.clone());
                        return Ok(Entry::Known(known));
                    }
                    Err(error) => {
                        warn!(%error, "a shared login cannot be read, a new one is made");
                        vault.forget(&place, kept.fingerprint).await?;
                    }
                },
                Turn::Mine(held) => {
                    let held = Some(Hold { vault: vault.clone(), place, held });
                    return Ok(Entry::Turn(Box::new(MyTurn { slot, held })));
                }
                Turn::Late => {
                    let seconds = (limit * 2).as_secs();
                    return Err(Trouble::passing(format!(
                        "another worker has been signing in for {seconds} s"
                    )));
                }
            }
        }
    }

    /// Keeps what a login led to, for all.
    pub(super) async fn keep(&self, mut turn: Box<MyTurn>, session: Session) -> Result<Known, Trouble> {
        let mut fingerprint = None;
        if let Some(Hold { vault, place, .. }) = &turn.held {
            let bytes = serde_json::to_vec(&session).map_err(|e| Trouble::passing(e.to_string()))?;
            match vault.put(place, &bytes, KEPT).await {
                Ok(put) => fingerprint = Some(put),
                Err(error) => warn!(%error, "the login is not shared with other workers"),
            }
        }
        let known = self.known(session, fingerprint);
        *turn.slot = Some(known.clone());
        Ok(known)
    }

    fn known(&self, session: Session, fingerprint: Option<Fingerprint>) -> Known {
        let id = self.ids.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Known { session: Arc::new(session), id, fingerprint }
    }
}
