//! What goes wrong on dashboards: the right rows, or a loud failure that shows what it looked like.

use nstore_tests::simulator::{
    Options,
    faults::{Fault, FaultKind},
};

use super::{NAME, Portal, text};
use crate::house::LONG;

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_borne_and_the_rows_are_right() {
    let portal = Portal::new(Options::default()).await;
    let day = |at: usize| format!("2025-08-{:02}", 2 * at + 1);
    let next = |at: usize| format!("2025-08-{:02}", 2 * at + 2);
    let faults: [(FaultKind, u32); 9] = [
        (FaultKind::ErrorBurst, 2),
        (FaultKind::Html, 1),
        (FaultKind::NoFrame, 1),
        (FaultKind::FilterLost, 2),
        (FaultKind::SlicersSwapped, 1),
        (FaultKind::SeveralQueries, 2),
        (FaultKind::Restart, 1),
        (FaultKind::Dialog, 1),
        (FaultKind::ForeignFrame, 1),
    ];
    for (at, (kind, times)) in faults.into_iter().enumerate() {
        let fault = Fault::new(NAME, kind).times(times);
        portal.house.simulator.fault(if kind == FaultKind::Restart {
            fault.on(day(at).parse().unwrap())
        } else {
            fault
        });
        let markers = portal.good(&day(at), &next(at)).await;
        assert_eq!(text(&markers[0], "/grant/attempt"), "1", "{kind:?}: {}", portal.worker.stderr());
        assert_eq!(text(&markers[0], "/outcome/lane"), "response", "{kind:?}: {}", portal.worker.stderr());
        assert_eq!(portal.house.simulator.pending_faults(), [], "each was met");
    }
    portal.assert_equal("2025-08-01", &next(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_people_a_refused_query_and_a_report_of_others_are_told_as_what_they_are() {
    let portal = Portal::new(Options::default()).await;
    let file = "sources/network_observability.yaml";
    portal.house.edit(file, "chunk_retry:", "chunk_attempts: 1\nchunk_retry:");
    portal.house.edit(file, "step: 8s", "step: 2s");
    let fails = async |fault: Fault, says: &[&str]| {
        portal.house.simulator.fault(fault.times(99));
        let exit = portal.extract("2025-08-01", "2025-08-02").await;
        assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, portal.worker.stderr());
        for said in says {
            assert!(exit.stdout.contains(said), "{said}: {}", exit.stdout);
        }
        portal.house.simulator.clear_faults();
    };
    let answers =
        ["step 1 (goto)", "/powerbi/reports/network-obs", "answers 403 to a fresh login", "right to it"];
    let forbidden = Fault { status: Some(403), ..Fault::new(NAME, FaultKind::ErrorBurst) };
    fails(forbidden, &answers).await;
    assert_eq!(portal.house.simulator.logins(), 1, "a second login would change nothing");
    let page = [
        "its frame does not mount",
        "title `Service unavailable`",
        "heading `Sorry, the service is unavailable`",
    ];
    fails(Fault::new(NAME, FaultKind::Html), &page).await;
    let read = "  - read:\n      lanes: [response]\n      columns: [timestamp, metric, value, status]\n      response: { url: /querydata, format: dsr, names: { timestamp: Network.Timestamp, metric: Network.Metric, value: Network.Value, status: Network.Status } }";
    portal.house.read_by(read);
    fails(Fault::new(NAME, FaultKind::NoResponse), &["/querydata", "403"]).await;
    portal.good("2025-08-01", "2025-08-02").await;
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_pieces_that_holds_several_queries_is_put_together_from_the_right_one() {
    let portal = Portal::new(Options::default()).await;
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::SeveralQueries).times(2));
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::Restart).on("2025-08-01".parse().unwrap()));
    let markers = portal.good("2025-08-01", "2025-08-02").await;
    assert_eq!(text(&markers[0], "/outcome/lane"), "response", "{}", portal.worker.stderr());
    assert_eq!(text(&markers[0], "/grant/attempt"), "1", "{}", portal.worker.stderr());
    assert_eq!(portal.house.simulator.pending_faults(), [], "each was met");
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_is_down_is_named_at_the_login_and_at_the_report() {
    let portal = Portal::new(Options::default()).await;
    portal.house.edit(
        "sources/network_observability.yaml",
        "chunk_retry:",
        "chunk_attempts: 1\nchunk_retry:",
    );
    // a port that was free a moment ago
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = format!("extract --start-date 2025-08-01 --end-date 2025-08-02 --sources {NAME} --upload");
    let exit = portal.house.nstore(&run).env("POWERBI_URL", &dead).run(LONG).await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, exit.stderr);
    for said in [&*dead, "ERR_CONNECTION_REFUSED"] {
        assert!(exit.stdout.contains(said), "{said}: {}", exit.stdout);
    }
    assert!(!exit.stdout.contains("auth"), "nobody was refused: {}", exit.stdout);
    // the login is up, and the report is not
    let goto = "goto: \"${POWERBI_URL:-https://app.powerbi.com}";
    portal.house.edit("sources/network_observability.yaml", goto, &format!("goto: \"{dead}"));
    let exit = portal.house.run(&run).await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, exit.stderr);
    for said in ["step 1 (goto)", &*dead, "ERR_CONNECTION_REFUSED"] {
        assert!(exit.stdout.contains(said), "{said}: {}", exit.stdout);
    }
    portal.house.edit("sources/network_observability.yaml", &format!("goto: \"{dead}"), goto);
    portal.good("2025-08-01", "2025-08-02").await;
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_read_whole_whatever_its_row_count_says() {
    // more rows than the grid counts at first
    let portal = Portal::with(Options { rows_per_day: 400, ..Options::default() }).await;
    let grid = "  - read:\n      lanes: [grid]\n      columns: [timestamp, metric, value, status]\n      grid: { selector: .pivotTable, formats: { timestamp: \"%m/%d/%Y %I:%M:%S %p\", value: \"1,234.56\" } }";
    portal.house.read_by(grid);
    for (at, kind) in [FaultKind::WrongRowcount, FaultKind::GrowingRowcount].into_iter().enumerate() {
        portal.house.simulator.fault(Fault::new(NAME, kind).times(2));
        let markers =
            portal.good(&format!("2025-08-{:02}", 2 * at + 1), &format!("2025-08-{:02}", 2 * at + 2)).await;
        assert!(text(&markers[0], "/outcome/evidence").contains("scrolled_to_end"), "{:#}", markers[0]);
        assert_eq!(portal.house.simulator.pending_faults(), []);
    }
    portal.assert_equal("2025-08-01", "2025-08-04").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_selector_says_which_step_and_shows_the_page() {
    let portal = Portal::new(Options::default()).await;
    portal.house.edit("sources/network_observability.yaml", "label: Date Filter", "label: Dat Filter");
    portal.house.edit("sources/network_observability.yaml", "step: 8s", "step: 2s");
    portal.house.edit("sources/network_observability.yaml", "    timeout: 30s\n", "");
    portal.house.edit(
        "sources/network_observability.yaml",
        "chunk_retry:",
        "chunk_attempts: 2\nchunk_retry:",
    );
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::ForeignFrame).times(9));
    let exit = portal.extract("2025-08-01", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    for said in [
        "step 2 (apply_filter)",
        "no filter labelled Dat Filter",
        "title `Network observability`",
        "heading `Network figures`",
        "failures/network_observability/",
    ] {
        assert!(exit.stdout.contains(said), "{said}: {}", exit.stdout);
    }
    let run = portal.house.runs().pop().unwrap();
    let marker = portal.house.markers(NAME, &run).remove(0);
    let folder = portal.house.context.storage.dir.join(text(&marker, "/outcome/bundle"));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read("screenshot.png").starts_with(b"\x89PNG"));
    let frame = String::from_utf8(read("frame.html")).unwrap();
    assert!(frame.contains("Date Filter"), "what was on the page is there");
    let secrets = portal.house.simulator.env();
    let secret = |name: &str| secrets.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert!(String::from_utf8_lossy(&read("page.html")).contains("***"), "the page shows who is signed in");
    let files =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let texts: Vec<String> = files.filter(|name| name != "screenshot.png").collect();
    let all: Vec<u8> = texts.iter().flat_map(|name| read(name)).collect();
    let all = String::from_utf8_lossy(&all);
    assert!(all.contains("/powerbi/embed/network-obs?…"), "where the frame comes from is there");
    for token in portal.house.simulator.session_secrets() {
        assert!(!all.contains(&token), "a session's token stands in {texts:?}");
    }
    for name in ["NSTORE_SECRET_POWERBI_USERNAME", "NSTORE_SECRET_POWERBI_PASSWORD"] {
        assert!(!all.contains(&secret(name)), "{name} stands in the bundle");
    }
    let status = portal.house.good("status --json").await.stdout;
    assert!(status.contains(&text(&marker, "/outcome/bundle")), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_header_alone_and_an_expired_portal_are_no_success() {
    let portal = Portal::new(Options::default()).await;
    portal.house.edit(
        "sources/network_observability.yaml",
        "chunk_retry:",
        "chunk_attempts: 1\nchunk_retry:",
    );
    let export = "  - read:\n      lanes: [export]\n      columns: [timestamp, metric, value, status]\n      export: { clicks: [\"[aria-label='More options']\", \"text=Export data\", \"//button[text()='Export']\"], format: csv, names: { timestamp: Timestamp, metric: Metric, value: Value, status: Status }, formats: { timestamp: \"%Y-%m-%d %H:%M:%S\" } }";
    portal.house.read_by(export);
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::HeaderOnly).times(9));
    let exit = portal.extract("2025-08-01", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    assert!(exit.stdout.contains("allow_empty"), "{}", exit.stdout);
    portal.house.simulator.clear_faults();
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::ErrorBurst).times(9));
    let exit = portal.extract("2025-08-01", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}\n{}", exit.stdout, portal.worker.stderr());
    assert!(
        exit.stdout.contains("answers 503") && exit.stdout.contains("/powerbi/reports/network-obs"),
        "{}",
        exit.stdout
    );
    portal.house.simulator.clear_faults();
    portal.good("2025-08-01", "2025-08-02").await;
    portal.assert_equal("2025-08-01", "2025-08-02").await;
}
