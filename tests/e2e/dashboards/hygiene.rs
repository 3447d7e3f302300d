//! Browsers that hang, crash and are killed, and workers that are: the rows are right, and nothing stays behind.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use nstore_tests::context::{Process, process::binary};
use nstore_tests::simulator::{
    Api, Options,
    faults::{Fault, FaultKind},
    log::Request,
};
use rustix::process::{Pid, Signal, kill_process};

use super::{NAME, Portal, text};
use crate::house::{LONG, eventually};

const RUN: &str =
    "extract --start-date 2025-08-01 --end-date 2025-08-06 --sources network_observability --upload";

/// No process and no folder of a browser is left.
async fn assert_nothing_left(house: &crate::house::House) {
    eventually(|| async { house.browsers().0.is_empty().then_some(()) }).await;
    assert_eq!(house.browsers().1, Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_browsers_and_workers_leave_nothing_and_lose_nothing() {
    let portal = Portal::new(Options { latency: Duration::from_millis(100), ..Options::default() }).await;
    let house = portal.house;
    let job = house.nstore(RUN).start();
    // in the middle of a chunk
    eventually(|| async { (house.simulator.requests().len() >= 6).then_some(()) }).await;
    let (pids, profiles) = house.browsers();
    let folder = profiles.first().expect("the worker's folder");
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    for pid in pids {
        // some end with the first
        let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
    }
    let committed =
        || async { (!house.files(NAME, &house.runs().pop()?, ".g1.json").is_empty()).then_some(()) };
    eventually(committed).await;
    // and then the worker, with all that it has
    portal.worker.kill9();
    eventually(|| async { house.browsers().0.is_empty().then_some(()) }).await;
    assert!(!house.browsers().1.is_empty(), "what a killed worker leaves");
    let heir = house.browser_worker(1).start();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}\n{}", exit.stdout, exit.stderr, heir.stderr());
    house.assert_equal(&[Api::NetworkObservability], "2025-08-01", "2025-08-06").await;
    assert!(heir.stderr().contains("removed what a killed worker left"), "{}", heir.stderr());
    heir.sigterm();
    let exit = heir.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert_nothing_left(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_killed_while_its_page_waits_for_an_answer_is_missed_at_once() {
    let portal = Portal::new(Options::default()).await;
    let house = portal.house;
    house.edit("sources/network_observability.yaml", "step: 8s", "step: 60s");
    let late = Fault { delay_ms: 600_000, ..Fault::new(NAME, FaultKind::Slow).after(1) };
    house.simulator.fault(late);
    let job = house
        .nstore("extract --start-date 2025-08-01 --end-date 2025-08-02 --sources network_observability")
        .start();
    let queried = |request: &Request| request.path.ends_with("/querydata");
    eventually(|| async { house.simulator.requests().iter().any(queried).then_some(()) }).await;
    // the filter is set soon; then the page waits for what that chose
    tokio::time::sleep(Duration::from_secs(4)).await;
    for pid in house.browsers().0 {
        // some end with the first
        let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
    }
    let exit = job.wait_exit(LONG).await;
    let log = portal.worker.stderr();
    assert_eq!(exit.code, Some(0), "{}\n{}\n{log}", exit.stdout, exit.stderr);
    assert!(log.contains("the browser is gone") && !log.contains("lane failed"), "{log}");
    let run = house.runs().pop().unwrap();
    assert_eq!(text(&house.markers(NAME, &run)[0], "/grant/attempt"), "2", "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_hangs_and_one_that_eats_all_memory_end_in_time_and_are_read_by_the_next_browser() {
    let portal = Portal::new(Options::default()).await;
    portal.house.edit("sources/network_observability.yaml", "step: 8s", "step: 3s");
    portal.house.edit("sources/network_observability.yaml", "    timeout: 30s\n", "");
    for (kind, first, last) in
        [(FaultKind::Hang, "2025-08-01", "2025-08-02"), (FaultKind::Oom, "2025-08-03", "2025-08-04")]
    {
        portal.house.simulator.fault(Fault::new(NAME, kind).on(first.parse().unwrap()));
        let markers = portal.good(first, last).await;
        assert_eq!(text(&markers[0], "/grant/attempt"), "2", "{kind:?}: {}", portal.worker.stderr());
    }
    let log = portal.worker.stderr();
    assert!(log.contains("the page hung"), "{log}");
    assert!(log.contains("its scripts may hold 1280 MiB"), "a crash is no time-out: {log}");
    portal.assert_equal("2025-08-01", "2025-08-04").await;
    portal.worker.sigterm();
    assert_eq!(portal.worker.wait_exit(LONG).await.code, Some(0));
    assert_nothing_left(&portal.house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_in_the_middle_of_a_visit_gives_its_chunk_back_at_once() {
    let portal = Portal::new(Options { latency: Duration::from_millis(500), ..Options::default() }).await;
    let house = portal.house;
    drop(portal.worker);
    let worker = house.browser_worker(1).args(["--grace", "1s"]).start();
    let job = house.nstore(RUN).start();
    // while it signs in
    eventually(|| async { (house.simulator.requests().len() >= 2).then_some(()) }).await;
    worker.sigterm();
    let ended = worker.wait_exit(LONG).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("released"), "{}", ended.stderr);
    assert_nothing_left(&house).await;
    let heir = house.browser_worker(1).start();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}\n{}", exit.stdout, exit.stderr, heir.stderr());
    let run = house.runs().pop().unwrap();
    for marker in house.markers(NAME, &run) {
        assert_eq!(text(&marker, "/grant/attempt"), "1", "{}", heir.stderr());
    }
    house.assert_equal(&[Api::NetworkObservability], "2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_takes_too_long_is_given_up_and_tried_again_in_another_browser() {
    let portal = Portal::new(Options::default()).await;
    let quick = "timeouts: { step: 8s, login: 20s }";
    portal.house.edit("sources/network_observability.yaml", quick, "timeouts: { step: 60s, chunk: 10s }");
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::Hang).on("2025-08-01".parse().unwrap()));
    let markers = portal.good("2025-08-01", "2025-08-02").await;
    let log = portal.worker.stderr();
    assert_eq!(text(&markers[0], "/grant/attempt"), "2", "{log}");
    assert!(log.contains("longer than 10 s (`timeouts.chunk`)"), "{log}");
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_in_the_middle_of_a_visit_and_the_worker_goes_on_with_the_next() {
    let portal = Portal::new(Options { latency: Duration::from_millis(500), ..Options::default() }).await;
    let job = portal.house.nstore(RUN).start();
    let run = portal.house.newest_run().await;
    // while it signs in
    eventually(|| async { (portal.house.simulator.requests().len() >= 2).then_some(()) }).await;
    portal.house.good(&format!("cancel {run}")).await;
    let exit = job.wait_exit(LONG).await;
    assert_ne!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    // the browser at work ends with its visit
    eventually(|| async { portal.house.browsers().0.is_empty().then_some(()) }).await;
    assert_eq!(portal.house.files(NAME, &run, ".csv"), Vec::<std::path::PathBuf>::new());
    portal.good("2025-08-01", "2025-08-02").await;
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_browser_starts_no_more_leaves_its_chunks_to_others_and_no_try_is_counted() {
    let portal = Portal::new(Options::default()).await;
    let house = portal.house;
    drop(portal.worker);
    // it is well when it is tried out, and later it is not
    let ill = house.context.dir.join("ill");
    let script = "#!/bin/sh\ncase \"$*\" in *remote-debugging-pipe*) echo 'no room' >&2; exit 1;; esac\n\
                  exec chromium \"$@\"\n";
    std::fs::write(&ill, script).unwrap();
    std::fs::set_permissions(&ill, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut ill = house.browser_worker(1).env("NSTORE_BROWSER_BINARY", &ill).start();
    let job = house.nstore(RUN).start();
    ill.wait_for("left to other workers: this host cannot do it now", LONG).await;
    let run = house.newest_run().await;
    eventually(|| async {
        let status = house.run(&format!("status {run}")).await.stdout;
        status.contains("chromium does not start: no room").then_some(())
    })
    .await;
    let well = house.browser_worker(1).start();
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}\n{}", exit.stdout, exit.stderr, well.stderr());
    for marker in house.markers(NAME, &run) {
        assert_eq!(text(&marker, "/grant/attempt"), "1", "{}\n{}", ill.stderr(), well.stderr());
    }
    house.assert_equal(&[Api::NetworkObservability], "2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_the_worker_says_what_to_install_and_ends() {
    let portal = Portal::new(Options::default()).await;
    let house = portal.house;
    let none = house.browser_worker(1).env("PATH", "/nonexistent").run(LONG).await;
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("apt-get install chromium"), "{}", none.stderr);
    let broken = house.context.dir.join("broken");
    std::fs::write(
        &broken,
        "#!/bin/sh\necho 'chromium: error while loading shared libraries: libnss3.so: gone' >&2\nexit 127\n",
    )
    .unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = house.browser_worker(1).env("NSTORE_BROWSER_BINARY", &broken).run(LONG).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("libnss3.so is missing"), "{}", ended.stderr);
    std::fs::write(&broken, "#!/bin/sh\nexit 3\n").unwrap();
    let ended = house.browser_worker(1).env("NSTORE_BROWSER_BINARY", &broken).run(LONG).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for said in [broken.to_str().unwrap(), "exit status: 3", "apt-get install --reinstall chromium"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let odd = house.browser_worker(1).env("NSTORE_BROWSER_SANDBOX", "maybe").run(LONG).await;
    assert_eq!(odd.code, Some(2), "{}", odd.stderr);
    assert!(odd.stderr.contains("NSTORE_BROWSER_SANDBOX is `maybe`"), "{}", odd.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_browsers_is_small_and_says_so() {
    let ended = Process::new("nstore-worker-api").args(["--kind", "browser"]).run(LONG).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for said in ["made without the feature `browser`", "kind api", "default features"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let size = |name: &str| std::fs::metadata(binary(name)).unwrap().len();
    let (without, with) = (size("nstore-worker-api"), size("nstore-worker"));
    assert!(without < with * 9 / 10, "{without} bytes without, {with} with");
}

/// The inodes of the TCP sockets that listen where this process is.
fn listening(pid: u32) -> Vec<String> {
    let table = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let sockets = table("tcp") + &table("tcp6");
    let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|fields| fields.get(3) == Some(&"0A")).map(|fields| fields[9].to_owned()).collect()
}

/// What a process has open, such as `socket:[4711]`.
fn opened(pid: u32) -> Vec<String> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| Some(std::fs::read_link(file.path()).ok()?.to_string_lossy().into_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_of_the_host_can_talk_to_a_browser() {
    let portal = Portal::new(Options { latency: Duration::from_millis(100), ..Options::default() }).await;
    let house = &portal.house;
    let job = house.nstore(RUN).start();
    // in the middle of a chunk, signed in
    eventually(|| async { (house.simulator.requests().len() >= 6).then_some(()) }).await;
    let pids = house.browsers().0;
    let lines =
        pids.iter().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    assert!(lines.into_iter().any(|line| line.contains("--remote-debugging-")), "a browser is under way");
    // the test itself sees its own listening socket in this way
    let seen = |pid: u32| -> Vec<String> {
        let listening = listening(pid);
        let ports = |file: &String| listening.iter().any(|inode| *file == format!("socket:[{inode}]"));
        opened(pid).into_iter().filter(ports).collect()
    };
    assert!(!seen(std::process::id()).is_empty(), "the simulator listens");
    for pid in pids.into_iter().chain([portal.worker.pid()]) {
        assert_eq!(seen(pid), Vec::<String>::new(), "process {pid} takes connections");
    }
    let exit = job.wait_exit(LONG).await;
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
}
