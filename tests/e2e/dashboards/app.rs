//! An app of one page, as many dashboards are: its document comes to everybody, and its script asks for the rows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::Html,
    routing::{get, post},
};
use nstore_tests::{context::Running, simulator::Options};

use super::NAME;
use crate::house::House;

const LOGIN: &str = r##"<!doctype html><title>Login</title><h1>Login</h1>
<input id=user><input id=password type=password><button id=go>Go</button>
<script>
go.onclick = async () => {
  const answer = await fetch("/api/login", { method: "POST" });
  const token = await answer.text();
  if (STORED) localStorage.setItem("token", token); else document.cookie = `token=${token}`;
  location = "/app?first=2025-08-01&last=2025-08-01";
};
</script>"##;
const APP: &str = r##"<!doctype html><title>The app</title><h1 id=says>Figures</h1>
<table id=rows><thead><tr><th>Timestamp<th>Metric<th>Value<th>Status</thead><tbody></tbody></table>
<script>
const show = async () => {
  await fetch("/telemetry", { method: "POST" });
  const headers = STORED ? { authorization: localStorage.getItem("token") ?? "" } : {};
  const answer = await fetch("/api/rows" + location.search, { headers });
  if (!answer.ok) { says.textContent = "Something went wrong"; return; }
  for (const row of await answer.json()) {
    const line = document.querySelector("#rows tbody").insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
};
show();
</script>"##;

/// What the app's server knows.
#[derive(Default)]
struct Desk {
    /// The token is kept in the page's storage, not in a cookie.
    is_stored: bool,
    /// All sessions end with this many-eth answer.
    ends_with: usize,
    tokens: Vec<String>,
    logins: usize,
    answers: usize,
    refused: usize,
}

type Shared = Arc<Mutex<Desk>>;

fn page(desk: &Shared, html: &str) -> Html<String> {
    Html(html.replace("STORED", &desk.lock().unwrap().is_stored.to_string()))
}

async fn sign_in(State(desk): State<Shared>) -> String {
    let mut desk = desk.lock().unwrap();
    desk.logins += 1;
    let token = format!("{:016x}", fastrand::u64(..));
    desk.tokens.push(token.clone());
    token
}

async fn rows(
    State(desk): State<Shared>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Vec<[String; 4]>>, StatusCode> {
    let mut desk = desk.lock().unwrap();
    let name = if desk.is_stored { header::AUTHORIZATION } else { header::COOKIE };
    let said = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !desk.tokens.iter().any(|token| said.trim_start_matches("token=") == token) {
        desk.refused += 1;
        return Err(StatusCode::UNAUTHORIZED);
    }
    desk.answers += 1;
    if desk.answers == desk.ends_with {
        desk.tokens.clear();
    }
    let time = format!("{}T00:00:00", asked["first"]);
    Ok(Json(vec![[time, "calls".to_owned(), "1".to_owned(), "ok".to_owned()]]))
}

/// A house whose dashboard is the app.
async fn house(desk: &Shared) -> (House, Vec<Running>) {
    let routes = Router::new()
        .route("/login", get(|State(desk): State<Shared>| async move { page(&desk, LOGIN) }))
        .route("/app", get(|State(desk): State<Shared>| async move { page(&desk, APP) }))
        .route("/api/login", post(sign_in))
        .route("/api/rows", get(rows))
        .with_state(desk.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // it ends with the test's runtime
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let house = House::with(Options::default()).await;
    let source = format!(
        r##"kind: browser
chunk_days: 1
execution: parallel
max_sessions: 2
upload: replace_range
timezone: Asia/Kolkata
chunk_attempts: 1
timeouts: {{ step: 4s, login: 20s }}
login:
  flow: form
  url: "{url}/login?tenant=one"
  username: {{ secret: powerbi.username }}
  password: {{ secret: powerbi.password }}
  username_field: "#user"
  password_field: "#password"
  submit: "#go"
steps:
  - goto: "{url}/app?first={{start:%F}}&last={{last_day:%F}}"
  - wait_for: "#rows tbody tr"
  - read: {{ lanes: [grid], columns: [timestamp, metric, value, status], ignore: [/telemetry], grid: {{ selector: "#rows" }} }}
mapping: network_observability
"##
    );
    std::fs::write(house.config("sources/network_observability.yaml"), source).unwrap();
    let key = "6f".repeat(16) + &"1a".repeat(16);
    let workers = [1, 2].map(|_| house.browser_worker(1).env("NSTORE_VAULT_KEY", &key).start());
    (house, workers.into())
}

/// Six days, and all sessions end with the answer to the third.
async fn six_days(is_stored: bool) {
    let desk = Shared::new(Mutex::new(Desk { is_stored, ends_with: 3, ..Desk::default() }));
    let (house, workers) = house(&desk).await;
    house
        .good(&format!("extract --start-date 2025-08-01 --end-date 2025-08-06 --sources {NAME} --upload"))
        .await;
    let log = workers.iter().map(Running::stderr).collect::<Vec<_>>().join("\n");
    assert_eq!(house.number("SELECT count(*) FROM public.network_observability").await, 6);
    let desk = desk.lock().unwrap();
    assert_eq!(desk.logins, 2, "{log}");
    // the old session by each of the two browsers, the new one by none
    assert!((1..=2).contains(&desk.refused), "{}: {log}", desk.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_noticed_whatever_else_failed_before() {
    // a call of the page that is always answered 404 comes first
    six_days(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_takes_the_place_of_one_that_a_page_keeps_in_its_storage() {
    six_days(true).await;
}
