//! Storage that cannot take a run is refused before the run: it is nearly full, or overwrites what must stand.

use nstore_shared::storage::Storage;

use super::{
    exit::{Exit, Refusal},
    settings, view,
};

/// Below this, what is stored is likely to end the run.
const TOO_LITTLE_BYTES: u64 = 256 << 20;
/// Below this, it is worth a word.
const LITTLE_BYTES: u64 = 1 << 30;

/// Refuses to extract into a store where two workers could both believe that their outcome stands, or onto a disk that
/// is nearly full.
pub(super) async fn check(storage: &Storage) -> anyhow::Result<()> {
    storage.check_creates().await?;
    let Some(free) = storage.free_bytes()? else { return Ok(()) };
    let (place, size) = (storage.url(), view::quantity::bytes(free));
    if free < TOO_LITTLE_BYTES {
        let text = format!("only {size} are free for storage at {place}");
        let hint = "make room, `nstore clean` shows what may go; or set NSTORE_STORAGE_URL to a larger disk";
        return Err(Refusal::new(Exit::Failed, text, hint).into());
    }
    if free < LITTLE_BYTES {
        settings::warn([format!("only {size} are free for storage at {place}")]);
    }
    Ok(())
}
