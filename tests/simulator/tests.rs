//! The simulator must not lie: pages together are the truth, in every dialect, whatever the window.

use chrono::Days;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::{
    calendar::{DAY_MS, days, midnight},
    cell::jsonb,
    faults::FaultKind,
    *,
};

const START: &str = "2025-07-30";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn dialect(api: Api) -> &'static dyn dialects::Dialect {
    dialects::ALL.into_iter().find(|dialect| dialect.api() == api).unwrap()
}

/// A request to an API with its secrets, and the parameters that a page needs.
fn ask(sim: &Simulator, api: Api, first: NaiveDate, last: NaiveDate) -> RequestBuilder {
    let client = Client::new();
    let at = |api| client.get(format!("{}{}", sim.url, dialect(api).path()));
    let token = |name| sim.hall.tokens.get(name).to_owned();
    let (start, end) = (midnight(first), midnight(last) + DAY_MS);
    let utc = |millis| calendar::local(millis).unwrap().to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let local = |millis| calendar::local(millis).unwrap().format("%d/%m/%Y %H:%M:%S").to_string();
    match api {
        Api::BuyerOrders => at(api)
            .bearer_auth(token("buyer_orders.token"))
            .query(&[("from", first.to_string()), ("to", last.to_string())]),
        Api::BuyerTickets => at(api)
            .header("X-Api-Key", token("buyer_tickets.api_key"))
            .query(&[("created_after", utc(start)), ("created_before", utc(end))]),
        Api::BuyerRazorpay => at(api)
            .basic_auth(token("razorpay.key_id"), Some(token("razorpay.key_secret")))
            .query(&[("from", start / 1000), ("to", end / 1000 - 1)]),
        Api::SellerOrders => at(api)
            .query(&[("api_key", token("seller_orders.api_key"))])
            .query(&[("since_ms", start), ("until_ms", end)]),
        Api::SellerTickets => at(api)
            .bearer_auth(token("seller_tickets.token"))
            .query(&[("from", local(start)), ("to", local(end))]),
        Api::NetworkObservability => unreachable!("a report is no API"),
    }
}

/// All records of a range, page by page.
async fn all(sim: &Simulator, api: Api, first: NaiveDate, last: NaiveDate) -> Vec<Value> {
    let mut records: Vec<Value> = vec![];
    let mut cursor: Option<String> = None;
    for n in 0.. {
        let request = ask(sim, api, first, last);
        let seen = records.len();
        let request = match (api, &cursor) {
            (Api::BuyerOrders, _) => request.query(&[("page", n + 1), ("per_page", 37)]),
            (Api::BuyerTickets, None) => request.query(&[("limit", 37)]),
            (Api::BuyerTickets, Some(cursor)) => {
                request.query(&[("limit", "37"), ("cursor", cursor.as_str())])
            }
            (Api::BuyerRazorpay, _) => request.query(&[("count", 37), ("skip", seen)]),
            (Api::SellerOrders, _) => request.query(&[("limit", 37), ("offset", seen)]),
            (Api::SellerTickets, _) => request.query(&[("page", n), ("size", 37)]),
            (Api::NetworkObservability, _) => request,
        };
        let body: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        let (pointer, _) = dialect(api).drifts();
        records.extend(body.pointer(pointer).unwrap().as_array().unwrap().iter().cloned());
        cursor = body["next_cursor"].as_str().map(str::to_owned);
        let more = match api {
            Api::BuyerOrders => n + 1 < body["meta"]["total_pages"].as_u64().unwrap(),
            Api::BuyerTickets => cursor.is_some(),
            Api::BuyerRazorpay => body["count"] == 37,
            Api::SellerOrders => {
                records.len() < usize::try_from(body["result"]["total"].as_u64().unwrap()).unwrap()
            }
            Api::SellerTickets => body["has_more"] == true,
            Api::NetworkObservability => false,
        };
        if !more {
            break;
        }
    }
    if api == Api::SellerTickets {
        // `to` means its own instant too, which is the next day's
        let end = calendar::local(midnight(last) + DAY_MS).unwrap().format("%d/%m/%Y %H:%M:%S").to_string();
        records.retain(|record| record["raised"] != end.as_str());
    }
    records
}

