//! A source that would like to write to the terminals of those who look at it.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{
    Json, Router,
    extract::Query,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use nstore_tests::context::Exit;
use serde_json::json;

use crate::house::{House, LONG};

/// Clears the screen, sets the title, moves the cursor, overwrites its line, turns the direction of text.
const ATTACK: &str = "\u{1b}[2J\u{1b}]0;canary\u{7}\u{9b}1A\r\u{202e}\u{2066}\u{7f}";
/// The first day in milliseconds, in the zone of the source: 2025-08-01.
const FIRST_DAY: i64 = 1_753_986_600_000;

#[derive(serde::Deserialize)]
struct Window {
    since_ms: i64,
}

/// The first day fails with an error body, the second one has other fields, the rows of all others do not fit.
async fn orders(Query(window): Query<Window>) -> Response {
    let order = json!({
        "order_id": ATTACK, "seller_id": "s", "state": "new", "gross": ATTACK, "created_ms": window.since_ms,
    });
    match (window.since_ms - FIRST_DAY) / 86_400_000 {
        0 => (StatusCode::BAD_REQUEST, format!("no such orders: {ATTACK}")).into_response(),
        1 => Json(json!({ ATTACK: { ATTACK: 1 }, "result": { ATTACK: [], "total": 1 } })).into_response(),
        _ => Json(json!({ "result": { "total": 1, "orders": [order] } })).into_response(),
    }
}

async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/seller/orders", get(orders));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// None of the attack is in there; returns whether its readable form is.
fn assert_harmless(what: &str, text: &str) -> bool {
    assert!(!text.contains(is_obeyed), "{what}: {text:?}");
    text.contains("\\u001b") && text.contains("canary")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_source_sends_reaches_a_terminal_as_it_is() {
    let mut house = House::with_rows(10).await;
    house.env.push(("SELLER_URL".into(), format!("http://{}", serve().await)));
    let worker = house.worker(2);
    let days = "--start-date 2025-08-01 --end-date 2025-08-03";
    let exit = house
        .run(&format!("extract {days} --sources seller_orders --chunk-sizes seller_orders:1 --upload"))
        .await;
    assert_eq!(exit.code, Some(1), "{}{}", exit.stdout, exit.stderr);
    let run = house.newest_run().await;
    let refused = format!("seller_orders/{run}/2025-08-03_2025-08-04");
    let commands = [
        format!("status {run}"),
        format!("status {run} --json"),
        "runs".to_owned(),
        "discarded list".to_owned(),
        "discarded list --json".to_owned(),
        format!("discarded show seller_orders/{run}/2025-08-01_2025-08-02"),
        format!("discarded show seller_orders/{run}/2025-08-02_2025-08-03"),
        format!("discarded show {refused}"),
        "rejects list".to_owned(),
        "rejects list --json".to_owned(),
        format!("rejects show {refused}"),
        format!("rejects show {refused} --json"),
        "config test-connections --sources seller_orders --date 2025-08-01".to_owned(),
        "config test-connections --sources seller_orders --date 2025-08-03 --json".to_owned(),
    ];
    let mut shown = vec!["extract".to_owned()];
    assert!(assert_harmless("extract", &(exit.stdout + &exit.stderr)));
    for command in &commands {
        let Exit { stdout, stderr, .. } = house.run(command).await;
        if assert_harmless(command, &(stdout + &stderr)) {
            shown.push(command.clone());
        }
    }
    for date in ["2025-08-01", "2025-08-02", "2025-08-03"] {
        let probe = house.worker_process_of(&format!("probe seller_orders --date {date}")).run(LONG).await;
        assert!(assert_harmless("probe", &(probe.stdout + &probe.stderr)), "{date}");
    }
    assert!(assert_harmless("the worker", &worker.stderr()), "{}", worker.stderr());
    // the attack was on its way to nearly all of them
    assert!(shown.len() >= commands.len() - 2, "{shown:#?}");
}
