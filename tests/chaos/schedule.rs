//! What goes wrong, in which order, with what beside it: a function of the seed.

use std::{collections::BTreeSet, fmt};

/// The most faults that are at work at once.
const AT_ONCE: usize = 3;

/// Where a round's storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// A folder.
    Folder,
    /// A bucket.
    S3,
}

/// At which step of its work a worker is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Claimed,
    Fetching,
    Uploaded,
    Marked,
    Completing,
}

/// What may be done to the whole. The number of its class is that of the list in docs/reliability.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillWorker(Step),
    EndWorker,
    FreezeWorker,
    FreezeFleet,
    RedisKilled,
    RedisRolledBack,
    RedisEmptied,
    RedisFrozen,
    RedisFull,
    RepliesDropped,
    ConnectionsReset,
    HalfOpen,
    RedisSlow,
    RepliesCut,
    ManyReconnect,
    BackendKilled,
    PostgresKilled,
    CutAtCommit,
    TableLocked,
    LongReader,
    DatabaseFull,
    SecondLoader,
    KillCoordinator,
    KillSubmit,
    SubmitTogether,
    StoreRefuses,
    StoreSlow,
    StoreReplyLost,
    DiskFull,
    FlippedBit,
    ClockAhead,
    ClockBehind,
    ClockJumps,
    SourceRateLimits,
    SourceFails,
    SourceHangs,
    SourceHalfBody,
    SourceEndless,
    SourceBadJson,
    SourceDrifts,
    Poison,
    BrowserKilled,
    BrowserFrozen,
    TabOutOfMemory,
    Cancel,
    Flood,
    Scale,
    RedisClockBack,
    RedisClockJumps,
    KeysLost,
    PolicyEvicts,
    TwoModes,
    Unreadable,
}

/// What a fault is done to. Two faults at once are done to two different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Fleet,
    Redis,
    Postgres,
    Office,
    Store,
    Clock,
    Source,
    Browser,
}

const ALL: [Fault; 57] = {
    use Fault::*;
    [
        KillWorker(Step::Claimed),
        KillWorker(Step::Fetching),
        KillWorker(Step::Uploaded),
        KillWorker(Step::Marked),
        KillWorker(Step::Completing),
        EndWorker,
        FreezeWorker,
        FreezeFleet,
        RedisKilled,
        RedisRolledBack,
        RedisEmptied,
        RedisFrozen,
        RedisFull,
        RepliesDropped,
        ConnectionsReset,
        HalfOpen,
        RedisSlow,
        RepliesCut,
        ManyReconnect,
        BackendKilled,
        PostgresKilled,
        CutAtCommit,
        TableLocked,
        LongReader,
        DatabaseFull,
        SecondLoader,
        KillCoordinator,
        KillSubmit,
        SubmitTogether,
        StoreRefuses,
        StoreSlow,
        StoreReplyLost,
        DiskFull,
        FlippedBit,
        ClockAhead,
        ClockBehind,
        ClockJumps,
        SourceRateLimits,
        SourceFails,
        SourceHangs,
        SourceHalfBody,
        SourceEndless,
        SourceBadJson,
        SourceDrifts,
        Poison,
        BrowserKilled,
        BrowserFrozen,
        TabOutOfMemory,
        Cancel,
        Flood,
        Scale,
        RedisClockBack,
        RedisClockJumps,
        KeysLost,
        PolicyEvicts,
        TwoModes,
        Unreadable,
    ]
};

impl Fault {
    /// The number of its class.
    pub(crate) fn class(self) -> u8 {
        use Fault::*;
        match self {
            KillWorker(_) => 1,
            EndWorker => 2,
            FreezeWorker | FreezeFleet => 3,
            RedisKilled | RedisRolledBack | RedisEmptied | RedisFrozen | RedisFull => 4,
            RepliesDropped | ConnectionsReset | HalfOpen | RedisSlow | RepliesCut | ManyReconnect => 5,
            BackendKilled | PostgresKilled | CutAtCommit | TableLocked | LongReader | DatabaseFull => 6,
            SecondLoader | KillCoordinator | KillSubmit | SubmitTogether => 7,
            StoreRefuses | StoreSlow | StoreReplyLost | DiskFull | FlippedBit => 8,
            ClockAhead | ClockBehind | ClockJumps => 9,
            SourceRateLimits | SourceFails | SourceHangs | SourceHalfBody | SourceEndless | SourceBadJson
            | SourceDrifts => 10,
            Poison => 11,
            BrowserKilled | BrowserFrozen | TabOutOfMemory => 12,
            Cancel => 13,
            Flood => 14,
            Scale => 15,
            RedisClockBack | RedisClockJumps => 16,
            KeysLost | PolicyEvicts => 17,
            TwoModes => 18,
            Unreadable => 19,
        }
    }

    fn target(self) -> Target {
        match self.class() {
            1..=3 | 11 | 15 => Target::Fleet,
            4 | 5 | 16 | 17 => Target::Redis,
            6 => Target::Postgres,
            7 | 13 | 14 | 18 => Target::Office,
            8 | 19 => Target::Store,
            9 => Target::Clock,
            10 => Target::Source,
            _ => Target::Browser,
        }
    }

    /// Whether Redis forgets something: leases may overlap then, for one lease.
    pub(crate) fn loses_redis(self) -> bool {
        use Fault::*;
        matches!(
            self,
            RedisKilled
                | RedisRolledBack
                | RedisEmptied
                | RedisClockBack
                | RedisClockJumps
                | KeysLost
                | PolicyEvicts
        )
    }

    fn fits(self, store: Store) -> bool {
        match self {
            Self::StoreRefuses | Self::StoreSlow | Self::StoreReplyLost => store == Store::S3,
            Self::DiskFull | Self::FlippedBit | Self::Unreadable => store == Store::Folder,
            _ => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {} {self:?}", self.class())
    }
}

/// A round's faults: each group is at work at once, and the next one waits until all has gone on.
pub(crate) fn of(rng: &mut fastrand::Rng, store: Store, faults: usize) -> Vec<Vec<Fault>> {
    let mut deck: Vec<Fault> = vec![];
    let mut groups = vec![];
    let mut left = faults;
    while left > 0 {
        let size = rng.usize(1..=AT_ONCE.min(left));
        let mut group: Vec<Fault> = vec![];
        let mut hit = BTreeSet::new();
        while group.len() < size {
            if deck.is_empty() {
                deck = ALL.into_iter().filter(|fault| fault.fits(store)).collect();
                rng.shuffle(&mut deck);
            }
            // a fault of a target that is hit already waits for another group
            let Some(at) = deck.iter().position(|fault| !hit.contains(&fault.target())) else { break };
            let fault = deck.remove(at);
            hit.insert(fault.target());
            group.push(fault);
        }
        left -= group.len();
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_function_of_its_seed_and_leaves_no_kind_of_fault_out() {
        for store in [Store::Folder, Store::S3] {
            let make = |seed| of(&mut fastrand::Rng::with_seed(seed), store, 200);
            assert_eq!(make(7), make(7));
            assert_ne!(make(7), make(8));
            let groups = make(7);
            let dealt: Vec<Fault> = groups.concat();
            assert_eq!(dealt.len(), 200);
            for fault in ALL.into_iter().filter(|fault| fault.fits(store)) {
                assert!(dealt.iter().filter(|other| **other == fault).count() >= 3, "{fault}");
            }
            for group in groups {
                let targets: BTreeSet<Target> = group.iter().map(|fault| fault.target()).collect();
                assert_eq!(targets.len(), group.len(), "{group:?}");
            }
        }
    }
}
