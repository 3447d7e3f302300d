//! Compares tables with the truth of a running simulator: one line per source.

use std::process::Stdio;

use anyhow::{Context, bail};
use chrono::NaiveDate;
use tokio::process::Command;

use super::{
    rows::Api,
    truth::{DayTruth, Truth},
};

/// What to compare.
#[derive(Debug, Clone, clap::Args)]
pub struct Comparison {
    /// The simulator, `http://127.0.0.1:PORT`
    #[arg(long)]
    pub simulator: String,
    /// The database, `postgresql://…`; asked through psql
    #[arg(long)]
    pub postgres: String,
    /// The schema of the tables
    #[arg(long, default_value = "public")]
    pub schema: String,
    /// First day
    #[arg(long)]
    pub start_date: NaiveDate,
    /// Last day, included
    #[arg(long)]
    pub end_date: NaiveDate,
    /// The sources, all five unless said
    #[arg(long, value_delimiter = ',')]
    pub sources: Vec<String>,
}

/// Compares and prints; true when all tables are equal to the truth.
///
/// # Errors
/// When the simulator or the database does not answer.
pub async fn compare(asked: &Comparison) -> anyhow::Result<bool> {
    let all: Vec<String> = Api::ALL.map(|api| api.name().to_owned()).to_vec();
    let sources = if asked.sources.is_empty() { &all } else { &asked.sources };
    let mut equal = true;
    for source in sources {
        let truth = truth(asked, source).await?;
        let found = found(asked, source).await?;
        let differences = truth.differences(&found);
        let rows: u64 = found.iter().map(|day| day.rows).sum();
        let verdict = if differences.is_empty() { "equal" } else { "DIFFERENT" };
        println!(
            "{source:<16} {rows:>9} rows of {:>9}, {:>3} days, checksum {:>26}  {verdict}",
            truth.rows,
            found.len(),
            checksum(&found)
        );
        for line in differences.iter().take(5) {
            eprintln!("  {line}");
        }
        equal &= differences.is_empty();
    }
    Ok(equal)
}

fn checksum(days: &[DayTruth]) -> u128 {
    days.iter().filter_map(|day| day.checksum.parse::<u128>().ok()).sum()
}

async fn get(asked: &Comparison, path: &str, query: &[(&str, &str)]) -> anyhow::Result<reqwest::Response> {
    let url = format!("{}{path}", asked.simulator);
    let answer = reqwest::Client::new().get(&url).query(query).send().await;
    Ok(answer.with_context(|| format!("no simulator answers at {url}"))?.error_for_status()?)
}

async fn truth(asked: &Comparison, source: &str) -> anyhow::Result<Truth> {
    let (start, end) = (asked.start_date.to_string(), asked.end_date.to_string());
    Ok(get(asked, "/truth", &[("source", source), ("start", &start), ("end", &end)]).await?.json().await?)
}

/// The days of a table, asked through psql.
async fn found(asked: &Comparison, source: &str) -> anyhow::Result<Vec<DayTruth>> {
    let sql = get(asked, "/sql", &[("source", source), ("schema", &asked.schema)]).await?.text().await?;
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-F", "|", "-v", "ON_ERROR_STOP=1", "-c", &sql, &asked.postgres])
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run psql; install it with: apt install postgresql-client")?;
    if !output.status.success() {
        bail!("cannot read the table of {source}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout)?.lines().map(day).collect()
}

fn day(line: &str) -> anyhow::Result<DayTruth> {
    let fields: Vec<&str> = line.split('|').collect();
    let [day, rows, checksum] = fields[..] else { bail!("psql answered `{line}`") };
    Ok(DayTruth { day: day.parse()?, rows: rows.parse()?, checksum: checksum.to_owned() })
}
