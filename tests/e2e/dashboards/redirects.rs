//! Dashboards that lead to another origin: by themselves that is refused, by a step of the source it is right.

use super::pages::{Pages, rows};

/// Leads to the rows under another name of the same server, which is another origin.
const AWAY: &str = "location.href = 'http://localhost:PORT/rows'";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_leads_to_another_origin_by_itself_is_refused_with_both_names() {
    let pages = Pages::new(&[]).await;
    pages.page("/rows", &rows(7));
    pages.page("/scripted", &format!("<script>{AWAY}</script>"));
    pages.page("/late", &format!("<p id=p>soon</p><script>setTimeout(() => {AWAY}, 1500)</script>"));
    let other = pages.url.replace("127.0.0.1", "localhost");
    let refusal = format!("redirected from {} to another origin, {other}, which is not followed", pages.url);
    for (path, steps) in
        [("/redirects", &[][..]), ("/scripted", &[]), ("/late", &[]), ("/late", &["wait_for: \"#t\""])]
    {
        let attempt = pages.bad(path, "", steps, &["config: ", &refusal]).await;
        assert_eq!(attempt, "1", "{path}: the file is to be corrected, another try is in vain");
    }
    assert!(pages.table("value").await.is_empty(), "nothing of it was read");

    // what the source does itself is what it wants
    pages.page("/link", &format!("<a id=go href='#' onclick=\"{AWAY}\">report</a>"));
    pages.good("/link", "", &["click: \"#go\"", "wait_for: \"#t\""]).await;
    assert_eq!(pages.table("value").await, ["7.0000", "7.0000"]);
}
