//! The steps of a path that lead through lists. Pure.

use nstore_shared::config::path::{PathStep, find};
use serde_json::value::RawValue;

use super::fields::Slot;

/// Follows steps from a column's raw value on. An entry that a list does not have by its number is null; one that no
/// entry's field tells is absent.
pub(super) fn follow<'de>(slot: Slot<'de>, steps: &[PathStep]) -> Slot<'de> {
    let Slot::Raw(raw) = slot else { return slot };
    let Ok(mut at) = serde_json::from_str::<&'de RawValue>(raw) else {
        return Slot::Blocked("a value that cannot be read");
    };
    for step in steps {
        let shape = at.get().as_bytes().first();
        match (step, shape) {
            (_, Some(b'n')) => return Slot::Raw("null"),
            (PathStep::Key(_), Some(b'{' | b'[')) | (PathStep::Where { .. }, Some(b'[')) => {}
            (PathStep::Where { .. }, Some(b'{')) => return Slot::Blocked("an object"),
            (_, Some(b'"')) => return Slot::Blocked("a text"),
            (_, Some(b't' | b'f')) => return Slot::Blocked("a boolean"),
            _ => return Slot::Blocked("a number"),
        }
        at = match (find(std::slice::from_ref(step), at), step, shape) {
            (Ok(Some(next)), ..) => next,
            (Ok(None), PathStep::Key(key), Some(b'[')) if key.parse::<usize>().is_ok() => {
                return Slot::Raw("null");
            }
            (Ok(None), PathStep::Key(_), Some(b'[')) => return Slot::Blocked("a list"),
            (Ok(None), ..) => return Slot::Absent,
            (Err(_), ..) => return Slot::Blocked("a value that cannot be read"),
        };
    }
    Slot::Raw(at.get())
}

#[cfg(test)]
mod tests {
    use nstore_shared::config::path::FieldPath;

    use super::*;

    #[test]
    fn steps_lead_through_lists() {
        let raw = r#"[{"name":"a","value":1,"tags":[]},{"name":"b","value":null},7]"#;
        let found = |text: &str| {
            let path: FieldPath = format!("x{text}").parse().unwrap();
            follow(Slot::Raw(raw), &path.steps()[1..])
        };
        assert_eq!(found("[name=a].value"), Slot::Raw("1"));
        assert_eq!(found("[0].value"), Slot::Raw("1"));
        assert_eq!(found("[name=b].value"), Slot::Raw("null"));
        assert_eq!(found("[name=b].value.deeper"), Slot::Raw("null"));
        assert_eq!(found("[name=z].value"), Slot::Absent, "a name that is misspelt");
        assert_eq!(found("[0].valeu"), Slot::Absent);
        assert_eq!(found("[9].value"), Slot::Raw("null"), "a list that is too short");
        assert_eq!(found("[0].tags.0"), Slot::Raw("null"));
        assert_eq!(found("[2].value"), Slot::Blocked("a number"));
        assert_eq!(found("[0].name.0"), Slot::Blocked("a text"));
        assert_eq!(found("[0][name=a]"), Slot::Blocked("an object"));
        assert_eq!(found(".first"), Slot::Blocked("a list"));
        for other in [Slot::Absent, Slot::Blocked("a text"), Slot::Raw("null")] {
            let path: FieldPath = "x[0]".parse().unwrap();
            assert_eq!(follow(other, &path.steps()[1..]), other);
        }
    }
}
