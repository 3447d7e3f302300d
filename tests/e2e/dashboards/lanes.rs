//! Each lane brings the same rows; the next one is the fallback; what is cut off is split.

use nstore_tests::simulator::{
    Options,
    faults::{Fault, FaultKind},
};

use super::{NAME, Portal, text};

const COLUMNS: &str = "      columns: [timestamp, metric, value, status]\n";
const RESPONSE: &str = "      response: { url: /querydata, format: dsr, names: { timestamp: Network.Timestamp, metric: Network.Metric, value: Network.Value, status: Network.Status } }\n";
const CLICKS: &str =
    "clicks: [\"[aria-label='More options']\", \"text=Export data\", \"//button[text()='Export']\"]";
const NAMES: &str = "names: { timestamp: Timestamp, metric: Metric, value: Value, status: Status }";
const GRID_FORMATS: &str = "formats: { timestamp: \"%m/%d/%Y %I:%M:%S %p\", value: \"1,234.56\" }";

fn csv() -> String {
    format!(
        "      export: {{ {CLICKS}, format: csv, {NAMES}, formats: {{ timestamp: \"%Y-%m-%d %H:%M:%S\" }} }}\n"
    )
}

fn grid() -> String {
    format!("      grid: {{ selector: .pivotTable, {GRID_FORMATS} }}\n")
}

