//! Compares tables with the truth of a running simulator: one line per source.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::{Context, bail, ensure};
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
    /// How psql is called, its own arguments come behind: `psql postgresql://…`, `nstore local psql --`
    #[arg(long, default_value = "psql")]
    pub psql: String,
    /// The schema of the tables
    #[arg(long, default_value = "public")]
    pub schema: String,
    /// First day
    #[arg(long)]
    pub start_date: NaiveDate,
    /// Last day, included
    #[arg(long)]
    pub end_date: NaiveDate,
    /// The sources, all six unless said
    #[arg(long, value_delimiter = ',')]
    pub sources: Vec<String>,
}

/// What the tables hold, by source.
type Found = BTreeMap<String, Vec<DayTruth>>;

/// Compares and prints; true when all tables are equal to the truth.
///
/// # Errors
/// When the simulator or the database does not answer.
pub async fn compare(asked: &Comparison) -> anyhow::Result<bool> {
    let all = Api::ALL.map(|api| api.name().to_owned()).to_vec();
    let sources = if asked.sources.is_empty() { &all } else { &asked.sources };
    let tables = found(asked, sources).await?;
    let mut equal = true;
    for source in sources {
        let truth = truth(asked, source).await?;
        let (found, differences) = match tables.get(source) {
            Some(found) => (found.as_slice(), truth.differences(found)),
            None => (&[][..], vec!["there is no such table".to_owned()]),
        };
        println!("{}", line(&truth, found, differences.is_empty()));
        for difference in differences.iter().take(5) {
            eprintln!("  {difference}");
        }
        equal &= differences.is_empty();
    }
    Ok(equal)
}

fn line(truth: &Truth, found: &[DayTruth], equal: bool) -> String {
    let rows: u64 = found.iter().map(|day| day.rows).sum();
    let checksum: u128 = found.iter().filter_map(|day| day.checksum.parse::<u128>().ok()).sum();
    format!(
        "{:<21} {:>9} rows of {:>9}  checksum {checksum:>26} of {:>26}  {}",
        truth.source,
        rows,
        truth.rows,
        truth.checksum,
        if equal { "equal" } else { "DIFFERENT" }
    )
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

/// All tables in one call of psql, a query each: a table that is not there spoils its own line only.
async fn found(asked: &Comparison, sources: &[String]) -> anyhow::Result<Found> {
    let mut words = asked.psql.split_whitespace();
    let program = words.next().context("--psql names no program")?;
    let mut command = Command::new(program);
    command.args(words).args(["-X", "-q", "-A", "-t", "-F", "|"]);
    command.arg("-c").arg("SELECT 'there'");
    for source in sources {
        let sql = get(asked, "/sql", &[("source", source), ("schema", &asked.schema)]).await?.text().await?;
        command.arg("-c").arg(format!("SELECT '{source}', t.* FROM (\n{sql}\n) AS t"));
    }
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.with_context(|| format!("cannot run {program}; apt install postgresql-client"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // a query of its own that always answers tells an empty database from one that is not there
    ensure!(!output.stdout.is_empty(), "cannot read the tables: {}", said.trim());
    eprint!("{said}");
    let mut found = Found::new();
    for line in String::from_utf8(output.stdout)?.lines().skip(1) {
        let (source, day) = day(line)?;
        found.entry(source).or_default().push(day);
    }
    Ok(found)
}

fn day(line: &str) -> anyhow::Result<(String, DayTruth)> {
    let fields: Vec<&str> = line.split('|').collect();
    let [source, day, rows, checksum] = fields[..] else { bail!("psql answered `{line}`") };
    let day = DayTruth { day: day.parse()?, rows: rows.parse()?, checksum: checksum.to_owned() };
    Ok((source.to_owned(), day))
}
