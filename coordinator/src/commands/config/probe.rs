//! Lets the worker program try a source's login and first page; it sits beside this one.

use std::{process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::process::Command;

use super::connections::{Answer, Tried};
use crate::{cli::Global, commands::explain, local::workers};

/// What `nstore-worker probe SOURCE --json` prints.
#[derive(Debug, Deserialize)]
struct Probed {
    ok: bool,
    #[serde(default)]
    millis: Option<u64>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    unreachable: bool,
}

/// Tries one source.
pub(super) async fn probe(global: &Global, source: &str, limit: Duration) -> Tried {
    match run(global, source, limit).await {
        Ok(tried) => tried,
        Err(error) => {
            let said = explain::explain(&error);
            failed(source, said.error, said.hint)
        }
    }
}

async fn run(global: &Global, source: &str, limit: Duration) -> anyhow::Result<Tried> {
    let child = Command::new(workers::find_program()?)
        .args(["probe", source, "--json", "--config"])
        .arg(&global.config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = tokio::time::timeout(limit, child.wait_with_output()).await else {
        let text = format!("no answer within {} s", limit.as_secs());
        return Ok(Tried { answer: Answer::Unreachable, ..failed(source, text, None) });
    };
    let output = output?;
    Ok(match serde_json::from_slice::<Probed>(&output.stdout) {
        Ok(probed) => said(source, probed),
        Err(_) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let text = format!("nstore-worker probe ended with {}: {}", output.status, stderr.trim());
            failed(source, text, None)
        }
    })
}

fn said(source: &str, probed: Probed) -> Tried {
    let text = |first: Option<String>, second: Option<String>| first.or(second).unwrap_or_default();
    if probed.ok {
        let detail = text(probed.detail, None);
        return Tried {
            what: source.to_owned(),
            answer: Answer::Ok,
            millis: probed.millis,
            detail,
            hint: None,
        };
    }
    let answer = if probed.unreachable { Answer::Unreachable } else { Answer::Failed };
    let detail = text(probed.error, probed.detail);
    Tried { what: source.to_owned(), answer, millis: probed.millis, detail, hint: probed.hint }
}

fn failed(source: &str, detail: String, hint: Option<String>) -> Tried {
    Tried { what: source.to_owned(), answer: Answer::Failed, millis: None, detail, hint }
}
