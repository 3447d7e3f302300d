//! "Did you mean": the nearest of the names that would have been right. Pure.

/// Names of the replaced program, and what they are called here.
const ALIASES: [(&str, &str); 1] = [("razorpay", "buyer_razorpay")];

/// What a source of the replaced program is called here.
pub fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

/// What a source was called in the replaced program, if its name is another one now.
pub(super) fn old_name(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(_, new)| *new == name).map(|(old, _)| *old)
}

/// The name that was most likely meant, if any is near enough.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let near = |name: &str| strsim::damerau_levenshtein(&typed, &name.to_lowercase());
    let (distance, name) = names.into_iter().map(|name| (near(name), name)).min_by_key(|(far, _)| *far)?;
    // one slip in short words, one more for every four letters: more would be guessing
    (distance <= 1 + typed.chars().count() / 4 && distance < typed.chars().count()).then_some(name)
}

/// The hint for an unknown name: the nearest one, else all of them after `label`.
pub(super) fn hint(typed: &str, label: &str, names: &[&str]) -> Option<String> {
    match nearest(typed, names.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if names.is_empty() => None,
        None => Some(format!("{label}: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let keys = ["granularity", "bounds", "params", "format"];
        assert_eq!(nearest("granularty", keys), Some("granularity"));
        assert_eq!(nearest("Format", keys), Some("format"));
        assert_eq!(nearest("fromat", keys), Some("format"));
        assert_eq!(nearest("paginator", keys), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(hint("x", "keys", &keys).unwrap(), "keys: granularity, bounds, params, format");
    }
}
