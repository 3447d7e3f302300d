//! The guards that keep what is promised when machines fail, each with a switch that exists in test builds alone.
//!
//! `make chaos-mutants` builds with the feature `unguarded`, takes one guard away at a time and wants to see a promise
//! break; docs/reliability.md has the table. An ordinary build has no switch: there every guard stands, and the
//! compiler knows it.

/// What keeps one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A chunk that has a row in the ledger is not loaded again.
    LedgerKey,
    /// A claim under a nonce that is not above the last one gets nothing new.
    RisingNonces,
    /// A worker does nothing about a chunk past its own lease.
    SelfFence,
    /// Nothing is granted for one lease after a boot of Redis.
    QuietTime,
    /// A writer that meets a marker reads it before it removes its own files.
    ReadBack,
    /// Older data never overwrites newer.
    Supersede,
    /// Loads of a run hold its lock, and cancel takes it alone.
    RunLock,
    /// The first marker of a generation is never overwritten.
    CreateOnly,
    /// A report about an older generation changes nothing.
    Generations,
    /// A chunk that was ever committed never splits.
    CommittedStays,
    /// Days of an append without a key belong to one run.
    ClaimedDays,
    /// Only who holds a chunk gives it back.
    GiveBackFence,
    /// The lowest chunk of a sequential source comes first, also while it waits to be tried again.
    Order,
    /// What is loaded has the checksum that its marker names.
    Checksum,
    /// No request leaves without a time slot of its source's budget.
    Budget,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::LedgerKey,
        Self::RisingNonces,
        Self::SelfFence,
        Self::QuietTime,
        Self::ReadBack,
        Self::Supersede,
        Self::RunLock,
        Self::CreateOnly,
        Self::Generations,
        Self::CommittedStays,
        Self::ClaimedDays,
        Self::GiveBackFence,
        Self::Order,
        Self::Checksum,
        Self::Budget,
    ];

    /// What it is called where guards are named.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LedgerKey => "ledger-key",
            Self::RisingNonces => "rising-nonces",
            Self::SelfFence => "self-fence",
            Self::QuietTime => "quiet-time",
            Self::ReadBack => "read-back",
            Self::Supersede => "supersede",
            Self::RunLock => "run-lock",
            Self::CreateOnly => "create-only",
            Self::Generations => "generations",
            Self::CommittedStays => "committed-stays",
            Self::ClaimedDays => "claimed-days",
            Self::GiveBackFence => "give-back-fence",
            Self::Order => "order",
            Self::Checksum => "checksum",
            Self::Budget => "budget",
        }
    }

    /// Whether it stands: it always does.
    #[cfg(not(feature = "unguarded"))]
    pub const fn stands(self) -> bool {
        true
    }

    /// Whether it stands, or was taken away.
    #[cfg(feature = "unguarded")]
    pub fn stands(self) -> bool {
        !off().contains(&self)
    }
}

/// The guards of a list with commas.
///
/// # Panics
/// When there is no guard of such a name: whoever meant to take one away must hear of it.
#[cfg(any(test, feature = "unguarded"))]
fn named(list: &str) -> Vec<Guard> {
    let names = list.split(',').filter(|name| !name.is_empty());
    let find = |name: &str| Guard::ALL.into_iter().find(|guard| guard.name() == name);
    names.map(|name| find(name).unwrap_or_else(|| panic!("there is no guard `{name}`"))).collect()
}

/// The guards that this process does without, read once.
#[cfg(feature = "unguarded")]
fn off() -> &'static [Guard] {
    static OFF: std::sync::OnceLock<Vec<Guard>> = std::sync::OnceLock::new();
    OFF.get_or_init(|| named(&std::env::var("NSTORE_UNGUARDED").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "unguarded"))]
    #[test]
    fn an_ordinary_build_has_no_switch() {
        const STANDS: bool = Guard::LedgerKey.stands();
        const { assert!(STANDS, "known before the program runs") }
        assert!(Guard::ALL.into_iter().all(Guard::stands));
    }

    #[test]
    fn guards_are_named_by_a_list() {
        assert_eq!(named(""), []);
        assert_eq!(named("order,ledger-key"), [Guard::Order, Guard::LedgerKey]);
    }

    #[test]
    #[should_panic(expected = "no guard `ledger`")]
    fn a_guard_that_is_not_there_is_no_guard_taken_away() {
        named("order,ledger");
    }
}
