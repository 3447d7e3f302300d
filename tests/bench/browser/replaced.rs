//! The replaced design: Selenium in a virtual environment of its own, beside the browser's driver.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::json;

use super::portal::{DAY, Portal};
use crate::field::venv;

/// Rows of the table that are read: its rate does not hang on their number.
const READ: usize = 500;
/// What it is compared with.
const PACKAGE: &str = "selenium==4.51.0";

/// What one pass took.
#[derive(Debug, Deserialize)]
pub(super) struct Pass {
    /// Seconds from its start to the table.
    pub(super) there: f64,
    /// Seconds in which cells were read.
    pub(super) reading: f64,
    /// Rows that came.
    pub(super) rows: usize,
}

impl Pass {
    pub(super) fn rate(&self) -> f64 {
        self.rows as f64 / self.reading
    }
}

/// All that it needs.
pub(super) struct Replaced {
    python: PathBuf,
    chromium: PathBuf,
    driver: PathBuf,
}

impl Replaced {
    /// What is there; what is missing is said.
    pub(super) fn find() -> anyhow::Result<Self> {
        let driver =
            on_path(&["chromedriver"]).context("chromedriver is missing: apt-get install chromium-driver")?;
        let chromium = on_path(&["chromium", "google-chrome"]).context("chromium is missing: make setup")?;
        Ok(Self { python: venv("selenium", &[PACKAGE])?, chromium, driver })
    }

    /// Signs in, sets the filter to a day of so many rows, reads cell by cell.
    pub(super) fn pass(&self, portal: &Portal, rows_of_day: u64) -> anyhow::Result<Pass> {
        let order = json!({
            "chromium": self.chromium, "chromedriver": self.driver, "day": DAY, "rows_of_day": rows_of_day, "rows": READ,
            "url": portal.variable("POWERBI_URL")?,
            "username": portal.variable("NSTORE_SECRET_POWERBI_USERNAME")?,
            "password": portal.variable("NSTORE_SECRET_POWERBI_PASSWORD")?,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/browser/replaced.py");
        let mut command = Command::new(&self.python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("no pipe")?.write_all(order.to_string().as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "selenium ended with {}", output.status);
        let pass: Pass = serde_json::from_slice(&output.stdout)?;
        ensure!(pass.rows == READ, "selenium read {} rows, not {READ}", pass.rows);
        Ok(pass)
    }
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|file| file.is_file())
}
