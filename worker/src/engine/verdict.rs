//! What follows from a failed try of a chunk. Pure.

use std::time::Duration;

use nstore_shared::retry::FailureClass;

/// What is done with a chunk whose try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Another try follows after a back-off.
    Retry,
    /// The source asked for patience, or this host cannot do it now: another try after the wait, and this one does not
    /// count.
    Defer(Duration),
    /// No try can help, or none is left.
    Discard,
}

/// Decides by the failure's class alone, which try it was, how many there are, and the wait that it asks for.
pub fn decide(class: FailureClass, attempt: u32, attempts: u32, wait: Option<Duration>) -> Decision {
    match (class, wait) {
        (_, Some(wait)) if class.may_pass() => Decision::Defer(wait),
        _ if class.may_pass() && attempt < attempts => Decision::Retry,
        _ => Decision::Discard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_decides() {
        use FailureClass::{Auth, Config, Data, Poison, RateLimited, Transient};
        let wait = Duration::from_secs(7);
        assert_eq!(decide(Transient, 1, 3, None), Decision::Retry);
        assert_eq!(decide(Transient, 3, 3, None), Decision::Discard);
        assert_eq!(decide(RateLimited, 3, 3, Some(wait)), Decision::Defer(wait), "patience is no try");
        assert_eq!(
            decide(Transient, 3, 3, Some(wait)),
            Decision::Defer(wait),
            "a host's own trouble is no try"
        );
        assert_eq!(decide(RateLimited, 2, 3, None), Decision::Retry);
        assert_eq!(decide(RateLimited, 3, 3, None), Decision::Discard);
        for class in [Auth, Config, Data, Poison] {
            assert_eq!(decide(class, 1, 3, None), Decision::Discard, "{class}");
        }
    }
}
