//! `POST /powerbi/querydata`: the query that the page itself sends, and its answer.

use std::{ops::Range, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::NaiveDateTime;
use serde_json::{Value, json};

use super::{
    among,
    dsr::{self, Column},
    figures::{self, FIRST_SHOWN, Figure, Filter, LAST_SHOWN, NAMES},
    json, places, struck,
};
use crate::simulator::{calendar::from_local, faults::FaultKind, serve::Hall, stock::Stock};

/// The most rows of one answer, whatever is asked for.
const MOST: usize = 30_000;
const COMMAND: &str = "/Query/Commands/0/SemanticQueryDataShapeCommand";
const AT_LEAST: u64 = 2;
const LESS: u64 = 3;

pub(super) async fn answer(
    State(hall): State<Arc<Hall>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let signed_out = || json(StatusCode::UNAUTHORIZED, &json!({"error": {"code": "TokenExpired"}}));
    let Some(session) = hall.portal.sessions.of(&headers, None) else { return signed_out() };
    let queries = body["queries"].as_array().map_or(&[][..], Vec::as_slice);
    let asks: Option<Vec<Ask>> = queries.iter().map(|query| Ask::of(query.pointer(COMMAND)?)).collect();
    let Some(asks) = asks.filter(|asks| !asks.is_empty()) else {
        return json(StatusCode::BAD_REQUEST, &json!({"error": {"code": "QueryNotUnderstood"}}));
    };
    let window = asks[0].filter.window.clone();
    if !struck(&hall, places::SESSION, Some(&window)).await.is_empty() {
        hall.portal.sessions.forget(&session);
        return signed_out();
    }
    let faults = struck(&hall, places::QUERY, Some(&window)).await;
    if among(&faults, FaultKind::NoResponse) {
        return json(StatusCode::FORBIDDEN, &json!({"error": {"code": "NotAllowed"}}));
    }
    if among(&faults, FaultKind::OdataError) {
        let message = json!({"lang": "en-US", "value": "An error happened while the query ran."});
        let error = json!({"code": "rsDataShapeProcessingError", "message": message});
        return json(StatusCode::OK, &json!({"odata.error": error}));
    }
    let cut = among(&faults, FaultKind::Restart);
    let work = tokio::task::spawn_blocking(move || results(&hall.stock, &asks, cut));
    match work.await {
        Ok(Some(body)) => json(StatusCode::OK, &body),
        _ => json(StatusCode::BAD_REQUEST, &json!({"error": {"code": "QueryTooWide"}})),
    }
}

/// What one query asks for.
struct Ask {
    /// Names such as `Network.Value`.
    names: Vec<String>,
    filter: Filter,
    most: usize,
    /// Only rows after the one that these tokens name.
    after: Option<Value>,
}

impl Ask {
    fn of(command: &Value) -> Option<Self> {
        let query = &command["Query"];
        let names = query["Select"].as_array()?.iter().map(|item| item["Name"].as_str().map(str::to_owned));
        let top = &command["Binding"]["DataReduction"]["Primary"]["Window"];
        let mut limits = Limits::default();
        limits.read(&query["Where"]);
        let most = top["Count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(MOST);
        let after = top.get("RestartTokens").filter(|tokens| !tokens.is_null()).cloned();
        Some(Self {
            names: names.collect::<Option<_>>()?,
            filter: Filter { window: limits.window()?, status: limits.status },
            most: most.clamp(1, MOST),
            after,
        })
    }
}

/// What conditions say, however they are nested.
#[derive(Default)]
struct Limits {
    start: Option<i64>,
    end: Option<i64>,
    status: Option<String>,
}

impl Limits {
    fn read(&mut self, condition: &Value) {
        if let Some(comparison) = condition.get("Comparison") {
            let time = time_literal(&comparison["Right"]["Literal"]["Value"]);
            match comparison["ComparisonKind"].as_u64() {
                Some(AT_LEAST) => self.start = time,
                Some(LESS) => self.end = time,
                _ => {}
            }
        } else if let Some(status) = condition.pointer("/In/Values/0/0/Literal/Value").and_then(Value::as_str)
        {
            self.status = Some(status.trim_matches('\'').replace("''", "'"));
        }
        match condition {
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.read(field)),
            _ => {}
        }
    }

    /// What the report shows to whom no filter is applied, unless both ends are said.
    fn window(&self) -> Option<Range<i64>> {
        let shown = figures::window(FIRST_SHOWN.parse().ok()?, LAST_SHOWN.parse().ok()?);
        Some(self.start.zip(self.end).map_or(shown, |(start, end)| start..end))
    }
}

fn time_literal(value: &Value) -> Option<i64> {
    let text = value.as_str()?.strip_prefix("datetime'")?.strip_suffix('\'')?;
    Some(from_local(NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?))
}

fn results(stock: &Stock, asks: &[Ask], cut: bool) -> Option<Value> {
    let results: Option<Vec<Value>> = asks
        .iter()
        .enumerate()
        .map(|(n, ask)| {
            let data = match &ask.names[..] {
                [name] if name.starts_with("CountNonNull(") => total(stock, ask, name)?,
                _ => table(stock, ask, cut)?,
            };
            Some(json!({"jobId": format!("job-{n}"), "result": {"data": data}}))
        })
        .collect();
    let jobs: Vec<String> = (0..asks.len()).map(|n| format!("job-{n}")).collect();
    Some(json!({"jobIds": jobs, "results": results?}))
}

/// A card: how many rows there are.
fn total(stock: &Stock, ask: &Ask, name: &str) -> Option<Value> {
    let count = figures::figures(stock, &ask.filter)?.len();
    let columns = [Column { name: "M0".to_owned(), kind: 4, dictionary: None }];
    let select = json!([{"Kind": 2, "Value": "M0", "Format": "#,0", "Name": name}]);
    let (rows, _) = dsr::encode(&columns, std::iter::once(vec![json!(count)]));
    Some(shape(&select, &json!({"N": "DS0", "PH": [{"DM0": rows}], "IC": true})))
}

fn table(stock: &Stock, ask: &Ask, cut: bool) -> Option<Value> {
    let (columns, select) = columns(&ask.names)?;
    let mut figures = figures::figures(stock, &ask.filter)?;
    if let Some(after) = &ask.after {
        let last = figures.iter().position(|figure| restart_tokens(figure) == *after)?;
        figures.drain(..=last);
    }
    let most = if cut { figures.len() / 2 } else { figures.len() }.min(ask.most);
    let complete = most == figures.len();
    figures.truncate(most);
    let (fields, columns): (Vec<String>, Vec<Column>) = columns.into_iter().unzip();
    let rows = figures.iter().map(|figure| fields.iter().map(|field| value(figure, field)).collect());
    let (rows, dictionaries) = dsr::encode(&columns, rows);
    let mut set = json!({"N": "DS0", "PH": [{"DM0": rows}], "HAD": true, "ValueDicts": dictionaries});
    match figures.last().filter(|_| !complete) {
        Some(last) => set["RT"] = restart_tokens(last),
        None => set["IC"] = json!(complete),
    }
    Some(shape(&select, &set))
}

fn shape(select: &Value, set: &Value) -> Value {
    json!({
        "descriptor": {"Select": select},
        "metrics": {"Version": "1.0.0"},
        "dsr": {"Version": 2, "MinorVersion": 1, "DS": [set]},
    })
}

/// The columns as rows have them, groups first and the measure last as Power BI does, and the descriptor in the order
/// of the query.
fn columns(names: &[String]) -> Option<(Vec<(String, Column)>, Value)> {
    let (mut columns, mut measures, mut select, mut dictionaries) = (vec![], vec![], vec![], 0);
    for name in names {
        let of = name.strip_prefix("Network.").filter(|of| NAMES.contains(of))?;
        let (group, kind) = match of {
            "Timestamp" => (true, 7),
            "Value" => (false, 3),
            _ => (true, 1),
        };
        let dictionary = (kind == 1).then(|| format!("D{dictionaries}"));
        dictionaries += usize::from(kind == 1);
        let (list, letter) = if group { (&mut columns, 'G') } else { (&mut measures, 'M') };
        let short = format!("{letter}{}", list.len());
        select.push(match group {
            true => json!({"Kind": 1, "Depth": 0, "Value": short, "Name": name}),
            false => json!({"Kind": 2, "Value": short, "Format": "#,0.####", "Name": name}),
        });
        list.push((of.to_owned(), Column { name: short, kind, dictionary }));
    }
    columns.append(&mut measures);
    Some((columns, Value::Array(select)))
}

fn value(figure: &Figure, column: &str) -> Value {
    match column {
        "Timestamp" => json!(figure.time.and_utc().timestamp_millis()),
        "Metric" => json!(figure.metric),
        "Status" => json!(figure.status),
        _ => figure.value.as_deref().map_or(Value::Null, number),
    }
}

/// A JSON number where the text is one.
fn number(text: &str) -> Value {
    let whole = text.parse::<i64>().map(Value::from);
    whole.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| json!(text))
}

/// What names a row, so that an answer may go on behind it.
fn restart_tokens(figure: &Figure) -> Value {
    let metric = figure.metric.as_deref().unwrap_or_default().replace('\'', "''");
    json!([[format!("datetime'{}'", figure.time.format("%Y-%m-%dT%H:%M:%S")), format!("'{metric}'")]])
}