fn sorted(records: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(jsonb).collect();
    texts.sort_unstable();
    texts
}

/// What the APIs must give, straight from the stock.
fn expected(sim: &Simulator, api: Api, first: NaiveDate, last: NaiveDate) -> Vec<Value> {
    let slice = sim.hall.stock.slice(api, midnight(first)..midnight(last) + DAY_MS).unwrap();
    let view = stock::View { stock: &sim.hall.stock, api, slice };
    view.records(0, u64::MAX).into_iter().map(Value::Object).collect()
}

#[tokio::test]
async fn pages_together_are_the_truth() {
    let sim = start(Options { rows_per_day: 120, ..Options::default() }).await.unwrap();
    let (first, last) = (day(START), day(START) + Days::new(9));
    for api in Api::HTTP {
        let whole = all(&sim, api, first, last).await;
        assert_eq!(whole.len() as u64, sim.truth(api, first, last).rows, "{}", api.name());
        assert!(sorted(&whole) == sorted(&expected(&sim, api, first, last)), "{}", api.name());
        let mut by_day = vec![];
        for day in days(first, last) {
            by_day.extend(all(&sim, api, day, day).await);
        }
        assert!(sorted(&whole) == sorted(&by_day), "{}", api.name());
    }
}

#[tokio::test]
async fn the_same_truth_everywhere() {
    let sim = start(Options::default()).await.unwrap();
    let again = start(Options::default()).await.unwrap();
    let other = start(Options { seed: 1, ..Options::default() }).await.unwrap();
    for api in Api::ALL {
        let truth = |sim: &Simulator| sim.truth(api, day(START), day("2025-08-05"));
        assert_eq!(truth(&sim), truth(&again));
        assert_ne!(truth(&sim).checksum, truth(&other).checksum);
        let url = format!("{}/truth?source={}&start={START}&end=2025-08-05", sim.url, api.name());
        assert_eq!(reqwest::get(url).await.unwrap().json::<Truth>().await.unwrap(), truth(&sim));
    }
}

