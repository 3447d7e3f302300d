//! Reads the answer that the page itself asked its server for.

use std::{collections::HashMap, time::Instant};

use nstore_shared::{
    config::{
        path::FieldPath,
        spec::browser::{AnswerFormat, Lane, LaneSpec, Parts},
    },
    retry::FailureClass,
    storage::marker::Evidence,
};
use serde_json::{Value, json as object};
use tokio::task::spawn_blocking;

use super::{
    ASKS_WITHIN, Brought, Reading,
    decode::{
        dsr::{self, Completeness, DsrError},
        json::{self, JsonError, Records},
    },
    parts::{self, Part, PartsError, Question},
};
use crate::extract::browser::{chrome::watch::Asked, scripts::Script, trouble::Trouble, visit::script};

/// Parts of one answer; more are no answer.
const MAX_PARTS: u64 = 1000;
/// Where a query of Power BI's says from where its answer goes on.
const WINDOW: &str = "/Query/Commands/0/SemanticQueryDataShapeCommand/Binding/DataReduction/Primary/Window";
/// Headers that a page may not set.
const FORBIDDEN: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "host",
    "origin",
    "referer",
    "user-agent",
    "te",
];

/// What is read.
pub(super) struct How<'a> {
    pub(super) url: &'a str,
    pub(super) format: AnswerFormat,
    pub(super) records: &'a FieldPath,
    pub(super) parts: Parts,
}

/// Why an answer gives no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unusable {
    /// It is of something else.
    Other(Trouble),
    /// It says no, or makes no sense.
    Failed(Trouble),
}

impl From<DsrError> for Unusable {
    fn from(error: DsrError) -> Self {
        let trouble = Trouble::passing(error.to_string());
        match error {
            DsrError::NoSuchQuery { .. } => Self::Other(trouble),
            _ => Self::Failed(trouble),
        }
    }
}

impl From<JsonError> for Unusable {
    fn from(error: JsonError) -> Self {
        let config = Trouble::new(FailureClass::Config, error.to_string());
        match error {
            JsonError::NoRecords { .. } | JsonError::OtherRecords(_) => Self::Other(config),
            JsonError::FlatKey { .. } => Self::Failed(config),
            _ => Self::Failed(Trouble::passing(error.to_string())),
        }
    }
}

