//! Answers in parts, and exported files as reports write them.

use std::collections::BTreeMap;

use super::{Answer, HTML, JSON, Site, evidence, numbered};

/// A page that asks for these addresses one after the other, with a pause after each, and draws nothing.
fn asking(urls: &str, pause: u64) -> String {
    format!(
        "<!doctype html><title>Report</title><h1>Report</h1><a id=csv href=/rows.csv>Export</a><script>
(async () => {{ for (const url of {urls}) {{ await (await fetch(url)).text(); await new Promise((done) => setTimeout(done, {pause})); }} }})()</script>"
    )
}

fn rows(from: usize, to: usize) -> Vec<u8> {
    let row = |n: usize| {
        format!("{{\"id\": \"{n}\", \"at\": \"2025-08-01 10:00:00\", \"more\": [{{\"v\": \"v{n}\"}}]}}")
    };
    let rows: Vec<String> = (from..=to).map(row).collect();
    format!("{{\"result\": [{{\"rows\": [{}]}}], \"took\": {from}}}", rows.join(",")).into_bytes()
}

fn answer(path: &str, query: &BTreeMap<String, String>) -> (&'static str, Vec<u8>) {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    match path {
        "/api/rows" => (JSON, rows(number("offset") + 1, (number("offset") + 10).min(25))),
        "/api/days" => (JSON, rows(10 * number("day") + 1, 10 * number("day") + 5)),
        "/api/same" => (JSON, rows(1, 10)),
        "/api/null" => (JSON, b"{\"result\": [{\"rows\": null}]}".to_vec()),
        "/parts" => (HTML, asking("['/api/rows?offset=0', '/api/rows?offset=10', '/api/rows?offset=20']", 500).into()),
        "/twice" => (HTML, asking("['/api/rows?offset=0&_=1', '/api/rows?offset=10', '/api/rows?offset=20', '/api/rows?offset=10&_=2']", 500).into()),
        "/first" => (HTML, asking("['/api/rows?offset=0']", 500).into()),
        "/gap" => (HTML, asking("['/api/rows?offset=0', '/api/rows?offset=20']", 100).into()),
        "/views" => (HTML, asking("['/api/days?day=1', '/api/days?day=2']", 100).into()),
        "/ignored" => (HTML, asking("['/api/same?offset=0', '/api/same?offset=10']", 100).into()),
        "/null" => (HTML, asking("['/api/null']", 100).into()),
        "/rows.csv" => {
            let text = b"Orders of August\r\nmade by M\xfcller\r\n\r\nid;at;v\r\n1;2025-08-01 10:00:00;v1\r\n2;2025-08-01 11:00:00;caf\xe9\r\nTotal;;2\r\n";
            ("text/csv", text.to_vec())
        }
        _ => (HTML, b"<!doctype html>nothing".to_vec()),
    }
}

fn response(url: &str) -> String {
    format!(
        "lanes: [response], response: {{ url: {url}, format: json, records: \"result[0].rows\", names: {{ v: \"more.0.v\" }}, cap: 10 }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_parts_is_all_of_its_parts_or_a_failure() {
    let site = Site::new(answer as Answer).await;
    for page in ["/parts", "/twice"] {
        let (marker, rows) = site.good(page, &response("/api/rows"), "").await;
        assert_eq!(rows, numbered(25), "{page}");
        let shown = evidence(&marker);
        assert!(shown.contains("below_cap") && shown.contains("\"rows\":5"), "{page}: {shown}");
    }
    // one part that is as large as it can be
    site.fails("/first", &response("/api/rows"), "", "data", &["10 are all that can"]).await;
    site.fails("/gap", &response("/api/rows"), "", "transient", &["rows are missing"]).await;
    site.fails("/ignored", &response("/api/same"), "", "transient", &["ignore which part"]).await;
    site.fails("/null", &response("/api/null"), "", "transient", &["null in place of the records"]).await;
    let views = ["2 different questions", "`query.day`", "`parts: newest`"];
    site.fails("/views", &response("/api/days"), "", "config", &views).await;
    let newest = response("/api/days").replace("cap:", "parts: newest, cap:");
    let (_, rows) = site.good("/views", &newest, "").await;
    assert_eq!(rows, ["21=v21", "22=v22", "23=v23", "24=v24", "25=v25"]);
    // a path that leads nowhere names what is there
    let lost = response("/api/rows").replace("result[0]", "results[0]");
    site.fails("/first", &lost, "", "config", &["`results` is not among result, took"]).await;
    // of two lanes that fail the first one is told first, and decides
    let two = lost.replace("lanes: [response]", "lanes: [response, grid], grid: { selector: table }");
    site.fails(
        "/first",
        &two,
        "",
        "config",
        &["response: the answer has no array", "grid: no grid to be seen"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_read_as_it_is_written() {
    let site = Site::new(answer as Answer).await;
    let export = |layout: &str| {
        format!("lanes: [export], export: {{ clicks: [\"#csv\"], format: csv, delimiter: \";\", {layout} }}")
    };
    let (_, rows) =
        site.good("/first", &export("encoding: windows-1252, header_row: 4, skip_footer: 1"), "").await;
    assert_eq!(rows, ["1=v1", "2=café"]);
    let (_, rows) =
        site.good("/first", &export("encoding: latin1, header_row: 4, drop_rows: [Total]"), "").await;
    assert_eq!(rows, ["1=v1", "2=café"]);
    site.fails(
        "/first",
        &export("header_row: 4"),
        "",
        "config",
        &["line 2", "not valid UTF-8", "`encoding`"],
    )
    .await;
    let above = export("encoding: latin1, skip_footer: 1");
    site.fails("/first", &above, "", "config", &["say `header_row: 4`"]).await;
}