#[tokio::test]
async fn a_page_of_a_million_rows_is_quick() {
    let sim = start(Options { rows_per_day: 1_000_000, exact: true, ..Options::default() }).await.unwrap();
    let started = std::time::Instant::now();
    let request = ask(&sim, Api::BuyerOrders, day(START), day(START));
    let body: Value =
        request.query(&[("page", 20_000), ("per_page", 50)]).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["meta"]["total"], 1_000_000);
    assert_eq!(body["data"][49]["id"], "BO-20250730-0999999");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn wrong_secrets_and_parameters_are_refused() {
    let tokens = Tokens::default().with("seller_tickets.token", "another");
    let sim = start(Options { tokens, ..Options::default() }).await.unwrap();
    let client = Client::new();
    for api in Api::HTTP {
        let url = format!("{}{}", sim.url, dialect(api).path());
        assert_eq!(client.get(&url).bearer_auth("demo").send().await.unwrap().status(), 401, "{url}");
        let odd = ask(&sim, api, day(START), day(START)).query(&[("colour", "red")]);
        assert_eq!(odd.send().await.unwrap().status(), 400, "{url}");
        assert!(ask(&sim, api, day(START), day(START)).send().await.unwrap().status().is_success());
    }
    assert!(sim.env().contains(&("NSTORE_SECRET_SELLER_TICKETS_TOKEN".to_owned(), "another".to_owned())));
    let cursor = ask(&sim, Api::BuyerTickets, day(START), day(START)).query(&[("cursor", "00ff")]);
    assert_eq!(cursor.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn faults_come_when_ordered_and_end() {
    let sim = start(Options::default()).await.unwrap();
    let fault = |kind| Fault::new("buyer_orders", kind);
    let get = || ask(&sim, Api::BuyerOrders, day(START), day(START)).send();

    sim.fault(fault(FaultKind::RateLimit).after(1));
    assert_eq!(get().await.unwrap().status(), 200);
    let limited = get().await.unwrap();
    assert_eq!((limited.status().as_u16(), limited.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    sim.fault(Fault { status: Some(503), ..fault(FaultKind::ErrorBurst).times(2) });
    assert_eq!([get().await.unwrap().status(), get().await.unwrap().status()], [503, 503]);
    sim.fault(fault(FaultKind::HalfBody));
    assert!(get().await.unwrap().bytes().await.is_err());
    sim.fault(fault(FaultKind::BadJson));
    assert!(get().await.unwrap().json::<Value>().await.is_err());
    sim.fault(fault(FaultKind::Html));
    assert!(get().await.unwrap().text().await.unwrap().starts_with("<html>"));
    sim.fault(fault(FaultKind::Abort));
    assert!(get().await.is_err());
    sim.fault(fault(FaultKind::Drift));
    let body: Value = get().await.unwrap().json().await.unwrap();
    assert!(body["data"][0]["items_count"].is_string() && body["data"][1]["items_count"].is_number());
    sim.fault(fault(FaultKind::Hang));
    assert!(tokio::time::timeout(Duration::from_millis(200), get()).await.is_err());
    sim.fault(fault(FaultKind::Auth).on(day("2024-01-01")));
    assert_eq!(get().await.unwrap().status(), 200);

    let client = Client::new();
    let order = |body: &'static str| {
        client
            .post(format!("{}/faults", sim.url))
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let drift =
        r#"{"source": "seller_orders", "kind": "slow", "count": 3, "delay_ms": 1, "day": "2025-08-01"}"#;
    assert_eq!(order(drift).await.unwrap().status(), 201);
    assert_eq!(order(r#"{"source": "x", "kind": "slow"}"#).await.unwrap().status(), 404);
    assert!(
        order(r#"{"source": "seller_orders", "kind": "slow", "often": 1}"#)
            .await
            .unwrap()
            .status()
            .is_client_error()
    );
}

#[tokio::test]
async fn requests_are_logged_and_counted_at_once() {
    let sim = start(Options { latency: Duration::from_millis(100), ..Options::default() }).await.unwrap();
    let get = || ask(&sim, Api::SellerOrders, day(START), day(START)).send();
    let _ = tokio::join!(get(), get(), get());
    assert_eq!((sim.max_in_flight(Api::SellerOrders), sim.max_in_flight(Api::BuyerOrders)), (3, 0));
    let requests = sim.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|r| r.status == 200 && r.ms >= 100 && r.path == "/seller/orders"));
    assert!(requests[0].query.contains("since_ms=1753813800000"), "{}", requests[0].query);
    sim.clear_requests();
    assert_eq!(sim.max_in_flight(Api::SellerOrders), 0);
    let log: Value = reqwest::get(format!("{}/requests", sim.url)).await.unwrap().json().await.unwrap();
    assert_eq!(log, serde_json::json!([]));
}

#[tokio::test]
async fn files_are_served_in_the_same_dialects() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "id,when,text\n1,2025-07-30 10:00:00,\"a \"\"b\"\"\r\nc\"\n2,2025-07-31 00:00:00,\n";
    for api in Api::HTTP {
        std::fs::write(dir.path().join(format!("{}.csv", api.name())), csv).unwrap();
    }
    let data = Some(dir.path().to_owned());
    let sim = start(Options { data, date_column: "when".to_owned(), ..Options::default() }).await.unwrap();
    for api in Api::HTTP {
        let records = sorted(&all(&sim, api, day(START), day("2025-07-31")).await);
        let text = r#"{"id": "1", "text": "a \"b\"\r\nc", "when": "2025-07-30 10:00:00"}"#;
        assert_eq!(records, [text, r#"{"id": "2", "text": null, "when": "2025-07-31 00:00:00"}"#]);
        assert_eq!(sim.truth(api, day(START), day("2025-07-31")).days.len(), 2);
        // closed bounds with a time ask for the end itself, and the worker leaves its rows out
        let at_the_end = usize::from(api == Api::SellerTickets);
        assert_eq!(all(&sim, api, day(START), day(START)).await.len(), 1 + at_the_end);
    }
    assert!(sim.sql(Api::BuyerOrders, "public").contains(r#"("when" AT TIME ZONE 'Asia/Kolkata')::date"#));
}
