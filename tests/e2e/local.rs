//! One machine and nothing running: `--local` stops what it started however it ends, and goes on later.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nstore_tests::{
    context::try_to_say,
    simulator::{Api, Options},
};

use crate::house::{House, LONG, eventually};

const RUN: &str = "--local extract --start-date 2025-08-01 --end-date 2025-08-12 --sources buyer_orders,seller_orders \
                   --chunk-sizes buyer_orders:1,seller_orders:1 --upload";

/// Enough to do for a signal to come in the middle.
async fn slow_house() -> House {
    let latency = Duration::from_millis(60);
    House::with(Options { rows_per_day: 400, latency, ..Options::default() }).await
}

/// Waits until chunks are under way.
async fn is_under_way(house: &House) {
    eventually(|| async { (house.simulator.requests().len() >= 6).then_some(()) }).await;
}

/// The tables in `.nstore/` equal the truth, after `resume` went on with the newest run there.
async fn assert_resumed(house: &House) {
    let runs = good(house, &["--local", "runs", "--json"]).await;
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    good(house, &["--local", "resume", runs[0]["run"].as_str().unwrap()]).await;
    for api in [Api::BuyerOrders, Api::SellerOrders] {
        let truth = house.simulator.truth(api, "2025-08-01".parse().unwrap(), "2025-08-12".parse().unwrap());
        let sql = format!("SELECT count(*) FROM {}", api.name());
        let told = good(house, &["local", "psql", "--", "-Atc", &sql]).await;
        assert_eq!(told.trim().parse::<u64>().unwrap(), truth.rows, "{}", api.name());
    }
}

/// What `nstore` says, to an end with exit code 0.
async fn good(house: &House, args: &[&str]) -> String {
    let exit = house.local().args(args).run(LONG).await;
    assert_eq!(exit.code, Some(0), "nstore {args:?}\n{}\n{}", exit.stdout, exit.stderr);
    exit.stdout
}

/// No server or worker that works in this house's folder is left.
async fn assert_all_ended(house: &House) {
    let works_here = |entry: fs::DirEntry| {
        let cwd = fs::read_link(entry.path().join("cwd"));
        cwd.is_ok_and(|cwd| cwd.starts_with(&house.context.dir))
    };
    eventually(|| async {
        let working = fs::read_dir("/proc").unwrap().flatten().any(works_here);
        (!working).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_drains_and_stops_and_resume_goes_on() {
    let house = slow_house().await;
    let job = house.local().args(RUN.split_whitespace()).start();
    is_under_way(&house).await;
    job.sigint();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(3), "{}\n{}", exit.stdout, exit.stderr);
    assert!(exit.stderr.contains("nstore --local resume"), "{}", exit.stderr);
    assert_all_ended(&house).await;
    assert_resumed(&house).await;
    assert_all_ended(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_one_leaves_what_the_next_one_ends_and_goes_on_with() {
    let house = slow_house().await;
    let job = house.local().args(RUN.split_whitespace()).start();
    is_under_way(&house).await;
    job.kill9();
    assert_resumed(&house).await;
    assert_all_ended(&house).await;
}

/// Everything in and below a folder.
fn all_below(dir: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let below =
        entries.iter().filter(|path| path.is_dir() && !path.is_symlink()).flat_map(|dir| all_below(dir));
    entries.iter().cloned().chain(below).collect()
}

/// What other users may do with a file.
fn mode_for_others(path: &Path) -> u32 {
    // a server's temporary file may be gone by now
    fs::symlink_metadata(path).map_or(0, |found| found.mode() & 0o077)
}

/// Other users can list nothing in the folder of `--local`, and read none of its files.
fn assert_private(dir: &Path) {
    // started by root, PostgreSQL runs as another user, who passes through it
    let passable = if rustix::process::geteuid().is_root() { 0o011 } else { 0 };
    assert_eq!(mode_for_others(dir), passable);
    let open: Vec<PathBuf> = all_below(dir).into_iter().filter(|path| mode_for_others(path) != 0).collect();
    assert!(open.is_empty(), "{open:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_can_neither_read_its_files_nor_ask_its_redis() {
    let house = slow_house().await;
    let dir = house.context.dir.join(".nstore");
    let job = house.local().args(RUN.split_whitespace()).start();
    is_under_way(&house).await;

    let services: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("services.json")).unwrap()).unwrap();
    let (login, address) = services["redis_url"].as_str().unwrap().rsplit_once('@').unwrap();
    let password = login.strip_prefix("redis://:").unwrap();
    let answer = |command: &str| try_to_say(address, command).unwrap();
    assert!(answer("PING").starts_with("-NOAUTH"), "{}", answer("PING"));
    assert!(answer("AUTH wrong").starts_with("-WRONGPASS"), "{}", answer("AUTH wrong"));
    assert_eq!(answer(&format!("AUTH {password}")), "+OK\r\n");
    let lines = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let shown =
        |line: PathBuf| String::from_utf8_lossy(&fs::read(line).unwrap_or_default()).contains(password);
    assert!(!lines.into_iter().any(shown), "the password is in the list of processes");
    let limits = fs::read_to_string(format!("/proc/{}/limits", job.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().rev().take(3).collect::<Vec<_>>(), ["bytes", "0", "0"], "{core}");
    assert_private(&dir);

    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let runs: serde_json::Value =
        serde_json::from_str(&good(&house, &["--local", "runs", "--json"]).await).unwrap();
    let exported = good(&house, &["--local", "export", runs[0]["run"].as_str().unwrap()]).await;
    let file = exported.lines().next().unwrap().rsplit_once(" in ").unwrap().1;
    assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600, "{file}");
    assert_private(&dir);
}
