//! The way in: each of its pages, refusals that are told as such, and one login for the whole fleet.

use nstore_tests::context::Running;
use nstore_tests::simulator::{
    Options,
    faults::{Fault, FaultKind},
};

use super::{NAME, Portal, text};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_page_the_login_shows_it_gets_in_once() {
    let portal = Portal::new(Options::default()).await;
    portal.fault(FaultKind::AccountPicker);
    portal.fault(FaultKind::StaySignedIn);
    portal.good("2025-08-01", "2025-08-04").await;
    portal.assert_equal("2025-08-01", "2025-08-04").await;
    assert_eq!(portal.house.simulator.logins(), 1, "{}", portal.worker.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_the_middle_is_made_anew_once_and_the_chunk_goes_on() {
    let portal = Portal::new(Options::default()).await;
    let fault = Fault::new(NAME, FaultKind::SessionExpired).on("2025-08-03".parse().unwrap());
    portal.house.simulator.fault(fault);
    let markers = portal.good("2025-08-01", "2025-08-06").await;
    portal.assert_equal("2025-08-01", "2025-08-06").await;
    assert_eq!(portal.house.simulator.logins(), 2, "{}", portal.worker.stderr());
    for marker in &markers {
        assert_eq!(text(marker, "/grant/attempt"), "1", "{}", portal.worker.stderr());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_serves_all_workers_that_share_a_key() {
    let portal = Portal::new(Options::default()).await;
    drop(portal.worker);
    let house = portal.house;
    house.edit("sources/network_observability.yaml", "max_sessions: 1", "max_sessions: 4");
    house.edit("sources/network_observability.yaml", "execution: sequential", "execution: parallel");
    house.edit("sources/network_observability.yaml", "chunk_days: 2", "chunk_days: 1");
    let key = "6f".repeat(16) + &"1a".repeat(16);
    let workers = [1, 2].map(|_| house.browser_worker(1).env("NSTORE_VAULT_KEY", &key).start());
    house
        .good(&format!("extract --start-date 2025-08-01 --end-date 2025-08-06 --sources {NAME} --upload"))
        .await;
    house
        .assert_equal(&[nstore_tests::simulator::Api::NetworkObservability], "2025-08-01", "2025-08-06")
        .await;
    let log = workers.iter().map(Running::stderr).collect::<Vec<_>>().join("\n");
    assert_eq!(house.simulator.logins(), 1, "{log}");
    let run = house.runs().pop().unwrap();
    let hands: std::collections::BTreeSet<String> =
        house.markers(NAME, &run).iter().map(|marker| text(marker, "/grant/worker")).collect();
    assert_eq!(hands.len(), 2, "both took part: {hands:?}\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_told_as_such_and_not_tried_again_and_again() {
    let portal = Portal::new(Options::default()).await;
    for (fault, says) in
        [(FaultKind::Mfa, "asks for a second factor"), (FaultKind::MoreInformation, "sign in once by hand")]
    {
        portal.fault(fault);
        let exit = portal.extract("2025-08-01", "2025-08-02").await;
        assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, portal.worker.stderr());
        assert!(exit.stdout.contains(says), "{}", exit.stdout);
        portal.house.simulator.clear_faults();
    }
    let before = portal.house.simulator.requests().len();
    drop(portal.worker);
    let house = portal.house;
    let worker = house.browser_worker(1).env("NSTORE_SECRET_POWERBI_PASSWORD", "wrong-canary").start();
    let command = format!("extract --start-date 2025-08-01 --end-date 2025-08-02 --sources {NAME} --upload");
    let exit = house.run(&command).await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, worker.stderr());
    assert!(exit.stdout.contains("password is incorrect"), "{}", exit.stdout);
    assert!(!exit.stdout.contains("wrong-canary") && !worker.stderr().contains("wrong-canary"));
    let tried = house.simulator.requests()[before..]
        .iter()
        .filter(|request| request.path == "/powerbi/login" && request.method == "POST")
        .count();
    assert_eq!(tried, 1, "a wrong password is tried once: more would lock the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_typed_into_a_page_of_somebody_else() {
    let portal = Portal::new(Options::default()).await;
    // a login that leads to another origin, as a captive portal does
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = format!("{}/powerbi", portal.house.simulator.url);
    let redirect = axum::Router::new().fallback(move || {
        let target = target.clone();
        async move { axum::response::Redirect::temporary(&target) }
    });
    let server = tokio::spawn(async move { axum::serve(listener, redirect).await });
    let file = "sources/network_observability.yaml";
    portal.house.edit(
        file,
        "  url: \"${POWERBI_URL:-https://app.powerbi.com}\"",
        &format!("  url: \"http://{address}\""),
    );
    let exit = portal.extract("2025-08-01", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, portal.worker.stderr());
    assert!(exit.stdout.contains("secrets go to") && exit.stdout.contains("auth"), "{}", exit.stdout);
    let posts = portal.house.simulator.requests().into_iter().filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 0, "nothing was typed");
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_is_another_login_and_none_of_either_is_written_at_any_level() {
    let portal = Portal::new(Options::default()).await;
    drop(portal.worker);
    let house = portal.house;
    let key = "6f".repeat(16) + &"1a".repeat(16);
    let worker = || house.browser_worker(1).env("NSTORE_VAULT_KEY", &key);
    let run = |day: &str| format!("extract --start-date {day} --end-date {day} --sources {NAME} --upload");
    let first = worker().env("NSTORE_LOG", "trace,headless_chrome::browser::tab=trace").start();
    house.good(&run("2025-08-01")).await;
    let log = first.stderr();
    assert!(log.contains("DEBUG"), "much was asked for");
    for (name, value) in house.simulator.env() {
        assert!(!name.contains("PASSWORD") || !log.contains(&value), "{name} is written");
    }
    assert!(!log.contains("portal_session"), "a cookie is written");
    drop(first);
    // the session is there still, and is not theirs
    let wrong = worker().env("NSTORE_SECRET_POWERBI_PASSWORD", "wrong-canary").start();
    let exit = house.run(&run("2025-08-02")).await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, wrong.stderr());
    assert!(exit.stdout.contains("password is incorrect"), "{}", exit.stdout);
    drop(wrong);
    let _heir = worker().start();
    house.good(&run("2025-08-02")).await;
    assert_eq!(house.simulator.logins(), 1, "the first one's session serves on");
}
