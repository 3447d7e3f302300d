//! The house rules, each held by a test that names the offending file and line.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/source.rs"]
mod source;

use paths::named_paths;
use source::{Source, workspace};

/// What is wrong in one file, by line.
type Rule = fn(&Source) -> Vec<(usize, String)>;

/// Crates that only some rooms may name: the prefixes of their files.
const ROOMS_OF_CRATES: [(&str, &[&str]); 12] = [
    ("redis", &["shared/src/redis/"]),
    ("deadpool_redis", &["shared/src/redis/"]),
    ("tokio_postgres", &["coordinator/src/db/", "coordinator/src/load/", "tests/"]),
    ("postgres_types", &["coordinator/src/db/", "coordinator/src/load/", "tests/"]),
    ("deadpool_postgres", &["coordinator/src/db/", "coordinator/src/load/"]),
    ("tokio_postgres_rustls", &["coordinator/src/db/"]),
    ("refinery_core", &["coordinator/src/db/"]),
    ("reqwest", &["worker/src/extract/api/", "coordinator/src/serve/notify", "tests/"]),
    ("headless_chrome", &["worker/src/extract/browser/"]),
    ("tungstenite", &["worker/src/extract/browser/chrome/bridge.rs"]),
    ("object_store", &["shared/src/storage/"]),
    ("anyhow", &["coordinator/src/commands/", "coordinator/src/main.rs", "worker/src/main.rs", "tests/"]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "helpers", "common", "misc", "types", "models"];

/// Files that are pure whether they say so or not. All others that say `Pure` at their top are held to it as well.
const PURE: [&str; 3] = ["shared/src/chunk.rs", "shared/src/retry.rs", "coordinator/src/plan/"];

/// Where the programs' own code lies.
const CRATES_OF_PROGRAMS: [&str; 3] = ["shared/src/", "coordinator/src/", "worker/src/"];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;

/// Fails with every finding of the rule in the workspace.
fn holds(rule: Rule) {
    let sources = workspace();
    assert!(sources.len() > 20, "only {} files found: the rule would hold for nothing", sources.len());
    let mut faults: Vec<String> = sources.iter().flat_map(|source| findings(rule, source)).collect();
    faults.dedup();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn findings(rule: Rule, source: &Source) -> Vec<String> {
    rule(source).into_iter().map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect()
}

/// How often the rule finds fault with a sample.
fn count(rule: Rule, path: &str, text: &str) -> usize {
    rule(&Source::new(path, text)).len()
}

fn crates_outside_their_room(source: &Source) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for path in named_paths(source) {
        let Some((name, rooms)) = ROOMS_OF_CRATES.iter().find(|(name, _)| *name == path.parts[0]) else {
            continue;
        };
        if !rooms.iter().any(|room| source.path.starts_with(room)) {
            faults.push((path.line, format!("the crate `{name}` belongs to {} alone", rooms.join(", "))));
        }
    }
    faults
}

#[test]
fn crates_stay_in_their_rooms() {
    holds(crates_outside_their_room);
    for text in
        ["use redis::Client;", "fn f() { redis::cmd(\"\"); }", "use {std::fs, redis};", "extern crate redis;"]
    {
        assert_eq!(count(crates_outside_their_room, "coordinator/src/run/x.rs", text), 1, "{text}");
        assert_eq!(count(crates_outside_their_room, "shared/src/redis/x.rs", text), 0, "{text}");
    }
    for text in ["use nstore_shared::redis::Queue;", "use nstore_shared::redis;\nfn f(_: redis::Queue) {}"] {
        assert_eq!(count(crates_outside_their_room, "coordinator/src/run/x.rs", text), 0, "{text}");
    }
    assert_eq!(count(crates_outside_their_room, "worker/src/x.rs", "use tokio_postgres::Client;"), 1);
    assert_eq!(count(crates_outside_their_room, "shared/src/redis/x.rs", "use object_store::path::Path;"), 1);
    assert_eq!(count(crates_outside_their_room, "worker/src/refine/x.rs", "type C = reqwest::Client;"), 1);
    assert_eq!(count(crates_outside_their_room, "worker/src/engine/x.rs", "use headless_chrome::Tab;"), 1);
}

#[test]
fn imports_run_downwards() {
    holds(floors::upward_imports);
}

fn impure(source: &Source) -> Vec<(usize, String)> {
    let says_so = source.header().split(|next: char| !next.is_alphabetic()).any(|word| word == "Pure");
    if !says_so && !PURE.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for path in named_paths(source) {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        if matches!(parts[..], ["tokio", ..] | ["std", "fs" | "env" | "net" | "process" | "thread", ..]) {
            faults.push((path.line, format!("a pure file uses `{}`", parts.join("::"))));
        }
    }
    let clocks = source.production().filter(|(_, code)| code.contains("now()"));
    faults.extend(clocks.map(|(line, _)| (line, "a pure file asks a clock".to_owned())));
    faults
}

#[test]
fn pure_files_touch_nothing() {
    holds(impure);
    for text in
        ["use tokio::time;", "use std::{env, fmt};", "fn f() { std::fs::read(p); }", "let t = Utc::now();"]
    {
        assert_eq!(count(impure, "coordinator/src/plan/x.rs", text), 1, "{text}");
        assert_eq!(
            count(impure, "worker/src/x.rs", &format!("//! A room. Pure: no clock.\n{text}")),
            1,
            "{text}"
        );
        assert_eq!(count(impure, "worker/src/x.rs", &format!("//! A room.\n{text}")), 0, "{text}");
    }
    assert_eq!(count(impure, "shared/src/chunk.rs", "use std::fmt;\nfn f(now: DateTime<Utc>) {}"), 0);
}

fn empty_name(source: &Source) -> Vec<(usize, String)> {
    let names = source.path.trim_end_matches(".rs").split('/');
    let empty = names.filter(|name| EMPTY_NAMES.contains(name));
    empty.map(|name| (1, format!("`{name}` says nothing: name it after what it is about"))).collect()
}

#[test]
fn names_say_what_is_inside() {
    holds(empty_name);
    assert_eq!(count(empty_name, "shared/src/utils.rs", ""), 1);
    assert_eq!(count(empty_name, "shared/src/common/mod.rs", ""), 1);
    assert_eq!(count(empty_name, "shared/src/uncommon.rs", ""), 0);
}

fn silent_about_itself(source: &Source) -> Vec<(usize, String)> {
    let opens = source.comments.first().and_then(|line| line.strip_prefix("//! "));
    if opens.is_some_and(|text| text.len() > 10) {
        return Vec::new();
    }
    vec![(1, "the first line is no `//!` that says what the file is for".to_owned())]
}

#[test]
fn every_file_says_what_it_is_for() {
    holds(silent_about_itself);
    assert_eq!(count(silent_about_itself, "shared/src/x.rs", "use a::b;\n//! Too late to say it.\n"), 1);
    assert_eq!(count(silent_about_itself, "shared/src/x.rs", "//!\n"), 1);
    assert_eq!(count(silent_about_itself, "shared/src/x.rs", "//! What it is for.\n"), 0);
}

fn long_file(source: &Source) -> Vec<(usize, String)> {
    let lines = source.production().count();
    if lines <= LONGEST_FILE {
        return Vec::new();
    }
    vec![(lines, format!("{lines} lines besides tests, more than {LONGEST_FILE}"))]
}

#[test]
fn files_stay_short() {
    holds(long_file);
    let lines = "fn f() {}\n".repeat(LONGEST_FILE);
    assert_eq!(count(long_file, "shared/src/x.rs", &lines), 0);
    assert_eq!(count(long_file, "shared/src/x.rs", &format!("{lines}#[cfg(test)]\nmod tests {{\n\n}}\n")), 0);
    assert_eq!(count(long_file, "shared/src/x.rs", &format!("{lines}fn g() {{}}\n")), 1);
}

/// Counts as clippy's `too_many_lines` does: the lines with code between the braces of a function.
fn long_function(source: &Source) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let (mut depth, mut open, mut declared) = (0, Vec::<(usize, usize, usize)>::new(), None);
    for (line, code) in source.production() {
        if !code.trim().is_empty() {
            open.iter_mut().for_each(|function| function.2 += 1);
        }
        for word in code.split_inclusive(|next: char| !next.is_alphanumeric() && next != '_') {
            if word == "fn " {
                declared = Some((line, depth));
            }
            match word.chars().last() {
                Some('{') => {
                    // a brace deeper than the `fn` belongs to its signature
                    if let Some((start, _)) = declared.take_if(|(_, at)| *at == depth) {
                        open.push((start, depth, 0));
                    }
                    depth += 1;
                }
                Some('}') => {
                    depth -= 1;
                    if let Some((start, _, lines)) = open.pop_if(|function| function.1 == depth)
                        && lines > LONGEST_FUNCTION + 1
                    {
                        faults.push((start, format!("{} lines in one function", lines - 1)));
                    }
                }
                Some(';') => declared = declared.filter(|(_, at)| *at != depth),
                _ => {}
            }
        }
    }
    faults
}

