//! Pages of a test's own, a source that takes steps on them, and what came into the table.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use futures::{StreamExt, stream};
use nstore_tests::{
    context::{Exit, Running},
    simulator::Options,
};

use super::NAME;
use crate::house::{House, LONG};

/// A table with two rows of that value.
pub(super) fn rows(value: u32) -> String {
    let row = |hour: u32| format!("<tr><td>2025-08-01T{hour:02}:00:00<td>calls<td>{value}<td>ok</tr>");
    format!(
        "<table id=t><thead><tr><th>Timestamp<th>Metric<th>Value<th>Status</thead><tbody>{}{}</tbody></table>",
        row(10),
        row(11)
    )
}

/// The pages by their paths, and the languages that they were asked for in.
#[derive(Default)]
pub(super) struct Served {
    pages: Mutex<BTreeMap<String, String>>,
    languages: Mutex<BTreeMap<String, String>>,
}

/// A house whose dashboard is made of these pages, with one browser worker.
pub(super) struct Pages {
    pub(super) house: House,
    pub(super) worker: Running,
    /// `http://127.0.0.1:PORT`
    pub(super) url: String,
    served: Arc<Served>,
}

impl Pages {
    /// `env` is what the worker's host has.
    pub(super) async fn new(env: &[(&str, &str)]) -> Self {
        let served = Arc::new(Served::default());
        let app = Router::new().fallback(answer).with_state(served.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // it ends with the test's runtime
        tokio::spawn(async move { axum::serve(listener, app).await });
        let house = House::with(Options::default()).await;
        let worker =
            env.iter().fold(house.browser_worker(1), |worker, (name, value)| worker.env(name, value));
        let worker = worker.start();
        Self { house, worker, url, served }
    }

    /// Serves a page. `PORT` in it is the server's port.
    pub(super) fn page(&self, path: &str, html: &str) {
        let port = self.url.rsplit(':').next().unwrap();
        let html = format!("<!doctype html><meta charset=utf-8><title>{path}</title><h1>Page</h1>{html}");
        self.served.pages.lock().unwrap().insert(path.to_owned(), html.replace("PORT", port));
    }

    /// The language in which a path was asked for last.
    pub(super) fn language(&self, path: &str) -> Option<String> {
        self.served.languages.lock().unwrap().get(path).cloned()
    }

    /// A run of a source that opens a page, takes these steps and reads the grid `#t`.
    pub(super) async fn run(&self, path: &str, settings: &str, steps: &[&str]) -> Exit {
        self.run_with(path, settings, steps, "").await
    }

    /// The same; `url` where the pages are served elsewhere.
    pub(super) async fn run_with(&self, path: &str, settings: &str, steps: &[&str], url: &str) -> Exit {
        let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
        let url = if url.is_empty() { &self.url } else { url };
        let source = format!(
            "kind: browser\nchunk_days: 1\nexecution: sequential\nupload: replace_range\ntimezone: Asia/Kolkata\n\
             chunk_attempts: 2\nchunk_retry: {{ base: 20ms }}\ntimeouts: {{ step: 3s }}\n{settings}\nsteps:\n  \
             - goto: \"{url}{path}\"\n{steps}  - read: {{ lanes: [grid], columns: [timestamp, metric, value, status], \
             grid: {{ selector: \"#t\" }} }}\nmapping: network_observability\n"
        );
        std::fs::write(self.house.config("sources/network_observability.yaml"), source).unwrap();
        let run = format!("extract --start-date 2025-08-01 --end-date 2025-08-01 --sources {NAME} --upload");
        self.house.nstore(&run).run(LONG).await
    }

    /// A run that ends well; gives its one marker.
    pub(super) async fn good(&self, path: &str, settings: &str, steps: &[&str]) -> serde_json::Value {
        let exit = self.run(path, settings, steps).await;
        assert_eq!(exit.code, Some(0), "{path}: {}\n{}\n{}", exit.stdout, exit.stderr, self.worker.stderr());
        self.marker()
    }

    /// A run that fails, and says these things; gives the attempt with which it ended.
    pub(super) async fn bad(&self, path: &str, settings: &str, steps: &[&str], says: &[&str]) -> String {
        let exit = self.run(path, settings, steps).await;
        assert_eq!(exit.code, Some(1), "{path}: {}\n{}", exit.stdout, exit.stderr);
        for said in says {
            assert!(exit.stdout.contains(said), "{path}: `{said}` is not in {}", exit.stdout);
        }
        super::text(&self.marker(), "/grant/attempt")
    }

    fn marker(&self) -> serde_json::Value {
        let run = self.house.runs().pop().unwrap();
        self.house.markers(NAME, &run).remove(0)
    }

    /// What the table holds, in the order of its times.
    pub(super) async fn table(&self, column: &str) -> Vec<String> {
        let sql = format!("SELECT {column}::text FROM public.{NAME} ORDER BY timestamp");
        let rows = self.house.context.postgres.client().await.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// `/redirects` leads to `/rows` of `localhost`, which is another origin, `/slow` takes a second, `/hang` never ends, `/events` is a stream of events, `/fails` answers 500.
async fn answer(State(served): State<Arc<Served>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().to_owned();
    let language =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    served.languages.lock().unwrap().insert(path.clone(), language.to_owned());
    match path.as_str() {
        "/redirects" => {
            let host = headers[header::HOST].to_str().unwrap().replace("127.0.0.1", "localhost");
            return Redirect::temporary(&format!("http://{host}/rows")).into_response();
        }
        "/hang" => std::future::pending::<()>().await,
        "/slow" => tokio::time::sleep(Duration::from_secs(1)).await,
        "/fails" => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/events" => {
            let events = stream::repeat(()).then(|()| async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<_, std::io::Error>(Bytes::from_static(b"data: x\n\n"))
            });
            return ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
                .into_response();
        }
        _ => {}
    }
    let page = served.pages.lock().unwrap().get(&path).cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}
