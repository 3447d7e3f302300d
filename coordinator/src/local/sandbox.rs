//! Whether private browsers run in their sandbox: a browser of root's has none.

/// The variable by which workers are told.
pub const VARIABLE: &str = "NSTORE_BROWSER_SANDBOX";
/// Its value without a sandbox.
pub const OFF: &str = "off";

/// A browser of this process's user cannot have its sandbox, and the user has not said what to do about it.
pub fn is_impossible() -> bool {
    impossible(
        rustix::process::geteuid().is_root(),
        std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()),
    )
}

fn impossible(root: bool, said: bool) -> bool {
    root && !said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_goes_without_and_only_where_nothing_else_is_said() {
        assert!(impossible(true, false));
        assert!(!impossible(true, true) && !impossible(false, false) && !impossible(false, true));
    }
}
