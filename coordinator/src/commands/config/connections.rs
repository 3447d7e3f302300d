//! `nstore config test-connections`: one line for each service and source, with its latency or the fix.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use nstore_shared::{
    chunk::{Kind, SourceId},
    config::Services,
    redis::{Redis, clock},
    storage::Storage,
};
use serde::Serialize;

use super::probe;
use crate::{
    cli::Global,
    commands::{
        access,
        exit::{Exit, Refusal},
        explain, settings, view,
    },
    db::Db,
};

/// A service that takes longer is not usable.
const LIMIT: Duration = Duration::from_secs(15);

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::commands) enum Answer {
    /// It works.
    Ok,
    /// It answers, and something is wrong.
    Failed,
    /// It does not answer.
    Unreachable,
    /// It answers, and has no record on the days tried.
    NoData,
    /// It was not tried, and that is no fault: this host lacks a secret.
    NotTried,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(in crate::commands) struct Tried {
    pub(in crate::commands) what: String,
    pub(in crate::commands) answer: Answer,
    pub(in crate::commands) millis: Option<u64>,
    pub(in crate::commands) detail: String,
    pub(in crate::commands) hint: Option<String>,
}

pub(in crate::commands) async fn test(
    global: &Global,
    sources: &[String],
    date: Option<NaiveDate>,
    json: bool,
) -> anyhow::Result<Exit> {
    let config = settings::config_for(global, None, sources)?;
    let known = config.names();
    let chosen = chosen(&known, sources)?;
    let (services, local) = access::services_to_try(global, &config.services).await?;
    let in_browser = |id: &SourceId| config.sources.get(id).is_some_and(|s| s.spec.kind() == Kind::Browser);
    let browsers = config.sources.keys().any(|id| chosen.contains(&id.as_str()) && in_browser(id));
    access::warn_of_sandbox(global.local && browsers);
    let mut tried = vec![redis(&services).await, postgres(&services).await, storage(&services).await];
    for source in chosen {
        tried.push(match config.broken.get(source) {
            Some(faults) => broken(source, *faults),
            None => probe::probe(global, source, date).await,
        });
    }
    access::end(local).await;
    if json {
        view::print_json(&tried);
    } else {
        view::print(&view::connections::table(&tried));
    }
    Ok(overall(&tried))
}

/// A source that is not asked, because its description is wrong.
fn broken(source: &str, faults: usize) -> Tried {
    Tried {
        what: source.to_owned(),
        answer: Answer::Failed,
        millis: None,
        detail: format!("its description has {}", view::quantity::count(faults as u64, "problem")),
        hint: Some("`nstore config validate` lists what is wrong".to_owned()),
    }
}

fn chosen<'a>(known: &'a BTreeSet<String>, names: &'a [String]) -> Result<Vec<&'a str>, Refusal> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = format!("sources: {}", known.join(", "));
        return Err(Refusal::new(Exit::Usage, format!("unknown source `{unknown}`"), hint));
    }
    Ok(known.into_iter().filter(|id| names.is_empty() || names.iter().any(|name| name == id)).collect())
}

fn overall(tried: &[Tried]) -> Exit {
    let any = |answer| tried.iter().any(|one| one.answer == answer);
    if any(Answer::Unreachable) {
        Exit::Unreachable
    } else if any(Answer::Failed) {
        Exit::Failed
    } else {
        Exit::Good
    }
}

async fn redis(services: &Services) -> Tried {
    attempt("redis", async {
        let redis = Redis::connect(&services.redis_url, &services.redis_prefix).await?;
        let facts = redis.check().await?;
        let place = view::redact::redact(&services.redis_url);
        let ahead = clock::remark(redis.clock_ahead().await?);
        let clock = ahead.map_or_else(String::new, |remark| format!("; this host: {remark}"));
        Ok((facts.latency, format!("version {} at {place}{clock}", facts.version)))
    })
    .await
}

async fn postgres(services: &Services) -> Tried {
    attempt("postgres", async {
        let db = Db::look(&services.postgres_url, &services.postgres_schema)?;
        let facts = db.check().await?;
        let place = view::redact::redact(&services.postgres_url);
        Ok((facts.latency, format!("version {} at {place}", facts.version)))
    })
    .await
}

async fn storage(services: &Services) -> Tried {
    attempt("storage", async {
        let storage = Storage::open(&services.storage_url)?;
        let latency = storage.check().await?;
        let place = match storage.free_bytes()? {
            Some(free) => format!("{} free at {}", view::quantity::bytes(free), storage.url()),
            None => format!("at {}", storage.url()),
        };
        Ok((latency, place))
    })
    .await
}

async fn attempt(what: &str, work: impl Future<Output = anyhow::Result<(Duration, String)>>) -> Tried {
    let started = Instant::now();
    let failed = |error: &anyhow::Error| {
        let said = explain::explain(error);
        let answer = if said.exit == Exit::Unreachable { Answer::Unreachable } else { Answer::Failed };
        Tried { what: what.to_owned(), answer, millis: None, detail: said.error, hint: said.hint }
    };
    match tokio::time::timeout(LIMIT, work).await {
        Ok(Ok((latency, detail))) => Tried {
            what: what.to_owned(),
            answer: Answer::Ok,
            millis: u64::try_from(latency.as_millis()).ok(),
            detail,
            hint: None,
        },
        Ok(Err(error)) => failed(&error),
        Err(_) => {
            let text = format!("no answer within {} s", started.elapsed().as_secs());
            failed(&Refusal { exit: Exit::Unreachable, text, hint: None }.into())
        }
    }
}
