//! Which installation of nstore a store belongs to: two of them may load into one database.

use serde::{Deserialize, Serialize};

use super::{Created, Storage, StorageError, paths};

/// Format version of the document.
const INSTALLATION_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Installation {
    version: u32,
    /// 32 hex digits.
    id: String,
}

impl Storage {
    /// The name of the installation, 32 random hex digits; it is made up at the first call and stays with the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn installation(&self) -> Result<String, StorageError> {
        let key = paths::installation();
        if let Some(bytes) = self.get(&key).await? {
            return self.versioned::<Installation>(&key, &bytes, INSTALLATION_VERSION).map(|found| found.id);
        }
        let mine = Installation { version: INSTALLATION_VERSION, id: format!("{:032x}", fastrand::u128(..)) };
        Ok(match self.create(&key, &mine, INSTALLATION_VERSION).await? {
            Created::Mine => mine.id,
            Created::Other(stands) => stands.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_keeps_the_name_of_its_installation() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file:{}", folder.path().display());
        let id = Storage::open(&url).unwrap().installation().await.unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(Storage::open(&url).unwrap().installation().await.unwrap(), id);
        let other = tempfile::tempdir().unwrap();
        let other = Storage::open(&format!("file:{}", other.path().display())).unwrap();
        assert_ne!(other.installation().await.unwrap(), id);
    }
}
