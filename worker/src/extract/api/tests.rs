//! Whole extractions against a small scripted server.

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{TimeZone as _, Utc};
use nstore_shared::{
    config::{
        secrets::Secrets,
        spec::{
            Auth, Bounds, ErrorAction, ErrorHandler, JsonCondition, KeyPlace, NoList, Paginator, Records,
            RequestLimits, RequestRetry, RequestSpec, TimeFormat, Window, WindowBound,
        },
    },
    retry::Backoff,
    storage::marker::Evidence,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::extract::Excuse;

const SECRET: &str = "s3cr3t/key value";

/// Answers the requests in turn, each on a connection of its own, and keeps their heads.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                // the client may hang up in the middle of a large answer
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { url, heads }
    }

    /// The request targets so far.
    fn targets(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "content-type: application/json\r\n", body)
}

fn spec(url: &str) -> ApiSpec {
    let params = [("from", WindowBound::Start), ("to", WindowBound::End)];
    let second = Duration::from_secs(1);
    ApiSpec {
        base_url: url.to_owned(),
        auth: Auth::None,
        request: RequestSpec {
            path: "/v1/payments".to_owned(),
            params: [("expand".to_owned(), "card".to_owned())].into(),
            headers: [("x-version".to_owned(), "2".to_owned())].into(),
        },
        window: Window {
            params: params.map(|(name, bound)| (name.to_owned(), bound)).into(),
            format: TimeFormat::EpochS,
            bounds: Bounds::HalfOpen,
            granularity: second,
            filtered: false,
        },
        paginator: Paginator::Cursor {
            cursor_path: "next".parse().unwrap(),
            param: "after".to_owned(),
            limit_param: None,
            limit: None,
            has_more_path: None,
            total_path: Some("total".parse().unwrap()),
        },
        records: Records { selector: "items".parse().unwrap(), ..Records::default() },
        empty_body: NoList::Fail,
        tls_ca: None,
        budget: None,
        retry: RequestRetry {
            attempts: 3,
            backoff: Backoff { base: Duration::from_millis(1), ceiling: Duration::from_millis(2) },
        },
        error_handlers: vec![],
        limits: RequestLimits {
            connect_timeout: second,
            read_timeout: second,
            total_timeout: 5 * second,
            chunk_timeout: None,
            max_body_bytes: 10_000,
            max_pages: 10,
            max_records: None,
        },
    }
}

fn extractor(spec: &ApiSpec) -> Result<ApiExtractor, ExtractError> {
    let secrets = Secrets::of([("shop.key".to_owned(), SECRET.to_owned())]);
    ApiExtractor::new(spec, &[], &|name| secrets.get(name), None, "nstore-test")
}

fn span() -> Span {
    let day = |day| Utc.with_ymd_and_hms(2025, 8, day, 0, 0, 0).unwrap();
    Span { start: day(1), end: day(2), zone: chrono_tz::UTC }
}

/// Extracts all, and what was sent meanwhile.
async fn extract(spec: &ApiSpec) -> (Result<Extracted, ExtractError>, Vec<Sent>) {
    let extractor = extractor(spec).unwrap();
    let (sender, mut receiver) = mpsc::channel(1);
    let reader = async {
        let mut all = vec![];
        while let Some(sent) = receiver.recv().await {
            all.push(sent);
        }
        all
    };
    tokio::join!(extractor.extract(span(), sender), reader)
}

async fn error(spec: &ApiSpec) -> ExtractError {
    let error = extract(spec).await.0.unwrap_err();
    for form in [SECRET, "s3cr3t", "czNjcjN0"] {
        assert!(!error.message.contains(form), "{}", error.message);
    }
    error
}

async fn error_of(answers: Vec<Vec<u8>>) -> ExtractError {
    error(&spec(&Server::start(answers).await.url)).await
}

fn key() -> SecretRef {
    SecretRef("shop.key".to_owned())
}