fn read(lanes: &str, how: &str) -> String {
    format!("  - read:\n      lanes: [{lanes}]\n{COLUMNS}{how}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lane_brings_the_truth() {
    let portal = Portal::new(Options::default()).await;
    let chosen = format!(
        "  - click: \"[aria-label='More options']\"\n  - click: text=Export data\n  - select: {{ selector: \"#exportFormat\", option: xlsx }}\n{}",
        read(
            "export",
            &format!("      export: {{ clicks: [\"//button[text()='Export']\"], format: xlsx, {NAMES} }}\n")
        )
    );
    let paged = format!(
        "{}  - paginate: {{ next: button.next }}",
        read("grid", &format!("      total: {{ selector: .rowcount }}\n{}", grid()))
    );
    let cases = [
        ("response", read("response", RESPONSE), "answer_complete"),
        ("export", read("export", &csv()), "below_cap"),
        ("export", chosen, "below_cap"),
        ("grid", read("grid", &grid()), "grid_row_count"),
        ("grid", paged, "total_agreed"),
    ];
    portal.house.simulator.fault(Fault::new(NAME, FaultKind::SlowDownload));
    for (at, (lane, read, evidence)) in cases.iter().enumerate() {
        if *evidence == "total_agreed" {
            portal.house.edit(
                "sources/network_observability.yaml",
                "/reports/network-obs\"",
                "/reports/network-obs?visual=table\"",
            );
        }
        portal.house.read_by(read);
        let (first, last) = (2 * at + 1, 2 * at + 2);
        let markers = portal.good(&format!("2025-08-{first:02}"), &format!("2025-08-{last:02}")).await;
        assert_eq!(text(&markers[0], "/outcome/lane"), *lane, "{:#}", markers[0]);
        let shown = text(&markers[0], "/outcome/evidence");
        assert!(shown.contains(evidence) && shown.contains("filter_shown"), "{shown}");
        assert_eq!(text(&markers[0], "/grant/attempt"), "1", "{}", portal.worker.stderr());
    }
    portal.assert_equal("2025-08-01", "2025-08-10").await;
    assert_eq!(portal.house.simulator.logins(), 1);
    assert_eq!(portal.house.simulator.pending_faults(), [], "a download that takes its time was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_fails_gives_way_to_the_next() {
    let portal = Portal::new(Options::default()).await;
    let on = |kind, day: &str| {
        portal.house.simulator.fault(Fault::new(NAME, kind).on(day.parse().unwrap()).times(9));
    };
    on(FaultKind::OdataError, "2025-08-01");
    let markers = portal.good("2025-08-01", "2025-08-02").await;
    assert_eq!(text(&markers[0], "/outcome/lane"), "export", "{}", portal.worker.stderr());
    // neither an answer nor an export: an error is never taken for rows
    portal.house.simulator.clear_faults();
    on(FaultKind::OdataError, "2025-08-03");
    on(FaultKind::ExportHtml, "2025-08-03");
    let exit = portal.extract("2025-08-03", "2025-08-04").await;
    assert_ne!(exit.code, Some(0), "{}", exit.stdout);
    portal.house.simulator.clear_faults();
    // the export alone fails: the grid is next
    portal.house.read_by(&read("export, grid", &format!("{}{}", csv(), grid())));
    on(FaultKind::ExportHtml, "2025-08-03");
    let markers = portal.good("2025-08-03", "2025-08-04").await;
    assert_eq!(text(&markers[0], "/outcome/lane"), "grid", "{}", portal.worker.stderr());
    // no item for it in the menu: likewise
    portal.house.simulator.clear_faults();
    portal.fault(FaultKind::NoExport);
    let markers = portal.good("2025-08-05", "2025-08-06").await;
    assert_eq!(text(&markers[0], "/outcome/lane"), "grid", "{}", portal.worker.stderr());
    portal.assert_equal("2025-08-01", "2025-08-06").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_export_is_split_by_days_and_never_cut_off() {
    // 36 rows a day: four days are cut, two are not
    let portal = Portal::new(Options { export_cap: Some(80), exact: true, ..Options::default() }).await;
    portal.house.read_by(&read("export", &csv().replace("format: csv,", "format: csv, cap: 80,")));
    portal.house.edit("sources/network_observability.yaml", "chunk_days: 2", "chunk_days: 4");
    let markers = portal.good("2025-08-01", "2025-08-04").await;
    let kinds: Vec<String> = markers.iter().map(|marker| text(marker, "/outcome/type")).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "split").count(), 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "committed").count(), 2, "{kinds:?}");
    portal.assert_equal("2025-08-01", "2025-08-04").await;
    // a single day that is cut cannot be split: it fails, and the day's rows stay
    portal.house.edit("sources/network_observability.yaml", "cap: 80", "cap: 30");
    let exit = portal.extract("2025-08-02", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    assert!(exit.stdout.contains("more were cut off"), "{}", exit.stdout);
    portal.assert_equal("2025-08-01", "2025-08-04").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_rows_is_read_from_a_grid_that_draws_only_what_is_in_view() {
    let data = tempfile::tempdir().unwrap();
    let rows =
        "timestamp,metric,value,status\n2025-08-01 10:00:00,calls,12.5,ok\n2025-08-03 11:00:00,calls,7,ok\n";
    std::fs::write(data.path().join("network_observability.csv"), rows).unwrap();
    let (data, date_column) = (Some(data.path().to_owned()), "timestamp".to_owned());
    let portal = Portal::new(Options { data, date_column, ..Options::default() }).await;
    portal.house.edit("sources/network_observability.yaml", "chunk_days: 2", "chunk_days: 1");
    portal.house.edit("sources/network_observability.yaml", "step: 8s", "step: 4s");
    let empty = format!("      allow_empty: true\n{}", grid());
    portal.house.read_by(&read("grid", &empty));
    let markers = portal.good("2025-08-01", "2025-08-03").await;
    let rows: Vec<String> = markers.iter().map(|marker| text(marker, "/outcome/rows")).collect();
    assert_eq!(rows, ["1", "0", "1"], "{}", portal.worker.stderr());
    assert_eq!(portal.house.number("SELECT count(*) FROM public.network_observability").await, 2);

    // without that word no row is a failure, told as such
    portal.house.edit("sources/network_observability.yaml", "      allow_empty: true\n", "");
    portal.house.edit(
        "sources/network_observability.yaml",
        "chunk_retry:",
        "chunk_attempts: 1\nchunk_retry:",
    );
    let exit = portal.extract("2025-08-02", "2025-08-02").await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    assert!(exit.stdout.contains("no row came") && !exit.stdout.contains("3 columns"), "{}", exit.stdout);

    // a visual that shows an error has no rows either: the lane before it knows
    portal.house.read_by(&read("response, grid", &format!("{RESPONSE}{empty}")));
    portal
        .house
        .simulator
        .fault(Fault::new(NAME, FaultKind::OdataError).on("2025-08-01".parse().unwrap()).times(9));
    let exit = portal.extract("2025-08-01", "2025-08-01").await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    assert!(exit.stdout.contains("no lane that works"), "{}", exit.stdout);
    assert_eq!(portal.house.number("SELECT count(*) FROM public.network_observability").await, 2);
}