impl Reading<'_> {
    pub(super) async fn response(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        match (how.format, how.parts) {
            (AnswerFormat::Dsr, _) => self.newest_dsr(spec, how).await,
            (AnswerFormat::Json, Parts::Newest) => self.newest_json(spec, how).await,
            (AnswerFormat::Json, Parts::Join) => self.joined_json(spec, how).await,
        }
    }

    /// Power BI's answers say themselves whether they are whole: the newest one that holds our columns is ours. One that
    /// failed may have been ours too, and an older one is of an older filter.
    async fn newest_dsr(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        let mut other = None;
        for one in self.answers(how.url).await? {
            good_status(&one)?;
            // a part that the page asked for goes on where another answer ends
            if self.goes_on(&one).await? {
                continue;
            }
            let (body, names) = (self.body(&one).await?, spec.names.clone());
            let decoded = spawn_blocking(move || dsr::decode(&body, &names).map_err(Unusable::from)).await;
            match decoded.map_err(|e| Trouble::passing(e.to_string()))? {
                Ok(decoded) => return self.whole(spec, &one, decoded).await,
                Err(Unusable::Failed(trouble)) => return Err(trouble),
                Err(Unusable::Other(trouble)) => other = Some(trouble),
            }
        }
        Err(other.unwrap_or_else(|| Trouble::passing("the page asked for no answer from its beginning")))
    }

    /// The newest answer that holds our columns.
    async fn newest_json(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        let mut other = None;
        for one in self.answers(how.url).await? {
            good_status(&one)?;
            match self.json(spec, how, &one).await? {
                Ok(records) => return Ok(brought(records, 1, None)),
                Err(Unusable::Failed(trouble)) => return Err(trouble),
                Err(Unusable::Other(trouble)) => other = Some(trouble),
            }
        }
        Err(other.unwrap_or_else(|| Trouble::passing("the page got no answer")))
    }

    /// All answers that hold our columns, joined; after a part that is full, another one is waited for.
    async fn joined_json(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        let end = Instant::now() + self.limit;
        let mut known: HashMap<String, Result<Records, Unusable>> = HashMap::new();
        loop {
            let mut asked = self.answers(how.url).await?;
            asked.reverse();
            for one in asked.iter().filter(|one| is_good(one)) {
                if !known.contains_key(&one.id) {
                    known.insert(one.id.clone(), self.json(spec, how, one).await?);
                }
            }
            let joined = parts::join(self.parts(&asked, &known)?)
                .map_err(|error| Trouble::new(class_of(&error), error.to_string()))?;
            if !joined.may_go_on(spec.cap)
                || Instant::now() > end
                || !self.asks_again(how.url, asked.len()).await?
            {
                let counted = Some(joined.last).filter(|_| joined.parts > 1);
                return Ok(brought(joined.records, joined.parts, counted));
            }
            self.rest().await?;
        }
    }

    /// The answers that hold our columns; one that failed and may have held them is an error.
    fn parts(
        &self,
        asked: &[Asked],
        known: &HashMap<String, Result<Records, Unusable>>,
    ) -> Result<Vec<Part>, Trouble> {
        let question = |one: &Asked| Question::read(&one.url, one.body.as_deref());
        let part = |one: &Asked| {
            let records = known.get(&one.id)?.as_ref().ok()?.clone();
            Some(Part { question: question(one), records })
        };
        let parts: Vec<Part> = asked.iter().filter_map(part).collect();
        let newest = parts.last().map(|part| &part.question);
        let mut other = None;
        for (at, one) in asked.iter().enumerate() {
            let trouble = match known.get(&one.id) {
                Some(Ok(_)) => continue,
                Some(Err(Unusable::Other(trouble))) => {
                    other = Some(trouble.clone());
                    continue;
                }
                Some(Err(Unusable::Failed(trouble))) => trouble.clone(),
                None => match good_status(one) {
                    Err(trouble) => trouble,
                    Ok(()) => Trouble::passing(format!("{} got no answer", one.place())),
                },
            };
            let own = question(one);
            let asked_again = |later: &Asked| {
                matches!(known.get(&later.id), Some(Ok(_))) && question(later).sense() == own.sense()
            };
            let concerns = newest.is_none_or(|newest| {
                newest.address() == own.address() && (one.status.is_some() || newest.view() == own.view())
            });
            if concerns && !asked[at + 1..].iter().any(asked_again) {
                return Err(trouble);
            }
        }
        match (parts.is_empty(), other) {
            (true, Some(trouble)) => Err(trouble),
            _ => Ok(parts),
        }
    }

    /// Whether the page asks an address for more, beyond so many requests, within a moment.
    async fn asks_again(&self, url: &str, count: usize) -> Result<bool, Trouble> {
        let end = Instant::now() + ASKS_WITHIN;
        while self.chrome.watch.asked_since(self.mark, url).len() <= count {
            if Instant::now() > end {
                return Ok(false);
            }
            self.chrome.look_again().await?;
        }
        Ok(true)
    }

    async fn body(&self, asked: &Asked) -> Result<Vec<u8>, Trouble> {
        let id = asked.id.clone();
        Ok(self.chrome.ask(self.limit, move |seat| seat.answer(&id)).await?)
    }

    async fn json(
        &self,
        spec: &LaneSpec,
        how: &How<'_>,
        asked: &Asked,
    ) -> Result<Result<Records, Unusable>, Trouble> {
        let body = self.body(asked).await?;
        if body.is_empty() {
            let trouble = Trouble::passing(format!("the answer from {} is empty", asked.place()));
            return Ok(Err(Unusable::Other(trouble)));
        }
        let (names, records) = (spec.names.clone(), how.records.clone());
        let decoded = spawn_blocking(move || json::decode(&body, &records, &names).map_err(Unusable::from));
        decoded.await.map_err(|e| Trouble::passing(e.to_string()))
    }

    /// Whether a query of Power BI's asks for a part after the first one.
    async fn goes_on(&self, asked: &Asked) -> Result<bool, Trouble> {
        let Ok(body) = self.question(asked).await else { return Ok(false) };
        let queries = body.get("queries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let tokens = |query: &Value| {
            query.pointer(&format!("{WINDOW}/RestartTokens")).and_then(Value::as_array).cloned()
        };
        Ok(queries.iter().filter_map(tokens).any(|tokens| !tokens.is_empty()))
    }

    /// The ended requests to an address, the newest first; waits for the first one.
    async fn answers(&self, url: &str) -> Result<Vec<Asked>, Trouble> {
        let began = Instant::now();
        let end = began + self.limit;
        loop {
            let asked = self.chrome.watch.asked_since(self.mark, url);
            if !asked.is_empty() && asked.iter().all(Asked::has_ended) {
                return Ok(asked);
            }
            // a page that never asks it is of another kind: the next lane need not wait
            let is_over = began.elapsed() > ASKS_WITHIN * 2
                && self.chrome.watch.unrest(self.read.settle, &self.read.ignore).is_none();
            if is_over && !self.is_last(Lane::Response) && self.chrome.watch.asked_since(0, url).is_empty() {
                let message = format!("the page came to rest and has asked no address with `{url}` in it");
                return Err(Trouble::passing(message));
            }
            if Instant::now() > end {
                let seconds = self.limit.as_secs();
                let trouble = Trouble::passing(format!(
                    "the page got no answer from an address with `{url}` in it within {seconds} s"
                ));
                // what came before the filter was set may say why nothing is asked any more
                let before = self.chrome.watch.asked_since(0, url).into_iter().find_map(|one| one.status);
                return Err(match before {
                    Some(status) => trouble.and(&format!("the last one before was answered with {status}")),
                    None => trouble,
                });
            }
            self.chrome.look_again().await?;
        }
    }

    /// An answer that is cut has tokens in it: asked again with them, the next part comes.
    async fn whole(&self, spec: &LaneSpec, asked: &Asked, first: dsr::Decoded) -> Result<Brought, Trouble> {
        let mut brought = Brought::new(first.table, vec![]);
        let (mut completeness, query) = (first.completeness, first.query);
        let mut seen: Vec<String> = Vec::new();
        let mut question: Option<Value> = None;
        while let Completeness::More(tokens) = completeness {
            if seen.contains(&tokens) || brought.pages >= MAX_PARTS {
                return Err(Trouble::passing(
                    "the answer comes in parts without an end: its restart tokens repeat",
                ));
            }
            let body = match question.take() {
                Some(body) => body,
                None => self.question(asked).await?,
            };
            let (body, part) = self.part(asked, body, query, &tokens).await?;
            question = Some(body);
            seen.push(tokens);
            let decoded =
                dsr::decode(&part, &spec.names).map_err(|error| Trouble::passing(error.to_string()))?;
            brought.table.rows.extend(decoded.table.rows);
            brought.pages += 1;
            completeness = decoded.completeness;
        }
        match completeness {
            Completeness::Complete => brought.evidence.push(Evidence::AnswerComplete),
            _ if spec.cap.is_none() && self.read.total.is_none() => {
                return Err(Trouble::capped("the answer does not say that it is complete"));
            }
            _ => {}
        }
        Ok(brought)
    }

    /// What the page asked.
    async fn question(&self, asked: &Asked) -> Result<Value, Trouble> {
        let text = match &asked.body {
            Some(body) => body.clone(),
            None => {
                let id = asked.id.clone();
                self.chrome.ask(self.limit, move |seat| seat.question(&id)).await?
            }
        };
        serde_json::from_str(&text)
            .map_err(|e| Trouble::passing(format!("the page's own query is not valid JSON: {e}")))
    }

    async fn part(
        &self,
        asked: &Asked,
        mut body: Value,
        query: usize,
        tokens: &str,
    ) -> Result<(Value, Vec<u8>), Trouble> {
        let tokens: Value = serde_json::from_str(tokens)
            .map_err(|e| Trouble::passing(format!("the answer's restart tokens are not valid JSON: {e}")))?;
        let window = body.pointer_mut(&format!("/queries/{query}{WINDOW}")).and_then(Value::as_object_mut);
        let no_place = "the answer was cut, and the page's query has no place for restart tokens";
        window.ok_or_else(|| Trouble::passing(no_place))?.insert("RestartTokens".to_owned(), tokens);
        let headers: serde_json::Map<String, Value> = asked
            .headers
            .iter()
            .filter(|(name, _)| {
                let name = name.to_lowercase();
                !FORBIDDEN.contains(&name.as_str()) && !name.starts_with("sec-") && !name.starts_with(':')
            })
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let input = object!({ "url": asked.url, "headers": headers, "body": body.to_string() });
        let answer = script(self.chrome, self.frame, Script::Replay, input, self.limit).await?;
        let status = super::number(&answer, "status");
        if status != 200 {
            return Err(Trouble::passing(format!("the next part of the answer came with status {status}")));
        }
        let text = answer.get("body").and_then(Value::as_str).unwrap_or_default();
        Ok((body, text.as_bytes().to_vec()))
    }
}

/// What came, and which columns no record has.
fn brought(records: Records, pages: u64, counted: Option<u64>) -> Brought {
    let absent =
        if records.hashes.is_empty() { vec![] } else { records.found.iter().map(|found| !found).collect() };
    Brought { pages, counted, absent, ..Brought::new(records.table, vec![]) }
}

fn is_good(asked: &Asked) -> bool {
    asked.status.is_some_and(|status| (200..300).contains(&status))
}

fn good_status(asked: &Asked) -> Result<(), Trouble> {
    match asked.status {
        Some(status) if !(200..300).contains(&status) => {
            Err(Trouble::passing(format!("{} was answered with {status}", asked.place())))
        }
        _ => Ok(()),
    }
}

/// What the source's file can mend is its fault; a list that changed can be read again.
fn class_of(error: &PartsError) -> FailureClass {
    match error {
        PartsError::SeveralViews { .. } => FailureClass::Config,
        PartsError::Changed | PartsError::Overlap(_) | PartsError::Gap { .. } | PartsError::Repeated => {
            FailureClass::Transient
        }
    }
}
