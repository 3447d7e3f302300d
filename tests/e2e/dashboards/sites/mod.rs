//! Small pages that mislead, made after public reports of people who read dashboards: what a person sees is what is read,
//! or the failure is told.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    extract::Query,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use nstore_tests::{
    context::{Exit, Running},
    simulator::Options,
};

use super::text;
use crate::house::House;

mod answers;
mod cells;
mod grids;

/// What a site answers to a path and its query: the kind of content, and the content.
type Answer = fn(&str, &BTreeMap<String, String>) -> (&'static str, Vec<u8>);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

const MAPPING: &str = "table: items
key: [id]
range_column: at
columns:
  id: { type: text, required: true }
  at: { type: timestamptz, required: true, format: \"%Y-%m-%d %H:%M:%S\" }
  v: { type: text }
";

/// A worker beside a site of a few pages.
struct Site {
    house: House,
    url: String,
    worker: Running,
}

impl Site {
    async fn new(answer: Answer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handler = move |uri: Uri, Query(query): Query<BTreeMap<String, String>>| async move {
            if let Some(wait) = query.get("wait") {
                tokio::time::sleep(Duration::from_millis(wait.parse().unwrap())).await;
            }
            let (kind, body) = answer(uri.path(), &query);
            let mut response: Response = body.into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            if kind == "text/csv" {
                let disposition = HeaderValue::from_static("attachment; filename=rows.csv");
                response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            }
            response
        };
        // it ends with the test's runtime
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        let house = House::with(Options::default()).await;
        std::fs::write(house.config("mappings/items.yaml"), MAPPING).unwrap();
        let worker = house.browser_worker(1).start();
        Self { house, url, worker }
    }

    /// Extracts one day of a page into an empty table; `read` is what is below `read:`.
    async fn extract(&self, page: &str, read: &str, after: &str) -> Exit {
        let url = &self.url;
        let source = format!(
            "kind: browser
chunk_days: 1
execution: sequential
upload: append
timezone: UTC
chunk_attempts: 2
chunk_retry: {{ base: 20ms, ceiling: 100ms }}
timeouts: {{ step: 6s, chunk: 40s }}
steps:
  - goto: \"{url}{page}\"
  - read: {{ columns: [id, at, v], {read} }}
{after}mapping: items
"
        );
        std::fs::write(self.house.config("sources/items.yaml"), source).unwrap();
        // the table is there from the first run on
        let sql = "DO $$ BEGIN IF to_regclass('public.items') IS NOT NULL THEN DELETE FROM public.items; END IF; END $$";
        self.house.execute(sql).await;
        self.house.run("extract --start-date 2025-08-01 --end-date 2025-08-01 --sources items --upload").await
    }

    /// The marker of a chunk that was read, and its rows as `id=v`.
    async fn good(&self, page: &str, read: &str, after: &str) -> (serde_json::Value, Vec<String>) {
        let exit = self.extract(page, read, after).await;
        assert_eq!(exit.code, Some(0), "{page}: {}\n{}\n{}", exit.stdout, exit.stderr, self.worker.stderr());
        let marker = self.house.markers("items", &self.house.runs().pop().unwrap()).remove(0);
        let client = self.house.context.postgres.client().await;
        let sql = "SELECT id || '=' || coalesce(v, 'NULL') FROM public.items ORDER BY length(id), id";
        let rows = client
            .query(sql, &[])
            .await
            .map_or_else(|_| vec![], |rows| rows.iter().map(|row| row.get(0)).collect());
        (marker, rows)
    }

    /// A chunk that fails, for these reasons.
    async fn fails(&self, page: &str, read: &str, after: &str, class: &str, says: &[&str]) {
        let exit = self.extract(page, read, after).await;
        assert_eq!(exit.code, Some(1), "{page}: {}\n{}", exit.stdout, self.worker.stderr());
        for said in says {
            assert!(exit.stdout.contains(said), "{page}: {said}: {}", exit.stdout);
        }
        let marker = self.house.markers("items", &self.house.runs().pop().unwrap()).remove(0);
        assert_eq!(text(&marker, "/outcome/class"), class, "{page}: {marker:#}");
        // what the source's file can mend is not tried again
        let attempts = if class == "transient" { "2" } else { "1" };
        assert_eq!(text(&marker, "/grant/attempt"), attempts, "{page}: {marker:#}");
    }
}

/// The rows `1=…` to `n=…`.
fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{n}=v{n}")).collect()
}

fn evidence(marker: &serde_json::Value) -> String {
    text(marker, "/outcome/evidence")
}
