//! The report as it was before it had a frame: a plain table of texts, 50 rows a page, in the page itself.
//!
//! Ids and labels are those that the replaced program knew. There is no query whose answer could be read, and no export.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::Response,
};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::json;

use super::{
    figures::{self, FIRST_SHOWN, Figure, Filter, LAST_SHOWN, NAMES},
    page as html, places, respond, struck, with_header,
};
use crate::simulator::{rows::STATUSES, serve::Hall};

/// Rows on one page of the table.
const PAGE: usize = 50;

/// The page of somebody who is signed in.
pub(super) fn page(hall: &Hall) -> Response {
    let config = json!({
        "user": hall.tokens.get("powerbi.username"),
        "first": FIRST_SHOWN,
        "last": LAST_SHOWN,
        "statuses": STATUSES,
    });
    html(include_str!("pages/former.html"), &config)
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    first: NaiveDate,
    last: NaiveDate,
    status: Option<String>,
    page: usize,
}

/// `GET /powerbi/reports/network-obs/rows`: one page of the table as HTML, the first row of it the header; the answer's
/// header `x-pages` says how many pages there are.
pub(super) async fn rows(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let signed_out = || respond(StatusCode::UNAUTHORIZED, "text/plain", "signed out");
    let Some(session) = hall.portal.sessions.of(&headers, None) else { return signed_out() };
    let window = figures::window(wanted.first, wanted.last);
    if !struck(&hall, places::SESSION, Some(&window)).await.is_empty() {
        hall.portal.sessions.forget(&session);
        return signed_out();
    }
    let filter = Filter { window, status: wanted.status };
    let found = tokio::task::spawn_blocking(move || figures::figures(&hall.stock, &filter)).await;
    let Ok(Some(figures)) = found else {
        return respond(StatusCode::BAD_REQUEST, "text/plain", "the window is too wide");
    };
    let pages = figures.len().div_ceil(PAGE).max(1);
    let shown = figures.iter().skip((wanted.page.max(1) - 1) * PAGE).take(PAGE);
    let lines =
        std::iter::once(line(&NAMES.map(str::to_owned))).chain(shown.map(|figure| line(&texts(figure))));
    let body: String = lines.collect();
    let response = respond(StatusCode::OK, "text/html; charset=utf-8", body);
    with_header(response, HeaderName::from_static("x-pages"), &pages.to_string())
}

fn line(texts: &[String]) -> String {
    let cells = texts.iter().map(|text| format!("<td>{}</td>", escaped(text)));
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As the table shows a row: `8/1/2025 12:15:00 AM`, `1,234.56`, nothing for null.
fn texts(figure: &Figure) -> [String; 4] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        figure.time.format("%-m/%-d/%Y %-I:%M:%S %p").to_string(),
        text(&figure.metric),
        figure.value.as_deref().map(grouped).unwrap_or_default(),
        text(&figure.status),
    ]
}

/// A plain decimal number with commas between its thousands; other texts stay as they are.
fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    if whole.is_empty() || !whole.bytes().chain(fraction.unwrap_or("0").bytes()).all(|b| b.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = sign.to_owned();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    fraction.map_or(out.clone(), |fraction| format!("{out}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.5", "-1,234,567.5"),
            ("12.25", "12.25"),
            ("n/a", "n/a"),
            ("1e5", "1e5"),
        ];
        for (plain, written) in cases {
            assert_eq!(grouped(plain), written);
        }
    }
}
