//! Reads the answer that the page itself asked its server for.

use std::time::Instant;

use nstore_shared::{
    config::spec::browser::{AnswerFormat, LaneSpec},
    storage::marker::Evidence,
};
use serde_json::{Value, json};

use super::{
    Brought, LOOK_AGAIN, Reading,
    decode::{
        dsr::{self, Completeness},
        json,
    },
};
use crate::extract::browser::{chrome::watch::Asked, scripts::Script, trouble::Trouble, visit::script};

/// Parts of one answer; more are no answer.
const PARTS: u64 = 1000;
/// Where a query of Power BI's says from where its answer goes on.
const WINDOW: &str =
    "/queries/0/Query/Commands/0/SemanticQueryDataShapeCommand/Binding/DataReduction/Primary/Window";
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

impl Reading<'_> {
    pub(super) async fn response(
        &self,
        spec: &LaneSpec,
        url: &str,
        format: AnswerFormat,
        records: &str,
    ) -> Result<Brought, Trouble> {
        let asked = self.answers(url).await?;
        // a page asks for each of its visuals: the newest answer that holds our columns is ours
        let mut reasons: Vec<String> = Vec::new();
        for one in &asked {
            if let Some(status) = one.status.filter(|status| !(200..300).contains(status)) {
                reasons.push(format!("{} was answered with {status}", one.url));
                continue;
            }
            let id = one.id.clone();
            let body = self.chrome.ask(self.limit, move |seat| seat.answer(&id)).await?;
            let read = match format {
                AnswerFormat::Json => json::decode(&body, records, &spec.names)
                    .map(|table| Brought { table, pages: 1, evidence: vec![] })
                    .map_err(|error| error.to_string()),
                AnswerFormat::Dsr => match dsr::decode(&body, &spec.names) {
                    Ok(decoded) => return self.whole(spec, one, decoded).await,
                    Err(error) => Err(error.to_string()),
                },
            };
            match read {
                Ok(brought) => return Ok(brought),
                Err(reason) => reasons.push(reason),
            }
        }
        reasons.dedup();
        Err(Trouble::passing(reasons.join("; ")))
    }

    /// The ended requests to an address, the newest first; waits for the first one.
    async fn answers(&self, url: &str) -> Result<Vec<Asked>, Trouble> {
        let end = Instant::now() + self.limit;
        loop {
            let asked = self.chrome.watch.asked_since(self.mark, url);
            if !asked.is_empty() && asked.iter().all(|one| one.ended) {
                return Ok(asked);
            }
            if Instant::now() > end {
                let seconds = self.limit.as_secs();
                return Err(Trouble::passing(format!(
                    "the page got no answer from an address with `{url}` in it within {seconds} s"
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// An answer that is cut has tokens in it: asked again with them, the next part comes.
    async fn whole(&self, spec: &LaneSpec, asked: &Asked, first: dsr::Decoded) -> Result<Brought, Trouble> {
        let mut brought = Brought { table: first.table, pages: 1, evidence: vec![] };
        let mut completeness = first.completeness;
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
            let (body, part) = self.part(asked, body, &tokens).await?;
            question = Some(body);
            seen.push(tokens);
            let decoded =
                dsr::decode(&part, &spec.names).map_err(|error| Trouble::passing(error.to_string()))?;
            brought.table.rows.extend(decoded.table.rows);
            brought.pages += 1;
            completeness = decoded.completeness;
        }
        if completeness == Completeness::Complete {
            brought.evidence.push(Evidence::AnswerComplete);
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

    async fn part(&self, asked: &Asked, mut body: Value, tokens: &str) -> Result<(Value, Vec<u8>), Trouble> {
        let tokens: Value = serde_json::from_str(tokens)
            .map_err(|e| Trouble::passing(format!("the answer's restart tokens are no json: {e}")))?;
        let window = body.pointer_mut(WINDOW).and_then(Value::as_object_mut);
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
        let input = json!({ "url": asked.url, "headers": headers, "body": body.to_string() });
        let answer = script(self.chrome, self.frame, Script::Replay, input, self.limit).await?;
        let status = super::number(&answer, "status");
        if status != 200 {
            return Err(Trouble::passing(format!("the next part of the answer came with status {status}")));
        }
        let text = answer.get("body").and_then(Value::as_str).unwrap_or_default();
        Ok((body, text.as_bytes().to_vec()))
    }
}
