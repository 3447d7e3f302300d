//! Ids of runs: from the time and chance, or from the user's key.

use chrono::{DateTime, Utc};
use nstore_shared::chunk::{IdError, RunId};
use sha2::{Digest as _, Sha256};

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The id of a new run: `20251123-040312-k3f9`. Four letters are taken from `random`.
///
/// # Errors
/// Never for a date with a four-digit year.
pub fn run_id(now: DateTime<Utc>, random: u32) -> Result<RunId, IdError> {
    let mut rest = random as usize;
    let mut suffix = String::with_capacity(4);
    for _ in 0..4 {
        suffix.push(char::from(LETTERS[rest % LETTERS.len()]));
        rest /= LETTERS.len();
    }
    format!("{}-{suffix}", now.format("%Y%m%d-%H%M%S")).parse()
}

/// The id of the run that a key stands for: the same key, the same run.
///
/// # Errors
/// Never: the id is `k-` and 16 hex digits.
pub fn run_id_of_key(key: &str) -> Result<RunId, IdError> {
    format!("k-{}", hex::encode(&Sha256::digest(key.as_bytes())[..8])).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_holds_the_time_and_a_key_has_one_id() {
        let now = "2025-11-23T04:03:12Z".parse().unwrap();
        assert_eq!(run_id(now, 0).unwrap().as_str(), "20251123-040312-aaaa");
        assert_eq!(run_id(now, 36 * 36 * 36 * 35 + 25).unwrap().as_str(), "20251123-040312-zaa9");
        let daily = run_id_of_key("daily 2025-08-01").unwrap();
        assert_eq!(daily, run_id_of_key("daily 2025-08-01").unwrap());
        assert_ne!(daily, run_id_of_key("daily 2025-08-02").unwrap());
        assert_eq!(daily.as_str().len(), 18);
    }
}