#[test]
fn functions_stay_short() {
    holds(long_function);
    let function =
        |lines: usize| format!("impl A {{\nfn f(\n) {{\n{}}}\n}}\n", "    g(|| {});\n".repeat(lines));
    assert_eq!(count(long_function, "shared/src/x.rs", &function(LONGEST_FUNCTION)), 0);
    assert_eq!(count(long_function, "shared/src/x.rs", &function(LONGEST_FUNCTION + 1)), 1);
    let commented = function(LONGEST_FUNCTION).replacen("g(|| {});\n", "g(|| {});\n\n// why\n", 20);
    assert_eq!(count(long_function, "shared/src/x.rs", &commented), 0);
    let declared = format!("trait T {{ fn a(&self); }}\n{}", function(LONGEST_FUNCTION + 1));
    assert_eq!(count(long_function, "shared/src/x.rs", &declared), 1);
}

fn unfinished(source: &Source) -> Vec<(usize, String)> {
    let words = ["TODO", "FIXME"];
    let in_comments = source.comments.iter().enumerate().filter_map(|(index, text)| {
        let word = words.into_iter().find(|word| text.contains(word))?;
        Some((index + 1, format!("`{word}`: do it, or say in the code's own words what is not done")))
    });
    let in_code = source.code.iter().enumerate().filter_map(|(index, code)| {
        let word = ["todo!", "unimplemented!"].into_iter().find(|word| code.contains(word))?;
        Some((index + 1, format!("`{word}`: nothing is left for later")))
    });
    in_comments.chain(in_code).collect()
}

