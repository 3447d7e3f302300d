//! Progress on a terminal: a bar per source.

use std::{collections::BTreeMap, time::Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use nstore_shared::{chunk::SourceId, terminal};

use super::{
    lines,
    pace::{Pace, ended},
    quantity::span,
};
use crate::run::{SourceStatus, View};

pub(super) struct Bars {
    loads: bool,
    started: Instant,
    all: MultiProgress,
    sources: BTreeMap<SourceId, (ProgressBar, Pace)>,
}

impl Bars {
    pub(super) fn new(loads: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        Self { loads, started: Instant::now(), all, sources: BTreeMap::new() }
    }

    fn message(&self, status: &SourceStatus, pace: &Pace) -> String {
        let mut parts = vec![lines::rows(status, pace)];
        if self.loads {
            parts.push(format!("{} loaded", status.loaded_chunks));
        }
        let failures = status.discarded + status.refused;
        if failures > 0 {
            parts.push(format!("{failures} failed"));
        }
        if status.retryable > 0 {
            parts.push(format!("{} again later", status.retryable));
        }
        parts.extend(pace.left(self.started.elapsed(), status).map(|left| format!("{} left", span(left))));
        parts.join(" · ")
    }
}

impl View for Bars {
    fn update(&mut self, sources: &[SourceStatus]) {
        let width = sources.iter().map(|status| status.source.as_str().len()).max().unwrap_or(0);
        let now = self.started.elapsed();
        for status in sources {
            let (bar, pace) = self.sources.entry(status.source.clone()).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new(status.chunks_total).with_style(style()));
                bar.set_prefix(format!("{:width$}", status.source));
                (bar, Pace::default())
            });
            pace.note(now, status);
            // a split chunk becomes two
            bar.set_length(status.chunks_total);
            bar.set_position(ended(status));
        }
        for status in sources {
            if let Some((bar, pace)) = self.sources.get(&status.source) {
                bar.set_message(self.message(status, pace));
            }
        }
    }

    fn note(&mut self, line: &str) {
        // fails only when the terminal is gone
        let _ = self.all.println(terminal::escape(line));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // the bars stay as they were last, above what is printed next
        self.sources.values().for_each(|(bar, _)| bar.abandon());
    }
}

fn style() -> ProgressStyle {
    // the template is ours: were it wrong, plain bars would do
    ProgressStyle::with_template("{prefix} [{bar:24}] {pos:>3}/{len} chunks  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
