//! Reads the answer that the page itself asked its server for.

use std::time::Instant;

use nstore_shared::{
    config::spec::browser::{AnswerFormat, Lane, LaneSpec},
    storage::marker::Evidence,
};
use serde_json::{Value, json as object};
use tokio::task::spawn_blocking;

use super::{
    ASKS_WITHIN, Brought, Reading,
    decode::{
        Table,
        dsr::{self, Completeness, DsrError},
        json::{self, JsonError},
    },
};
use crate::extract::browser::{chrome::watch::Asked, scripts::Script, trouble::Trouble, visit::script};

/// Parts of one answer; more are no answer.
const PARTS: u64 = 1000;
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

/// An answer that could be read.
enum Decoded {
    Json(Table),
    Dsr(dsr::Decoded),
}

/// One that could not.
enum Odd {
    /// It is of something else.
    Other(String),
    /// It says no, or makes no sense.
    Failed(String),
}

impl From<DsrError> for Odd {
    fn from(error: DsrError) -> Self {
        match error {
            DsrError::NoSuchQuery { .. } => Self::Other(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<JsonError> for Odd {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::NoRecords { .. } | JsonError::OtherRecords => Self::Other(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Reading<'_> {
    pub(super) async fn response(
        &self,
        spec: &LaneSpec,
        url: &str,
        format: AnswerFormat,
        records: &str,
    ) -> Result<Brought, Trouble> {
        let asked = self.answers(url).await?;
        // a page asks for each of its visuals: the newest answer that holds our columns is ours. One that failed may
        // have been ours too, and an older one is of an older filter.
        let mut other = String::new();
        for one in asked {
            if let Some(status) = one.status.filter(|status| !(200..300).contains(status)) {
                return Err(Trouble::passing(format!("{} was answered with {status}", one.place())));
            }
            let id = one.id.clone();
            let body = self.chrome.ask(self.limit, move |seat| seat.answer(&id)).await?;
            let (names, records) = (spec.names.clone(), records.to_owned());
            let decoded = spawn_blocking(move || match format {
                AnswerFormat::Json => {
                    json::decode(&body, &records, &names).map(Decoded::Json).map_err(Odd::from)
                }
                AnswerFormat::Dsr => dsr::decode(&body, &names).map(Decoded::Dsr).map_err(Odd::from),
            });
            match decoded.await.map_err(|e| Trouble::passing(e.to_string()))? {
                Ok(Decoded::Json(table)) => return Ok(Brought { table, pages: 1, evidence: vec![] }),
                Ok(Decoded::Dsr(decoded)) => return self.whole(spec, &one, decoded).await,
                Err(Odd::Failed(reason)) => return Err(Trouble::passing(reason)),
                Err(Odd::Other(reason)) => other = reason,
            }
        }
        Err(Trouble::passing(other))
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
        let mut brought = Brought { table: first.table, pages: 1, evidence: vec![] };
        let (mut completeness, query) = (first.completeness, first.query);
        let mut seen: Vec<String> = Vec::new();
        let mut question: Option<Value> = None;
        while let Completeness::More(tokens) = completeness {
            if seen.contains(&tokens) || brought.pages >= PARTS {
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
            .map_err(|e| Trouble::passing(format!("the page's own query is no json: {e}")))
    }

    async fn part(
        &self,
        asked: &Asked,
        mut body: Value,
        query: usize,
        tokens: &str,
    ) -> Result<(Value, Vec<u8>), Trouble> {
        let tokens: Value = serde_json::from_str(tokens)
            .map_err(|e| Trouble::passing(format!("the answer's restart tokens are no json: {e}")))?;
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
