//! Takes the page's own export: clicks for it, waits for the download to end, reads the file.

use std::time::{Duration, Instant};

use nstore_shared::config::spec::browser::{ExportFormat, Lane, LaneSpec, Selector, SheetLayout};
use serde_json::json;

use super::{
    Brought, Reading,
    decode::{csv, xlsx},
};
use crate::extract::browser::{
    chrome::{ChromeError, launch::size_of},
    scripts::Script,
    trouble::Trouble,
    visit::script,
};

/// No export is larger, in bytes.
const LARGEST: u64 = 512 << 20;

/// How long a page at rest may take to show what is clicked next, where another lane may do instead.
const SHOWS_WITHIN: Duration = Duration::from_secs(5);

/// What is asked for.
pub(super) struct How<'a> {
    pub(super) clicks: &'a [Selector],
    pub(super) format: ExportFormat,
    pub(super) layout: &'a SheetLayout,
}

impl Reading<'_> {
    pub(super) async fn export(&self, spec: &LaneSpec, how: &How<'_>) -> Result<Brought, Trouble> {
        let before = self.chrome.watch.downloads().len();
        self.clicks(how.clicks).await?;
        let file = self.chrome.downloads().join(self.downloaded(before).await?);
        match size_of(&file) {
            Some(0) | None => return Err(Trouble::passing("the exported file is empty")),
            Some(bytes) if bytes > LARGEST => {
                return Err(Trouble::capped(format!(
                    "the exported file has {bytes} bytes, more than {LARGEST}"
                )));
            }
            Some(_) => {}
        }
        let (format, layout, names) = (how.format, how.layout.clone(), spec.names.clone());
        let decoded = tokio::task::spawn_blocking(move || {
            let bytes =
                std::fs::read(&file).map_err(|e| Trouble::passing(format!("the exported file: {e}")))?;
            // it has been read: the next export of this browser has no use for it
            let _ = std::fs::remove_file(&file);
            let sheet = match format {
                ExportFormat::Csv => csv::decode(&bytes, &layout, &names),
                ExportFormat::Xlsx => xlsx::decode(&bytes, &layout, &names),
            };
            sheet.map_err(Trouble::from)
        });
        let sheet = decoded.await.map_err(|e| Trouble::passing(e.to_string()))??;
        Ok(Brought { counted: Some(sheet.counted), ..Brought::new(sheet.table, vec![]) })
    }

    /// Clicks one after the other, in as few calls as there are documents: each costs a tenth of a second.
    async fn clicks(&self, clicks: &[Selector]) -> Result<(), Trouble> {
        let (mut left, end) = (clicks, Instant::now() + self.limit);
        // a page without it is read by the next lane
        let limit = if self.is_last(Lane::Export) { self.limit } else { self.limit.min(SHOWS_WITHIN) };
        let mut is_on_its_way = false;
        while !left.is_empty() {
            if Instant::now() > end {
                return Err(Trouble::passing(
                    "the page leads away again and again before the export is asked for",
                ));
            }
            let selectors: Vec<&str> = left.iter().map(|selector| selector.0.as_str()).collect();
            let input = json!({ "act": "clicks", "selectors": selectors });
            match script(self.chrome, self.frame, Script::Step, input, limit).await {
                Ok(done) => {
                    let done = done.as_u64().and_then(|done| usize::try_from(done).ok());
                    left = done.and_then(|done| left.get(done..)).unwrap_or_default();
                    is_on_its_way = true;
                }
                // the next click fell to the document that was about to go
                Err(ChromeError::ContextLost) if std::mem::take(&mut is_on_its_way) => {
                    self.chrome.look_again().await?;
                }
                // a click may lead to another document; where it should not have, no download begins
                Err(ChromeError::ContextLost) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The name of the file that came down: a click comes back long before.
    async fn downloaded(&self, before: usize) -> Result<String, Trouble> {
        let end = Instant::now() + self.limit;
        loop {
            let downloads = self.chrome.watch.downloads();
            match downloads.get(before).map(|download| (&download.file, download.ended)) {
                Some((file, Some(true))) => return Ok(file.clone()),
                Some((_, Some(false))) => return Err(Trouble::passing("the download was cut off")),
                found if Instant::now() > end => {
                    let what = if found.is_some() { "did not end" } else { "did not begin" };
                    let seconds = self.limit.as_secs();
                    return Err(Trouble::passing(format!("the download {what} within {seconds} s")));
                }
                _ => self.chrome.look_again().await?,
            }
        }
    }
}