#[test]
fn nothing_is_left_for_later() {
    holds(unfinished);
    assert_eq!(count(unfinished, "shared/src/x.rs", "// TODO: later\nfn f() { todo!() }\n"), 2);
    assert_eq!(count(unfinished, "shared/src/x.rs", "let a = \"TODO\";\n"), 0);
}

fn silenced(source: &Source) -> Vec<(usize, String)> {
    let lines = source.code.iter().enumerate();
    let silenced = lines.filter(|(_, code)| code.contains("#[allow(") || code.contains("#![allow("));
    silenced.map(|(index, _)| (index + 1, "use `#[expect(lint, reason = ...)]`".to_owned())).collect()
}

#[test]
fn lints_are_not_switched_off() {
    holds(silenced);
    assert_eq!(count(silenced, "shared/src/x.rs", "#![allow(dead_code)]\n#[allow(unused)]\nfn f() {}\n"), 2);
    assert_eq!(count(silenced, "shared/src/x.rs", "#[expect(unused, reason = \"\")]\nfn f() {}\n"), 0);
}

/// What sources send is escaped on one way to a terminal: there is no other way.
fn past_the_terminal(source: &Source) -> Vec<(usize, String)> {
    let programs = CRATES_OF_PROGRAMS.iter().any(|prefix| source.path.starts_with(prefix));
    if !programs || source.path == "shared/src/terminal.rs" {
        return Vec::new();
    }
    let ways = ["println!", "print!", "eprint!", "dbg!", "io::stdout()", "io::stderr()"];
    let writes = |code: &str| ways.iter().any(|way| code.contains(way)) && !code.contains(".is_terminal()");
    let lines = source.production().filter(|(_, code)| writes(code));
    lines.map(|(line, _)| (line, "use `nstore_shared::terminal`, which escapes".to_owned())).collect()
}

#[test]
fn nothing_reaches_a_terminal_unescaped() {
    holds(past_the_terminal);
    for text in ["eprintln!(\"{x}\");", "println!();", "print!(\"\");", "writeln!(std::io::stderr(), \"\")?;"]
    {
        assert_eq!(count(past_the_terminal, "worker/src/x.rs", text), 1, "{text}");
        assert_eq!(count(past_the_terminal, "shared/src/terminal.rs", text), 0, "{text}");
    }
    let asks = "if std::io::stderr().is_terminal() {}";
    assert_eq!(count(past_the_terminal, "coordinator/src/x.rs", asks), 0);
}
