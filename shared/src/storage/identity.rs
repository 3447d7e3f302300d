//! Which storage this is: a document with a random text, so that two processes can tell whether they look at the same one,
//! however each of them writes its URL.

use serde::{Deserialize, Serialize};

use super::{Created, Storage, StorageError, paths};

/// The format version that this build writes.
const IDENTITY_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: String,
}

impl Storage {
    /// The identity of this storage; made by the first one who asks.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn identify(&self) -> Result<String, StorageError> {
        if let Some(id) = self.identity().await? {
            return Ok(id);
        }
        let fresh = Identity { version: IDENTITY_VERSION, id: format!("{:032x}", fastrand::u128(..)) };
        match self.create(&paths::identity(), &fresh, IDENTITY_VERSION).await? {
            Created::Mine => Ok(fresh.id),
            Created::Other(stands) => Ok(stands.id),
        }
    }

    /// The identity of this storage; `None` when no worker has ever used it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn identity(&self) -> Result<Option<String>, StorageError> {
        let key = paths::identity();
        let Some(bytes) = self.get(&key).await? else { return Ok(None) };
        let Identity { id, .. } = self.versioned(&key, &bytes, IDENTITY_VERSION)?;
        Ok(Some(id))
    }
}
