//! The shipped units for systemd: they are sound, start what there is, and wait for what is in hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nstore_tests::context::{Process, Scratch, process::binary};

const LIMIT: Duration = Duration::from_secs(60);

/// Each unit's name and text.
fn units() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd");
    let mut units: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    units.sort();
    assert_eq!(units.len(), 3, "{units:?}");
    units
}

fn value<'a>(unit: &'a str, name: &str) -> &'a str {
    let line = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in\n{unit}"))
}

/// The program and the arguments of a unit.
fn command(unit: &str) -> (String, Vec<String>) {
    let mut words = value(unit, "ExecStart").split_whitespace().map(str::to_owned);
    let program = words.next().unwrap();
    (program.strip_prefix("/usr/local/bin/").unwrap().to_owned(), words.collect())
}

/// Copies of the units that start the binaries of this build; those with an instance as the first of it.
fn installed(scratch: &Scratch) -> Vec<PathBuf> {
    let copy = |(name, text): (String, String)| {
        let (program, _) = command(&text);
        let here = binary(&program).display().to_string();
        let text = text.replace(&format!("/usr/local/bin/{program}"), &here);
        let path = scratch.path().join(name.replace('@', "@1"));
        fs::write(&path, text).unwrap();
        path
    };
    units().into_iter().map(copy).collect()
}

async fn verify(units: &[PathBuf]) -> (Option<i32>, String) {
    let exit = Process::new("/usr/bin/systemd-analyze").arg("verify").args(units).run(LIMIT).await;
    (exit.code, exit.stdout + &exit.stderr)
}

#[tokio::test]
async fn systemd_finds_no_fault_in_the_units() {
    let scratch = Scratch::new("units");
    let units = installed(&scratch);
    let (code, said) = verify(&units).await;
    assert_eq!((code, said.as_str()), (Some(0), ""), "{said}");
    // it does find faults
    let text = fs::read_to_string(&units[0]).unwrap();
    fs::write(&units[0], text.replace("NoNewPrivileges=yes", "NoNewPrivileges=perhaps")).unwrap();
    let (_, said) = verify(&units).await;
    assert!(said.contains("perhaps"), "{said}");
}

#[tokio::test]
async fn what_they_start_takes_these_arguments() {
    for (name, unit) in units() {
        let (program, args) = command(&unit);
        let exit = Process::new(&program).args(&args).arg("--help").run(LIMIT).await;
        assert_eq!(exit.code, Some(0), "{name}: {}", exit.stderr);
        let exit = Process::new(&program).args(&args).args(["--no-such-flag", "--help"]).run(LIMIT).await;
        assert_eq!(exit.code, Some(2), "{name}: an unknown flag is seen before --help");
    }
}

#[test]
fn systemd_waits_longer_than_the_worker_does() {
    for (name, unit) in units() {
        let patience: u64 = value(&unit, "TimeoutStopSec").parse().unwrap();
        let (_, args) = command(&unit);
        let grace = args.iter().position(|arg| arg == "--grace").map(|at| args[at + 1].trim_end_matches('s'));
        let grace: u64 = grace.map_or(0, |seconds| seconds.parse().unwrap());
        assert!(patience >= grace + 10, "{name}: {patience} s, but running chunks have {grace} s");
    }
}

#[test]
fn nothing_that_they_write_is_for_other_users() {
    for (name, unit) in units() {
        assert_eq!((value(&unit, "UMask"), value(&unit, "LimitCORE")), ("0077", "0"), "{name}");
    }
}
