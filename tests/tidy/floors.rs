//! Which room may import which: imports run downwards.

use super::{paths::named_paths, source::Source};

/// The members of the workspace whose rooms have floors, with the names of their crates.
const CRATES: [(&str, &str); 3] =
    [("shared", "nstore_shared"), ("coordinator", "nstore"), ("worker", "nstore_worker")];

/// A room and what it may import of this workspace, beside itself. A prefix of a path is enough.
type Row = (&'static str, &'static [&'static str]);

#[rustfmt::skip]
const FLOORS: [Row; 33] = [
    ("shared::chromium", &[]),
    ("shared::chunk", &[]),
    ("shared::retry", &[]),
    ("shared::config", &["shared::chunk", "shared::retry", "shared::contract"]),
    ("shared::contract", &["shared::chunk", "shared::retry", "shared::config::numbers", "shared::config::path",
        "shared::config::spec"]),
    // a grant is named alike in the queue and in markers
    ("shared::redis", &["shared::chunk", "shared::config", "shared::contract", "shared::guard", "shared::retry", "shared::storage::marker::GrantRef"]),
    ("shared::storage", &["shared::chunk", "shared::config", "shared::contract", "shared::guard", "shared::retry"]),
    ("shared::guard", &[]),
    ("shared::proven", &["shared::chunk", "shared::redis::queue", "shared::storage"]),
    ("shared::private", &[]),
    ("shared::telemetry", &["shared::terminal"]),
    ("shared::terminal", &[]),
    ("shared::health", &[]),

    // the manifest, which is part of storage, is what a plan is written into
    ("coordinator::plan", &["shared::chunk", "shared::config", "shared::contract", "shared::retry", "shared::storage"]),
    ("coordinator::db", &["shared::chunk", "shared::config", "shared::contract", "shared::guard", "shared::retry", "shared::storage"]),
    ("coordinator::load", &["coordinator::db", "shared::chunk", "shared::config", "shared::contract", "shared::guard", "shared::retry", "shared::storage"]),
    ("coordinator::run", &["coordinator::db", "coordinator::load", "coordinator::plan", "shared"]),
    ("coordinator::local", &["shared::chromium"]),
    ("coordinator::serve", &["coordinator::db", "coordinator::load", "coordinator::plan", "coordinator::run", "shared"]),
    ("coordinator::cli", &["coordinator::plan", "shared::chunk", "shared::config", "shared::retry", "shared::telemetry"]),
    ("coordinator::commands", &["coordinator", "shared"]),
    ("coordinator::main", &["coordinator", "shared"]),
    ("coordinator::lib", &["coordinator"]),

    // of Redis it knows two doors: where logins are shared, and where requests get their time
    ("worker::extract", &["shared::chromium", "shared::chunk", "shared::config", "shared::contract", "shared::guard",
        "shared::retry", "shared::redis::budget", "shared::redis::vault", "shared::storage::marker"]),
    // the door alone: what a page is, not how it was come by
    ("worker::refine", &["worker::extract::Expected", "worker::extract::Page", "worker::extract::PageFormat", "worker::extract::Span",
        "shared::chunk", "shared::config", "shared::contract", "shared::retry", "shared::storage::marker"]),
    ("worker::engine", &["worker::extract", "worker::refine", "shared"]),
    ("worker::probe", &["worker::extract", "worker::refine", "shared"]),
    ("worker::cli", &["shared::chunk", "shared::config", "shared::telemetry"]),
    ("worker::commands", &["worker", "shared"]),
    ("worker::main", &["worker", "shared"]),
    ("worker::lib", &["worker"]),

    ("shared::lib", &["shared"]),
    ("tests", &["coordinator", "shared", "tests", "worker"]),
];

/// Every import that runs upwards or sideways, as `(line, what is wrong)`.
pub(super) fn upward_imports(source: &Source) -> Vec<(usize, String)> {
    let Some(own) = Place::of(&source.path) else { return Vec::new() };
    let Some((_, allowed)) = FLOORS.iter().find(|(room, _)| *room == own.room()) else {
        return vec![(1, format!("the room `{}` has no row in the table of floors", own.room()))];
    };
    let mut faults = Vec::new();
    for path in named_paths(source) {
        let Some(target) = own.resolve(&path.parts) else { continue };
        let fits = |prefix: &str| target == prefix || target.starts_with(&format!("{prefix}::"));
        if !fits(&own.room()) && !allowed.iter().any(|prefix| fits(prefix)) {
            faults.push((path.line, format!("`{}` must not import `{target}`", own.room())));
        }
    }
    faults
}

/// Where a file stands: its member, and its modules from the crate's root on.
struct Place {
    member: &'static str,
    modules: Vec<String>,
    root: Option<&'static str>,
}

impl Place {
    /// `None` for files outside the three crates of rooms.
    fn of(path: &str) -> Option<Self> {
        let (member, _) = CRATES.iter().find(|(member, _)| path.starts_with(&format!("{member}/src/")))?;
        let inside = path.strip_prefix(member)?.strip_prefix("/src/")?.strip_suffix(".rs")?;
        let root = ["main", "lib"].into_iter().find(|root| *root == inside);
        let inside = inside.strip_suffix("/mod").unwrap_or(inside);
        let modules =
            if root.is_some() { Vec::new() } else { inside.split('/').map(str::to_owned).collect() };
        Some(Self { member, modules, root })
    }

    fn room(&self) -> String {
        let room = self.root.or(self.modules.first().map(String::as_str)).unwrap_or_default();
        format!("{}::{room}", self.member)
    }

    /// The path as `member::room::…`; `None` when it leads out of the workspace.
    fn resolve(&self, parts: &[String]) -> Option<String> {
        let supers = parts.iter().take_while(|part| *part == "super").count();
        let (member, above, rest) = match parts[0].as_str() {
            "crate" => (self.member, &[][..], &parts[1..]),
            "self" => (self.member, &self.modules[..], &parts[1..]),
            "super" => {
                let kept = self.modules.len().checked_sub(supers)?;
                (self.member, &self.modules[..kept], &parts[supers..])
            }
            name => {
                let (member, _) = CRATES.iter().find(|(_, crate_name)| *crate_name == name)?;
                (*member, &[][..], &parts[1..])
            }
        };
        let whole: Vec<&str> =
            [member].into_iter().chain(above.iter().chain(rest).map(String::as_str)).collect();
        Some(whole.join("::"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        upward_imports(&Source::new(path, text))
            .into_iter()
            .map(|(line, what)| format!("{line}: {what}"))
            .collect()
    }

    #[test]
    fn an_upward_import_is_found_however_it_is_written() {
        for (line, text) in [
            (1, "use crate::load::Loader;"),
            (2, "use crate::{\n    load::Loader};"),
            (1, "use super::super::load::Loader;"),
            (3, "use crate::db::Db;\n\nfn f(_: crate::load::Loader) {}"),
        ] {
            let wrong = format!("{line}: `coordinator::db` must not import `coordinator::load::Loader`");
            assert_eq!(faults("coordinator/src/db/x.rs", text), [wrong], "{text}");
        }
    }

    #[test]
    fn the_binaries_never_import_each_other() {
        assert_eq!(faults("coordinator/src/commands/x.rs", "use nstore_worker::extract::Page;").len(), 1);
        assert_eq!(faults("worker/src/main.rs", "fn f() { nstore::cli::go() }").len(), 1);
        assert_eq!(faults("shared/src/redis/mod.rs", "use crate::storage::Storage;").len(), 1);
    }

    #[test]
    fn downward_imports_and_tests_are_free() {
        assert!(
            faults("coordinator/src/run/x.rs", "use crate::{db::Db, load::Loader};\nuse super::Board;")
                .is_empty()
        );
        assert!(
            faults("shared/src/chunk.rs", "#[cfg(test)]\nmod tests {\n use crate::redis::Queue;\n}")
                .is_empty()
        );
        assert!(faults("worker/src/refine/x.rs", "use crate::extract::{Page, Span};").is_empty());
        assert_eq!(faults("worker/src/refine/x.rs", "use crate::extract::api::Client;").len(), 1);
    }

    #[test]
    fn a_new_room_needs_a_row() {
        assert_eq!(faults("shared/src/attic.rs", "").len(), 1);
    }
}
