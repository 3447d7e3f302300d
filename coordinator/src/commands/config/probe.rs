//! Lets the worker program try a source's login and first page; it sits beside this one.

use std::{process::Stdio, time::Duration};

use chrono::NaiveDate;
use serde::Deserialize;
use tokio::process::Command;

use super::connections::{Answer, Tried};
use crate::{
    cli::Global,
    commands::explain,
    local::{sandbox, workers},
};

/// The worker looks for data for a minute and may wait another one for the last page, after at most a third in which
/// it tries its browser out.
const LIMIT: Duration = Duration::from_secs(210);

/// What `nstore-worker probe SOURCE --json` prints, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Finding {
    ok: bool,
    latency_ms: Option<u64>,
    /// `unreachable`, `secret_missing`, or another kind of failure.
    class: Option<String>,
    message: String,
    hint: Option<String>,
}

/// Tries one source.
pub(super) async fn probe(global: &Global, source: &str, date: Option<NaiveDate>) -> Tried {
    match run(global, source, date).await {
        Ok(tried) => tried,
        Err(error) => {
            let said = explain::explain(&error);
            Tried { hint: said.hint, ..failed(source, said.error) }
        }
    }
}

async fn run(global: &Global, source: &str, date: Option<NaiveDate>) -> anyhow::Result<Tried> {
    let mut command = Command::new(workers::find_program()?);
    if global.local && sandbox::is_impossible() {
        command.env(sandbox::VARIABLE, sandbox::OFF);
    }
    let child = command
        .args(["probe", source, "--json", "--config"])
        .arg(&global.config)
        .args(date.map(|date| format!("--date={date}")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = tokio::time::timeout(LIMIT, child.wait_with_output()).await else {
        let text = format!("no answer within {} s", LIMIT.as_secs());
        return Ok(Tried { answer: Answer::Unreachable, ..failed(source, text) });
    };
    let output = output?;
    Ok(match serde_json::from_slice::<Finding>(&output.stdout) {
        Ok(finding) => said(source, finding),
        Err(_) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            failed(source, format!("nstore-worker probe ended with {}: {}", output.status, stderr.trim()))
        }
    })
}

fn said(source: &str, finding: Finding) -> Tried {
    let answer = match finding.class.as_deref() {
        _ if finding.ok => Answer::Ok,
        Some("unreachable") => Answer::Unreachable,
        Some("secret_missing") => Answer::NotTried,
        Some("no_data") => Answer::NoData,
        _ => Answer::Failed,
    };
    let Finding { latency_ms: millis, message: detail, hint, .. } = finding;
    Tried { what: source.to_owned(), answer, millis, detail, hint }
}

fn failed(source: &str, detail: String) -> Tried {
    Tried { what: source.to_owned(), answer: Answer::Failed, millis: None, detail, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_of_the_worker_is_understood() {
        let read = |text: &str| said("a", serde_json::from_str(text).unwrap());
        let fine = read(
            r#"{"source":"a","ok":true,"latency_ms":12,"records":3,"rejected":0,"class":null,"message":"m","hint":null}"#,
        );
        assert_eq!((fine.answer, fine.millis, fine.detail.as_str()), (Answer::Ok, Some(12), "m"));
        let class = |class: &str| {
            read(&format!(r#"{{"ok":false,"class":"{class}","message":"m","hint":"h"}}"#)).answer
        };
        assert_eq!(class("secret_missing"), Answer::NotTried);
        assert_eq!(class("unreachable"), Answer::Unreachable);
        assert_eq!(class("auth"), Answer::Failed);
        assert_eq!(class("no_data"), Answer::NoData);
        assert_eq!(class("not_shown"), Answer::Failed);
    }
}