#[tokio::test]
async fn pages_come_in_order_with_evidence() {
    let pages =
        [r#"{"items":[{"a":1}],"next":"b c","total":2}"#, r#"{"items":[{"a":2}],"next":null,"total":2}"#];
    let server = Server::start(pages.map(json).into()).await;
    let (ended, sent) = extract(&spec(&server.url)).await;
    let evidence = vec![Evidence::TotalAgreed { total: 2 }, Evidence::EndOfList];
    assert_eq!(ended.unwrap(), Extracted { pages: 2, evidence, ..Extracted::default() });
    let window = "/v1/payments?expand=card&from=1754006400&to=1754092800";
    assert_eq!(server.targets(), [window.to_owned(), format!("{window}&after=b+c")]);
    let bodies: Vec<_> = sent
        .iter()
        .map(|sent| match sent {
            Sent::Page(page) => (&page.body[..], page.origin.as_str()),
            Sent::Patience(_) => panic!("no patience was asked for"),
        })
        .collect();
    let origin = format!("{}{window}", server.url);
    assert_eq!(bodies[0], (pages[0].as_bytes(), origin.as_str()));
    assert_eq!(bodies[1].0, pages[1].as_bytes());
    let head = server.heads.lock().unwrap()[0].to_lowercase();
    assert!(head.contains("x-version: 2\r\n") && head.contains("user-agent: nstore-test\r\n"), "{head}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\":[".to_vec();
    let cut = json(r#"{"items":[{"a":"#);
    let server =
        Server::start(vec![answer("500 Oops", "", "no"), half.clone(), json(r#"{"items":[],"total":0}"#)])
            .await;
    assert!(extract(&spec(&server.url)).await.0.is_ok());
    let error = error_of(vec![answer("502 Bad", "", "gone"), half, cut]).await;
    assert_eq!(error.class, FailureClass::Transient);
    assert!(
        error.message.contains("cut off after 15 bytes") && error.message.contains("tried 3 times"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = error(&spec(&url)).await;
    assert_eq!(error.class, FailureClass::Transient);
    assert!(error.message.contains("no connection") && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = spec(&format!("http://{}", listener.local_addr().unwrap()));
    spec.limits.read_timeout = Duration::from_millis(50);
    let error = error(&spec).await;
    assert_eq!(error.class, FailureClass::Transient);
    assert!(error.message.contains("no answer within the time limit"), "{error}");
}

#[tokio::test]
async fn patience_is_told_and_kept() {
    let busy = answer("429 Too Many Requests", "retry-after: 1\r\n", "slow down");
    let server = Server::start(vec![busy, json(r#"{"items":[],"total":0}"#)]).await;
    let start = Instant::now();
    let (ended, sent) = extract(&spec(&server.url)).await;
    assert!(ended.is_ok() && start.elapsed() >= Duration::from_secs(1));
    assert_eq!(sent[0], Sent::Patience(Duration::from_secs(1)));
    // longer than anyone waits in place
    let error = error_of(vec![answer("503 Busy", "retry-after: 120\r\n", "")]).await;
    let patience = Excuse::Patience(Duration::from_secs(120));
    assert_eq!((error.class, error.excuse), (FailureClass::RateLimited, Some(patience)));
    // and not for ever
    let busy = answer("429 Too Many Requests", "", "");
    let error = error_of(vec![busy.clone(), busy.clone(), busy]).await;
    assert_eq!(error.class, FailureClass::RateLimited);
    assert!(error.excuse.is_some());
}

#[tokio::test]
async fn html_is_named_as_what_it_is() {
    let page = "<!DOCTYPE html>\n<title>Sign in</title>";
    let error = error_of(vec![answer("200 OK", "content-type: text/html\r\n", page)]).await;
    assert_eq!(error.class, FailureClass::Data);
    let said = "text/html came instead, starting with `<!DOCTYPE html> <title>Sign in</title>`";
    assert!(error.message.contains("is not valid JSON") && error.message.contains(said), "{error}");
}

#[tokio::test]
async fn refusals_say_what_to_check() {
    for (status, class, hint) in [
        ("401 Unauthorized", FailureClass::Auth, "check the secrets"),
        ("403 Forbidden", FailureClass::Auth, "may read"),
        ("404 Not Found", FailureClass::Config, "check `base_url`"),
        ("400 Bad Request", FailureClass::Config, "check `request`"),
    ] {
        let body = format!(r#"{{"error":"no {SECRET}"}}"#);
        let server = Server::start(vec![answer(status, "", &body)]).await;
        let mut spec = spec(&server.url);
        spec.auth = Auth::Bearer { token: key() };
        let error = error(&spec).await;
        assert_eq!(error.class, class);
        assert!(error.message.contains(status) && error.message.contains(hint), "{error}");
        assert!(error.message.contains(r#"{"error":"no ***"}"#), "{error}");
    }
}

#[tokio::test]
async fn secrets_go_where_they_belong_and_nowhere_else() {
    let place = |place, prefix: &str| {
        let (name, prefix) = ("x-key".to_owned(), prefix.to_owned());
        Auth::ApiKey { place, name, prefix, key: key() }
    };
    for (auth, sent) in [
        (
            Auth::Basic { username: key(), password: key() },
            "authorization: Basic czNjcjN0L2tleSB2YWx1ZTpzM2NyM3Qva2V5IHZhbHVl",
        ),
        (Auth::Bearer { token: key() }, "authorization: Bearer s3cr3t/key value"),
        (place(KeyPlace::Header, "Token "), "x-key: Token s3cr3t/key value"),
        (place(KeyPlace::Query, ""), "&x-key=s3cr3t%2Fkey+value "),
    ] {
        let server = Server::start(vec![json(r#"{"items":[],"total":1}"#)]).await;
        let mut spec = spec(&server.url);
        spec.auth = auth;
        let error = error(&spec).await;
        assert!(error.message.contains("the total says 1"), "{error}");
        let head = server.heads.lock().unwrap()[0].clone();
        assert!(head.contains(sent), "{head}");
    }
}

#[tokio::test]
async fn redirects_stay_at_home() {
    let to = |target: &str| answer("302 Found", &format!("location: {target}\r\n"), "");
    let kept = "/v2/payments?expand=card&from=1754006400&to=1754092800";
    let server = Server::start(vec![to(kept), json(r#"{"items":[],"total":0}"#)]).await;
    assert!(extract(&spec(&server.url)).await.0.is_ok());
    assert_eq!(server.targets()[1], kept);
    let lost = error_of(vec![to("/v2/payments?expand=card&from=1754006400")]).await;
    assert_eq!(lost.class, FailureClass::Config);
    assert!(lost.message.contains("loses or changes the parameters `to`"), "{lost}");
    let other = Server::start(vec![json("{}")]).await;
    let server = Server::start(vec![to(&format!("{}/x?token={SECRET}", other.url))]).await;
    let mut spec = spec(&server.url);
    spec.auth = Auth::Bearer { token: key() };
    let error = error(&spec).await;
    assert_eq!(error.class, FailureClass::Config);
    assert!(error.message.contains(&format!("another origin, {}", other.url)), "{error}");
    assert!(other.targets().is_empty());
    let error = error_of(vec![to("/v1/payments?expand=card&from=1754006400&to=1754092800"); 10]).await;
    assert!(error.message.contains("more than 5 times"), "{error}");
}

#[tokio::test]
async fn no_body_grows_without_end() {
    let announced = answer("200 OK", "", &" ".repeat(10_001));
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(100_000, b' ');
    for body in [announced, endless] {
        let error = error_of(vec![body]).await;
        assert_eq!(error.class, FailureClass::Config);
        assert!(error.message.contains("larger than 10000 bytes"), "{error}");
        assert_eq!(error.split, Split::AtOnce);
    }
}

#[tokio::test]
async fn what_is_too_much_for_one_window_asks_for_halves() {
    let refusal = || answer("400 Bad Request", "", r#"{"error":"window too wide"}"#);
    let server = Server::start(vec![refusal(), refusal()]).await;
    let mut described = spec(&server.url);
    described.error_handlers = vec![ErrorHandler {
        codes: vec![400],
        body_contains: Some("too wide".to_owned()),
        json: None,
        action: ErrorAction::SplitWindow,
    }];
    let told = error(&described).await;
    assert_eq!((told.class, told.split), (FailureClass::Config, Split::AtOnce));
    assert!(told.message.contains("window too wide"), "{told}");
    described.error_handlers.clear();
    assert_eq!(error(&described).await.split, Split::No);

    let page = || json(r#"{"items":[1,2,3],"next":"a","total":9}"#);
    let server = Server::start(vec![page(), page()]).await;
    let mut described = spec(&server.url);
    described.limits.max_records = Some(8);
    let told = error(&described).await;
    assert_eq!(told.split, Split::AtOnce, "the total says so on the first page: {told}");
    assert_eq!(server.targets().len(), 1);
}

#[tokio::test]
async fn a_chunk_that_takes_too_long_asks_for_halves() {
    // the second request is never answered
    let server = Server::start(vec![json(r#"{"items":[1],"next":"a","total":9}"#)]).await;
    let mut described = spec(&server.url);
    described.limits.total_timeout = Duration::from_secs(60);
    described.limits.read_timeout = Duration::from_secs(60);
    described.limits.chunk_timeout = Some(Duration::from_millis(300));
    described.retry.attempts = 1000;
    let (told, sent) = extract(&described).await;
    let told = told.unwrap_err();
    assert_eq!((told.class, told.split), (FailureClass::Transient, Split::AtOnce));
    assert!(told.message.contains("within 0.3 s, 1 pages came"), "{told}");
    assert_eq!(sent.len(), 1);
}

#[tokio::test]
async fn contradictions_end_the_attempt() {
    let next = |n: u32, next: &str| json(&format!(r#"{{"items":[{n}],"next":"{next}","total":3}}"#));
    let error = error_of(vec![next(1, "a"), next(2, "b"), next(3, "a")]).await;
    assert_eq!(error.class, FailureClass::Data);
    assert!(error.message.contains("cursor `a` came a second time"), "{error}");
    let error = error_of(vec![json(r#"{"items":[1],"totall":1}"#)]).await;
    assert_eq!(error.class, FailureClass::Config);
    assert!(error.message.contains("nothing at `paginator.total_path`"), "{error}");
    assert!(error.message.contains("the keys `items`, `totall`; did you mean `totall`?"), "{error}");
    let error = error_of(vec![json(r#"{"items":[1,2],"total":3,"next":null}"#)]).await;
    assert_eq!(error.class, FailureClass::Transient);
    assert!(error.message.contains("2 records came, but the total says 3"), "{error}");
    let error = error_of(vec![json(r#"{"rows":[]}"#)]).await;
    assert!(
        error.message.contains("no list of records at `items`: the answer has the keys `rows`"),
        "{error}"
    );
}

/// A source of one page that says nothing of its end.
fn single(url: &str) -> ApiSpec {
    ApiSpec { paginator: Paginator::None { total_path: None, has_more_path: None }, ..spec(url) }
}

#[tokio::test]
async fn a_part_of_a_list_is_not_the_list() {
    let part = |range: &str| answer("206 Partial Content", range, r#"{"items":[1,2]}"#);
    for range in ["content-range: 0-1/250\r\n", "content-range: 0-1/*\r\n", ""] {
        let server = Server::start(vec![part(range)]).await;
        let error = error(&single(&server.url)).await;
        assert_eq!(error.class, FailureClass::Config, "{error}");
        assert!(error.message.contains("`paginator: { type: none }` reads one page"), "{error}");
    }
    let server = Server::start(vec![part("content-range: items 0-1/2\r\n")]).await;
    let evidence = extract(&single(&server.url)).await.0.unwrap().evidence;
    assert_eq!(evidence, [Evidence::TotalAgreed { total: 2 }], "a part that is all of it");
    let server = Server::start(vec![part("content-range: bytes 0-9/100\r\n")]).await;
    assert!(error(&single(&server.url)).await.message.contains("a range of bytes"));
    let link = answer("200 OK", "link: </x?page=2>; rel=\"next\"\r\n", r#"{"items":[1,2]}"#);
    let server = Server::start(vec![link]).await;
    assert!(error(&single(&server.url)).await.message.contains("names a next page in its `Link` header"));
}

#[tokio::test]
async fn an_end_that_nothing_shows_is_said_with_what_would_show_it() {
    let server = Server::start(vec![json(r#"{"items":[1,2],"count":9,"next":"http://h/?page=2"}"#)]).await;
    let ended = extract(&single(&server.url)).await.0.unwrap();
    assert!(!ended.evidence.iter().any(Evidence::is_proof));
    let said = ended.warnings[0].to_string();
    assert!(said.contains("`count`: 9") && said.contains("`next`: \"http://h/?page=2\""), "{said}");
}

#[tokio::test]
async fn no_content_is_no_records_and_an_empty_body_is_not_unless_said() {
    let server = Server::start(vec![b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()]).await;
    let (ended, sent) = extract(&spec(&server.url)).await;
    assert_eq!((ended.unwrap().evidence, sent), (vec![Evidence::NoRecords], vec![]));
    let server = Server::start(vec![json(""); 4]).await;
    let mut described = spec(&server.url);
    let told = error(&described).await;
    assert!(told.message.contains("the answer is empty"), "{told}");
    described.empty_body = NoList::NoRecords;
    assert_eq!(extract(&described).await.0.unwrap().evidence, [Evidence::NoRecords]);
}

#[tokio::test]
async fn a_success_that_says_it_failed_is_tried_again_and_fails() {
    let failed = || json(r#"{"items":null,"errors":[{"message":"internal error"}],"success":false}"#);
    let error = error_of(vec![failed(), failed(), failed()]).await;
    assert_eq!(error.class, FailureClass::Transient);
    assert!(error.message.contains("`errors` is") && error.message.contains("tried 3 times"), "{error}");
    let server = Server::start(vec![failed(), json(r#"{"items":[],"total":0}"#)]).await;
    assert!(extract(&spec(&server.url)).await.0.is_ok());
    let null = error_of(vec![json(r#"{"items":null}"#)]).await;
    assert_eq!(null.class, FailureClass::Data);
    assert!(null.message.contains("null_list: no_records"), "{null}");
}

#[tokio::test]
async fn error_handlers_decide_what_an_answer_means() {
    let handler = |codes: &[u16], equals: Option<&str>, action| {
        let condition = |equals: &str| JsonCondition {
            path: "status.code".parse().unwrap(),
            equals: Some(equals.to_owned()),
            exists: None,
        };
        ErrorHandler { codes: codes.to_vec(), body_contains: None, json: equals.map(condition), action }
    };
    let busy = || json(r#"{"status":{"code":17},"items":[]}"#);
    let good = || json(r#"{"status":{"code":0},"items":[],"total":0}"#);
    let server = Server::start(vec![busy(), good(), busy(), busy(), answer("404 Not Found", "", "{}")]).await;
    let mut described = spec(&server.url);
    described.error_handlers = vec![handler(&[], Some("17"), ErrorAction::Retry)];
    assert!(extract(&described).await.0.is_ok());
    described.error_handlers = vec![handler(&[200], Some("17"), ErrorAction::Fail)];
    assert_eq!(error(&described).await.class, FailureClass::Data);
    described.error_handlers = vec![handler(&[200], Some("17"), ErrorAction::SplitWindow)];
    assert_eq!(error(&described).await.split, Split::AtOnce);
    described.error_handlers = vec![handler(&[404], None, ErrorAction::Ignore)];
    assert_eq!(extract(&described).await.0.unwrap().evidence, [Evidence::NoRecords]);
}

#[tokio::test]
async fn a_rate_limit_by_another_name_is_one() {
    for (status, headers) in [
        ("403 Forbidden", "retry-after: 120\r\n"),
        ("400 Bad Request", "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 120\r\n"),
    ] {
        let error = error_of(vec![answer(status, headers, "{}")]).await;
        let patience = Excuse::Patience(Duration::from_secs(120));
        assert_eq!((error.class, error.excuse), (FailureClass::RateLimited, Some(patience)), "{status}");
    }
}

#[tokio::test]
async fn other_encodings_are_read() {
    let mut body =
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json; charset=latin1\r\n\r\n"
            .to_vec();
    body.extend_from_slice(b"{\"items\":[\"caf\xE9\"],\"total\":1}");
    let server = Server::start(vec![body]).await;
    let (ended, sent) = extract(&spec(&server.url)).await;
    let [Sent::Page(page)] = &sent[..] else { panic!("{ended:?}") };
    assert_eq!(&page.body[..], "{\"items\":[\"café\"],\"total\":1}".as_bytes());
}

#[tokio::test]
async fn an_unknown_authority_is_a_fault_of_the_configuration() {
    let mut described = spec("https://127.0.0.1:1");
    described.tls_ca = Some("/nowhere/ca.pem".to_owned());
    let error = extractor(&described).err().unwrap();
    assert_eq!(error.class, FailureClass::Config);
    assert!(error.message.contains("`tls.ca`: cannot read /nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn nobody_listening_ends_it_quietly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let extractor = extractor(&spec(&format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let (sender, receiver) = mpsc::channel(1);
    let (ended, ()) = tokio::join!(extractor.extract(span(), sender), async {
        let request = listener.accept().await.unwrap();
        drop(receiver);
        drop(request);
    });
    assert_eq!(ended.unwrap(), Extracted::default());
}

#[test]
fn what_cannot_work_is_refused_at_once() {
    let refused = |change: &dyn Fn(&mut ApiSpec)| {
        let mut spec = spec("https://api.example.com");
        change(&mut spec);
        let error = extractor(&spec).err().unwrap();
        (error.class, error.message)
    };
    for url in [
        "api.example.com",
        "ftp://example.com",
        "https://me:word@example.com",
        "https://",
        "https://x.com/?a=b",
    ] {
        let (class, message) = refused(&|spec| spec.base_url = url.to_owned());
        assert_eq!(class, FailureClass::Config);
        assert!(message.contains("`base_url`") && !message.contains("word@"), "{message}");
    }
    let (class, _) = refused(&|spec| spec.window.format = TimeFormat::Strftime("%!".to_owned()));
    assert_eq!(class, FailureClass::Config);
    let token = || SecretRef("shop.kee".to_owned());
    let (class, message) = refused(&|spec| spec.auth = Auth::Bearer { token: token() });
    assert_eq!(class, FailureClass::Auth);
    assert!(message.contains("`shop.kee`") && message.contains("NSTORE_SECRET_SHOP_KEE"), "{message}");
}

#[test]
fn a_source_is_prepared_once_for_equal_plans_and_again_when_its_authority_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "one").unwrap();
    let plain = spec("http://127.0.0.1:9");
    let trusting = ApiSpec { tls_ca: Some(file.display().to_string()), ..plain.clone() };
    let (sources, prepared) = (PreparedSources::default(), Cell::new(0));
    let secrets = Secrets::of([("shop.key".to_owned(), SECRET.to_owned())]);
    let get = |digest: Option<&str>, spec: &ApiSpec| {
        let prepare = || {
            prepared.set(prepared.get() + 1);
            PreparedSource::new(&plain, &[], &|name| secrets.get(name), "nstore-test")
        };
        sources.get(digest, spec, prepare).unwrap();
        prepared.replace(0)
    };
    assert_eq!((get(Some("a"), &plain), get(Some("a"), &plain)), (1, 0));
    assert_eq!((get(Some("b"), &trusting), get(Some("b"), &trusting)), (1, 0), "another plan");
    std::fs::write(&file, "another").unwrap();
    assert_eq!((get(Some("b"), &trusting), get(Some("a"), &plain)), (1, 0));
    assert_eq!((get(None, &plain), get(None, &plain)), (1, 1), "a probe is for once");
    for other in 0..64 {
        get(Some(format!("c{other}").as_str()), &plain);
    }
    assert_eq!(get(Some("a"), &plain), 1, "what nobody asked for goes in the end");
}
