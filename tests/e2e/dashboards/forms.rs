//! The shipped source on both forms of the report: in a frame with a query behind it, and as a plain table with pages.

use nstore_tests::simulator::{
    Form, Options,
    faults::{Fault, FaultKind},
};

use super::{NAME, Portal, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_source_reads_both_forms_of_the_report_alike() {
    let portal = Portal::new(Options { portal_form: Form::Former, exact: true, ..Options::default() }).await;
    // the first filter is lost on either form
    let lose = || portal.house.simulator.fault(Fault::new(NAME, FaultKind::FilterLost));
    lose();
    let markers = portal.good("2025-08-01", "2025-08-02").await;
    let log = portal.worker.stderr();
    assert_eq!(text(&markers[0], "/outcome/lane"), "grid", "{log}");
    assert_eq!(text(&markers[0], "/grant/attempt"), "1", "{log}");
    let pages: u64 = text(&markers[0], "/outcome/pages").parse().unwrap();
    assert!(pages >= 2, "72 rows are more than one page of 50: {:#}", markers[0]);
    assert!(text(&markers[0], "/outcome/evidence").contains("filter_shown"), "{:#}", markers[0]);
    portal.assert_equal("2025-08-01", "2025-08-02").await;
    // one day fits on one page, and then there is no pager
    let markers = portal.good("2025-08-03", "2025-08-03").await;
    assert_eq!(text(&markers[0], "/outcome/pages"), "1", "{:#}", markers[0]);
    portal.assert_equal("2025-08-01", "2025-08-03").await;
    // the same days by the present form: the same rows in the table
    portal.house.simulator.serve_form(Form::Present);
    lose();
    let markers = portal.good("2025-08-01", "2025-08-03").await;
    assert_eq!(text(&markers[0], "/outcome/lane"), "response", "{}", portal.worker.stderr());
    assert_eq!(portal.house.simulator.pending_faults(), [], "the lost filters were met");
    portal.assert_equal("2025-08-01", "2025-08-03").await;
}
