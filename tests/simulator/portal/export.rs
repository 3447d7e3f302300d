//! `GET /powerbi/export`: the rows as a file, silently cut at a cap as Power BI does.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use chrono::{NaiveDate, NaiveDateTime};
use futures::{StreamExt, stream};
use rust_xlsxwriter::{Format, Workbook};
use serde::Deserialize;
use serde_json::json;

use super::{
    among,
    figures::{self, Figure, Filter, NAMES},
    json, places, respond, struck, to_login, with_header,
};
use crate::simulator::{faults::FaultKind, serve::Hall, stock::Stock};

const PAUSE: Duration = Duration::from_secs(2);

/// A kind of file, with its cap and its media type.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Csv,
    Xlsx,
}

impl Kind {
    fn cap(self) -> u64 {
        match self {
            Self::Csv => 30_000,
            Self::Xlsx => 150_000,
        }
    }

    fn media(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    format: Kind,
    first: NaiveDate,
    last: NaiveDate,
    status: Option<String>,
    token: Option<String>,
}

pub(super) async fn download(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    if hall.portal.sessions.of(&headers, wanted.token.as_deref()).is_none() {
        return to_login("/powerbi/reports/network-obs");
    }
    let window = figures::window(wanted.first, wanted.last);
    let faults = struck(&hall, places::EXPORT, Some(&window)).await;
    let kind = wanted.format;
    let cap = hall.portal.export_cap.unwrap_or(kind.cap());
    let cap = if among(&faults, FaultKind::HeaderOnly) { 0 } else { cap };
    let filter = Filter { window, status: wanted.status };
    let work = tokio::task::spawn_blocking(move || file(&hall.stock, &filter, kind, cap));
    let bytes = match work.await {
        _ if among(&faults, FaultKind::ExportHtml) => include_bytes!("pages/unavailable.html").to_vec(),
        Ok(Ok(bytes)) => bytes,
        _ => return json(StatusCode::BAD_REQUEST, &json!({"error": {"code": "QueryTooWide"}})),
    };
    let body = if among(&faults, FaultKind::SlowDownload) { pausing(bytes) } else { Body::from(bytes) };
    let name = match kind {
        Kind::Csv => "attachment; filename=\"data.csv\"",
        Kind::Xlsx => "attachment; filename=\"data.xlsx\"",
    };
    with_header(respond(StatusCode::OK, kind.media(), body), header::CONTENT_DISPOSITION, name)
}

/// Half of it, a pause, the other half.
fn pausing(bytes: Vec<u8>) -> Body {
    let mut rest = Bytes::from(bytes);
    let half = rest.split_to(rest.len() / 2);
    let late = async move {
        tokio::time::sleep(PAUSE).await;
        Ok::<_, std::io::Error>(rest)
    };
    Body::from_stream(stream::once(async { Ok(half) }).chain(stream::once(late)))
}

fn file(stock: &Stock, filter: &Filter, kind: Kind, cap: u64) -> anyhow::Result<Vec<u8>> {
    let mut figures = figures::figures(stock, filter).context("the window is too wide")?;
    figures.truncate(usize::try_from(cap)?);
    match kind {
        Kind::Csv => csv(&figures),
        Kind::Xlsx => workbook(&figures),
    }
}

/// As Excel likes it: a byte order mark, and lines that end as on Windows.
fn csv(figures: &[Figure]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(NAMES)?;
    for figure in figures {
        let time = figure.time.format("%Y-%m-%d %H:%M:%S").to_string();
        let texts = [&figure.metric, &figure.value, &figure.status].map(|text| text.as_deref().unwrap_or(""));
        writer.write_record([&time, texts[0], texts[1], texts[2]])?;
    }
    Ok(writer.into_inner()?)
}

fn workbook(figures: &[Figure]) -> anyhow::Result<Vec<u8>> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name("Export")?;
    let date = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    sheet.set_column_width(0, 20)?.set_column_width(1, 24)?;
    sheet.write_row(0, 0, NAMES)?;
    for (row, figure) in (1..).zip(figures) {
        sheet.write_number_with_format(row, 0, excel_time(figure.time), &date)?;
        if let Some(metric) = &figure.metric {
            sheet.write_string(row, 1, metric)?;
        }
        match figure.value.as_deref().map(|text| (text, text.parse::<f64>())) {
            Some((_, Ok(number))) => sheet.write_number(row, 2, number)?,
            Some((text, Err(_))) => sheet.write_string(row, 2, text)?,
            None => sheet,
        };
        if let Some(status) = &figure.status {
            sheet.write_string(row, 3, status)?;
        }
    }
    Ok(book.save_to_buffer()?)
}

/// Days since the end of 1899, the seconds as a fraction.
fn excel_time(time: NaiveDateTime) -> f64 {
    const SINCE_1970: f64 = 25_569.0;
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century have far less than 52 bits")]
    let seconds = time.and_utc().timestamp() as f64;
    SINCE_1970 + seconds / 86_400.0
}
