//! The endpoints beside the APIs: truth, request log, faults.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ZONE,
    faults::{Fault, OF_APIS},
    log::Request,
    portal,
    rows::Api,
    serve::Hall,
    truth::{Truth, checksum_sql},
};

type Refusal = (StatusCode, Json<Value>);

/// All of them.
pub(crate) fn routes(hall: &Arc<Hall>) -> Router {
    Router::new()
        .route("/truth", get(truth))
        .route("/sql", get(sql))
        .route("/requests", get(requests).delete(clear_requests))
        .route("/max_in_flight", get(max_in_flight))
        .route("/portal_form/{form}", post(portal_form))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .with_state(Arc::clone(hall))
}

fn api_named(name: &str) -> Result<Api, Refusal> {
    let names = Api::ALL.map(Api::name).join(", ");
    let message = format!("no source `{name}`; there are {names}");
    Api::named(name).ok_or((StatusCode::NOT_FOUND, Json(json!({"error": message}))))
}

#[derive(Deserialize)]
struct Days {
    source: String,
    start: NaiveDate,
    end: NaiveDate,
}

async fn truth(State(hall): State<Arc<Hall>>, Query(days): Query<Days>) -> Result<Json<Truth>, Refusal> {
    let api = api_named(&days.source)?;
    let truth = tokio::task::spawn_blocking(move || hall.stock.truth(api, days.start, days.end)).await;
    truth.map(Json).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": "stopped"}))))
}

#[derive(Deserialize)]
struct Table {
    source: String,
    schema: Option<String>,
}

async fn sql(State(hall): State<Arc<Hall>>, Query(table): Query<Table>) -> Result<String, Refusal> {
    let contract = hall.stock.contract(api_named(&table.source)?);
    Ok(checksum_sql(&contract, table.schema.as_deref().unwrap_or("public"), ZONE))
}

async fn requests(State(hall): State<Arc<Hall>>) -> Json<Vec<Request>> {
    Json(hall.log.requests())
}

async fn clear_requests(State(hall): State<Arc<Hall>>) {
    hall.log.clear();
}

async fn portal_form(State(hall): State<Arc<Hall>>, Path(form): Path<portal::Form>) {
    hall.portal.serve(form);
}

#[derive(Deserialize)]
struct Source {
    source: Option<String>,
}

async fn max_in_flight(State(hall): State<Arc<Hall>>, Query(of): Query<Source>) -> Json<Value> {
    Json(json!({"max_in_flight": hall.log.max_in_flight(of.source.as_deref())}))
}

async fn faults(State(hall): State<Arc<Hall>>) -> Json<Vec<Fault>> {
    Json(hall.faults.pending())
}

async fn add_fault(State(hall): State<Arc<Hall>>, Json(fault): Json<Fault>) -> Result<StatusCode, Refusal> {
    let known = match api_named(&fault.source)? {
        Api::NetworkObservability => portal::knows(fault.kind),
        _ => OF_APIS.contains(&fault.kind),
    };
    if !known {
        let message = format!("source {} has no fault of kind {:?}", fault.source, fault.kind);
        return Err((StatusCode::BAD_REQUEST, Json(json!({"error": message}))));
    }
    hall.faults.add(fault);
    Ok(StatusCode::CREATED)
}

async fn clear_faults(State(hall): State<Arc<Hall>>) {
    hall.faults.clear();
}
