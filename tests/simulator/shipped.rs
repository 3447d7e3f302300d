//! The shipped sources against the simulator, and its checksums against Postgres.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use chrono::{DateTime, Days};
use futures::SinkExt;
use nstore_shared::{
    chunk::ChunkRange,
    config::{self, Config, LoadOptions, secrets::Secrets, spec::ExtractSpec},
};
use nstore_worker::{
    extract::{Extractor, Sent, Span, api::ApiExtractor},
    refine::Refiner,
};
use tokio::sync::mpsc;

use super::{
    calendar::midnight,
    cell::{Cell, hundredths, ten_thousandths},
    compare::{Comparison, compare},
    *,
};
use crate::context::{Postgres, postgres};

const START: &str = "2025-07-30";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A value as COPY's CSV format reads it.
fn csv_field(cell: &Cell) -> String {
    let text = match cell {
        Cell::Null => return String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Int(number) => number.to_string(),
        Cell::Hundredths(number) => hundredths(*number),
        Cell::TenThousandths(number) => ten_thousandths(*number),
        Cell::Double(number) => number.to_string(),
        Cell::Bool(flag) => flag.to_string(),
        Cell::Date(day) => day.to_string(),
        Cell::Time(micros) => DateTime::from_timestamp_micros(*micros).unwrap().to_rfc3339(),
        Cell::Json(value) => value.to_string(),
    };
    format!("\"{}\"", text.replace('"', "\"\""))
}

async fn create(postgres: &Postgres, contract: &Contract) {
    let columns: Vec<String> = contract.columns.iter().map(|c| format!("{} {}", c.name, c.kind)).collect();
    let sql = format!("CREATE TABLE {} ({})", contract.table, columns.join(", "));
    postgres.client().await.batch_execute(&sql).await.unwrap();
}

async fn copy(postgres: &Postgres, api: Api, csv: Bytes) {
    let sql = format!("COPY {} FROM STDIN (FORMAT csv)", api.name());
    let client = postgres.client().await;
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(&sql).await.unwrap());
    sink.send(csv).await.unwrap();
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_table_with_the_right_rows_is_equal_to_the_truth() {
    let sim = start(Options { rows_per_day: 300, ..Options::default() }).await.unwrap();
    let postgres = postgres().await;
    for api in Api::ALL {
        create(&postgres, &sim.contract(api)).await;
        let window = midnight(day(START))..midnight(day("2025-08-04"));
        let mut csv = String::new();
        for (day, index) in sim.hall.stock.slice(api, window).unwrap().page(0, u64::MAX) {
            let row = sim.hall.stock.row(api, day, index).unwrap();
            csv += &row.cells.iter().map(csv_field).collect::<Vec<_>>().join(",");
            csv.push('\n');
        }
        copy(&postgres, api, csv.into()).await;
    }
    let asked = Comparison {
        simulator: sim.url.clone(),
        psql: format!("psql {}", postgres.url),
        schema: "public".to_owned(),
        start_date: day(START),
        end_date: day("2025-08-03"),
        sources: vec![],
    };
    assert!(compare(&asked).await.unwrap());
    let sql =
        "UPDATE buyer_tickets SET subject = subject || ' ' WHERE priority = 3; DROP TABLE seller_tickets";
    postgres.client().await.batch_execute(sql).await.unwrap();
    assert!(!compare(&asked).await.unwrap());
    assert!(compare(&Comparison { sources: vec!["seller_orders".to_owned()], ..asked }).await.unwrap());
}

/// Config and secrets of the shipped sources, pointed at a simulator.
fn shipped(sim: &Simulator) -> (Config, Secrets) {
    let env: BTreeMap<String, String> = sim.env().into_iter().collect();
    let look_up = move |name: &str| env.get(name).cloned();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let config = config::load(&dir, &LoadOptions { env: &look_up, timezone: None }).unwrap();
    (config, Secrets::load(Path::new("/nowhere"), look_up).unwrap())
}

#[tokio::test]
async fn the_shipped_sources_extract_the_truth() {
    let sim = start(Options { rows_per_day: 250, ..Options::default() }).await.unwrap();
    let (config, secrets) = shipped(&sim);
    let postgres = postgres().await;
    let (first, last) = (day(START), day(START) + Days::new(8));
    for api in Api::HTTP {
        let source = &config.sources[&api.name().parse().unwrap()];
        let columns = |c: &Contract| c.columns.iter().map(|c| (c.name.clone(), c.kind)).collect::<Vec<_>>();
        assert_eq!(columns(&source.contract), columns(&api.contract()), "{}", api.name());
        assert_eq!(source.contract.range_column, api.contract().range_column);
        create(&postgres, &source.contract).await;
        let (start, end) = ChunkRange::days(first, last + Days::new(1)).unwrap().instants(ZONE);
        let span = Span { start, end, zone: source.spec.timezone };
        let ExtractSpec::Api(spec) = &source.spec.extract else { panic!("an api") };
        let extractor = ApiExtractor::new(spec, &[], &|name| secrets.get(name), None, "test").unwrap();
        let mut refiner = Refiner::new(&source.contract, &spec.records, span).unwrap();
        let (sender, mut pages) = mpsc::channel(2);
        let (mut csv, mut rejects) = (vec![], vec![]);
        let read = async {
            while let Some(Sent::Page(page)) = pages.recv().await {
                refiner.page(&page, &mut csv, &mut rejects).unwrap();
            }
        };
        let (extracted, ()) = tokio::join!(extractor.extract(span, sender), read);
        assert!(extracted.unwrap().pages > 2, "{}", api.name());
        assert_eq!(String::from_utf8_lossy(&rejects), "");
        copy(&postgres, api, csv.into()).await;
    }
    let asked = Comparison {
        simulator: sim.url.clone(),
        psql: format!("psql {}", postgres.url),
        schema: "public".to_owned(),
        start_date: first,
        end_date: last,
        sources: Api::HTTP.map(|api| api.name().to_owned()).to_vec(),
    };
    assert!(compare(&asked).await.unwrap());
}

#[test]
fn the_examples_configure_without_a_fault() {
    for (dir, sources) in [
        ("../config", 6),
        ("../examples/datasette/config", 3),
        ("../examples/django/config", 2),
        ("../examples/dash/config", 3),
    ] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
        let config = config::load(&dir, &LoadOptions { env: &|_| None, timezone: None }).unwrap();
        assert!(config.sources.len() >= sources, "{}", dir.display());
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}
