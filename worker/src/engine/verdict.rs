//! What follows from a failed try of a chunk. Pure.

use std::time::Duration;

use nstore_shared::retry::FailureClass;

use crate::extract::Excuse;

/// What is done with a chunk whose try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Another try follows after a back-off.
    Retry,
    /// The source is to be left alone: nobody tries it for the wait, and this try does not count.
    Defer(Duration),
    /// This host cannot do it now: others try it, and this try does not count.
    LeaveToOthers,
    /// No try can help, or none is left.
    Discard,
}

/// Decides by the failure's class alone, which try it was, how many there are, and its excuse.
pub fn decide(class: FailureClass, attempt: u32, attempts: u32, excuse: Option<Excuse>) -> Decision {
    match excuse {
        _ if !class.may_pass() => Decision::Discard,
        Some(Excuse::Patience(wait)) => Decision::Defer(wait),
        Some(Excuse::Host) => Decision::LeaveToOthers,
        None if attempt < attempts => Decision::Retry,
        None => Decision::Discard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_decides() {
        use FailureClass::{Auth, Config, Data, Poison, RateLimited, Transient};
        let wait = Duration::from_secs(7);
        let patience = Some(Excuse::Patience(wait));
        assert_eq!(decide(Transient, 1, 3, None), Decision::Retry);
        assert_eq!(decide(Transient, 3, 3, None), Decision::Discard);
        assert_eq!(decide(RateLimited, 3, 3, patience), Decision::Defer(wait), "patience is no try");
        let host = decide(Transient, 3, 3, Some(Excuse::Host));
        assert_eq!(host, Decision::LeaveToOthers, "a host's own trouble is no try");
        assert_eq!(decide(Config, 1, 3, patience), Decision::Discard, "waiting does not help");
        assert_eq!(decide(RateLimited, 2, 3, None), Decision::Retry);
        assert_eq!(decide(RateLimited, 3, 3, None), Decision::Discard);
        for class in [Auth, Config, Data, Poison] {
            assert_eq!(decide(class, 1, 3, None), Decision::Discard, "{class}");
        }
    }
}
