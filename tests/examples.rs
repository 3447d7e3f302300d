//! The examples, as a stranger runs them: each compares what arrived with where it came from.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nstore_tests::context::{Exit, Process, process::binary};

/// Making the virtual environment for the first time takes longest.
const LIMIT: Duration = Duration::from_secs(170);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a script of `examples/` with the binaries of this build.
async fn run(script: &str, args: &[&str], env: &[(&str, &str)]) -> Exit {
    let mut process = Process::new(root().join("examples").join(script).to_str().unwrap())
        .args(args)
        .env("NSTORE_BIN", binary("nstore").parent().unwrap());
    for (name, value) in env {
        process = process.env(name, *value);
    }
    process.run(LIMIT).await
}

/// Exit code 0, and so many lines that end in `equal`.
fn assert_equal(exit: &Exit, tables: usize) {
    let told = format!("{}\n{}", exit.stdout, exit.stderr);
    assert_eq!(exit.code, Some(0), "{told}");
    let equal = exit.stdout.lines().filter(|line| line.trim_end().ends_with("equal")).count();
    assert_eq!(equal, tables, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_six_equal_tables() {
    assert_equal(&run("demo/run", &["60"], &[]).await, 6);
}

/// Runs an example on the small shop that it makes up, then on the real one where it lies beside the repository
/// (without it the script would only repeat itself).
async fn both_shops(script: &str, tables: usize) {
    assert_equal(&run(script, &[], &[("OLIST_DIR", "/nonexistent")]).await, tables);
    if root().join("../shared/data/olist").is_dir() {
        assert_equal(&run(script, &[], &[]).await, tables);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_loaded_and_equals_its_files() {
    both_shops("datasette/run", 3).await;
    // in the same folder, so not at the same time
    a_strangers_own_file().await;
}

/// A table of someone's own, with a name and values that ask for care.
async fn a_strangers_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.sqlite");
    let script = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('create table \"Sales 2024/å\" (id integer primary key, \"When\" text, amount real, note text, picture blob)')
rows = [(i, None if i % 50 == 0 else f'2024-{1 + i % 12:02}-{1 + i % 28:02} 10:00:00', i / 4, None if i % 3 else f'n\\n{i}', b'x')
        for i in range(1, 1300)]
db.executemany('insert into \"Sales 2024/å\" values (?, ?, ?, ?, ?)', rows)
db.commit()";
    let made = Process::new("/usr/bin/env").args(["python3", "-c", script]).arg(&file).run(LIMIT).await;
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let exit = run("datasette/run", &[file.to_str().unwrap(), "Sales 2024/å", "When"], &[]).await;
    assert_equal(&exit, 1);
    assert!(exit.stderr.contains("`picture` is left out"), "{}", exit.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_behind_a_login_are_read_page_after_page() {
    both_shops("django/run", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_are_read_by_their_answers_and_by_their_tables() {
    both_shops("dash/run", 3).await;
}
