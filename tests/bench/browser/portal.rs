//! A portal with a day of rows, and a browser worker that tells what it does.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use nstore_tests::{context::Running, simulator::Options};
use serde_json::Value;

use crate::field::Field;

/// The day that is read.
pub(super) const DAY: &str = "2025-08-01";
const SOURCE: &str = "sources/network_observability.yaml";
/// The lanes that the shipped source describes.
pub(super) const LANES: [&str; 3] = ["response", "export", "grid"];
/// How long what has happened may take to be told.
const TOLD: Duration = Duration::from_secs(5);

/// One measurement's world.
pub(super) struct Portal {
    pub(super) field: Field,
    shipped: PathBuf,
    /// Config and profiles; its name is short, as the browsers' sockets need it.
    folder: tempfile::TempDir,
}

/// What a worker tells of one chunk's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) at: DateTime<Utc>,
    pub(super) rows: u64,
    /// Seconds that it took from the page.
    pub(super) seconds: f64,
    /// Seconds before, in which it saw to it that the page is at rest.
    pub(super) waited: f64,
}

impl Portal {
    /// Its report holds about so many rows a day; the source is read by this lane alone.
    pub(super) async fn new(rows: u64, lane: &str) -> anyhow::Result<Self> {
        // 60 figures for 100 orders
        let rows_per_day = rows * 10 / 6;
        let mut field = Field::new(Options { rows_per_day, exact: true, ..Options::default() }).await?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config");
        copy(&field.config, &config)?;
        let shipped = std::mem::replace(&mut field.config, config);
        let portal = Self { field, shipped, folder };
        portal.read_by(lane)?;
        Ok(portal)
    }

    /// Has the source read by this lane alone.
    pub(super) fn read_by(&self, lane: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.shipped.join(SOURCE))?;
        let mut source = String::new();
        // the indent of the lane that is left out
        let mut left_out = None;
        for line in text.lines() {
            let words = line.trim_start();
            let indent = line.len() - words.len();
            if left_out.is_none_or(|deep| indent <= deep) {
                let other = LANES.iter().any(|one| *one != lane && words.starts_with(&format!("{one}:")));
                left_out = other.then_some(indent);
            }
            if words.starts_with("lanes:") {
                writeln!(source, "{}lanes: [{lane}]", &line[..indent])?;
            } else if left_out.is_none() {
                writeln!(source, "{line}")?;
            }
        }
        Ok(std::fs::write(self.field.config.join(SOURCE), source)?)
    }

    /// A worker with one slot.
    pub(super) fn worker(&self) -> Running {
        let args = ["--kind", "browser", "--concurrency", "1", "--log-format", "json"];
        let worker = self.field.process("nstore-worker").args(args).env("TMPDIR", self.folder.path());
        // a backtrace of the crate's errors has the worker read all its symbols, 150 MB of them
        let worker = worker.env("RUST_BACKTRACE", "0");
        let worker = worker.env("NSTORE_LOG", "info,headless_chrome=error,nstore_worker=debug");
        // Chromium gives root no sandbox
        let is_root = rustix::process::getuid().is_root();
        if is_root { worker.env("NSTORE_BROWSER_SANDBOX", "off").start() } else { worker.start() }
    }

    /// A variable that points at the portal, or a secret of it.
    pub(super) fn variable(&self, name: &str) -> anyhow::Result<String> {
        let found = self.field.simulator.env().into_iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value).with_context(|| format!("no variable {name}"))
    }

    /// Bytes of the browsers' processes, shared pages counted by their share.
    pub(super) fn browsers(&self) -> anyhow::Result<u64> {
        let name = self.folder.path().to_str().context("an odd folder")?.to_owned();
        let mut groups = Vec::new();
        let mut held = Vec::new();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            // whatever ends meanwhile counts for nothing
            let file = |what: &str| std::fs::read(entry.path().join(what)).unwrap_or_default();
            let stat = String::from_utf8_lossy(&file("stat")).into_owned();
            let Some(group) = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(2))
            else {
                continue;
            };
            if entry.file_name().to_str() == Some(group)
                && String::from_utf8_lossy(&file("cmdline")).contains(&format!("--user-data-dir={name}"))
            {
                groups.push(group.to_owned());
            }
            let rollup = String::from_utf8_lossy(&file("smaps_rollup")).into_owned();
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kib = pss.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
            held.push((group.to_owned(), kib.unwrap_or_default()));
        }
        ensure!(!groups.is_empty(), "no browser runs");
        Ok(held.iter().filter(|(group, _)| groups.contains(group)).map(|(_, kib)| kib * 1024).sum())
    }
}

/// What a worker has told with this text so far, oldest first.
pub(super) fn told(worker: &Running, text: &str) -> Vec<Value> {
    all_told(worker).into_iter().filter(|event| event["fields"]["message"] == text).collect()
}

/// All that a worker has told so far, oldest first.
pub(super) fn all_told(worker: &Running) -> Vec<Value> {
    worker.stderr().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The reads so far; waits until there are so many.
pub(super) async fn reads(worker: &Running, count: usize) -> anyhow::Result<Vec<Read>> {
    let end = Instant::now() + TOLD;
    loop {
        let told = told(worker, "rows read");
        if told.len() >= count {
            return told.iter().map(read).collect();
        }
        if Instant::now() > end {
            bail!("{} reads were told, not {count}\n{}", told.len(), worker.stderr());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// When an event was told.
pub(super) fn time_of(event: &Value) -> anyhow::Result<DateTime<Utc>> {
    Ok(event["timestamp"].as_str().context("no time")?.parse()?)
}

/// A time that an event tells, in seconds.
pub(super) fn seconds(event: &Value, field: &str) -> anyhow::Result<f64> {
    let millis = event["fields"][field].as_f64().with_context(|| format!("no `{field}` in {event}"))?;
    Ok(millis / 1000.0)
}

fn read(event: &Value) -> anyhow::Result<Read> {
    let rows = event["fields"]["rows"].as_u64().context("no rows")?;
    Ok(Read { at: time_of(event)?, rows, seconds: seconds(event, "ms")?, waited: seconds(event, "waited")? })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
