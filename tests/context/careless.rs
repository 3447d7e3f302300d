//! A store that is worse than S3: it overwrites whatever it is told, `If-None-Match` or not.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};

type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// Starts one; it ends with the test.
pub async fn careless_store() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let router = Router::new().fallback(any(object)).with_state(Objects::default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn object(State(objects): State<Objects>, method: Method, uri: Uri, body: Bytes) -> Response {
    let mut objects = objects.lock().expect("no handler panics");
    let tagged = [("ETag", "\"1\""), ("Last-Modified", "Mon, 01 Sep 2025 00:00:00 GMT")];
    match method {
        Method::PUT => {
            objects.insert(uri.path().to_owned(), body);
            tagged.into_response()
        }
        Method::GET => match objects.get(uri.path()) {
            Some(stored) => (tagged, stored.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_IMPLEMENTED.into_response(),
    }
}
