//! Says why nothing runs: a run that waits for workers which cannot come waits for ever, so its user is told.

use std::{collections::BTreeSet, time::Duration};

use nstore_shared::{
    chunk::{Kind, SourceId},
    redis::{Redis, fitness::FitnessWatch, fleet::WorkerCard},
    storage::manifest::Manifest,
};
use tokio::sync::{mpsc, watch};

use crate::run::{SourceStatus, View};

/// How often the workers are looked at while something waits for them.
const LOOK: Duration = Duration::from_secs(3);

/// A view that tells a [`Watcher`] what waits, and shows what the watcher finds.
pub(super) struct Attended {
    inner: Box<dyn View>,
    waiting: watch::Sender<Vec<SourceId>>,
    notes: mpsc::UnboundedReceiver<String>,
}

/// Looks at the workers while something waits for them.
pub(super) struct Watcher {
    waiting: watch::Receiver<Vec<SourceId>>,
    notes: mpsc::UnboundedSender<String>,
}

/// A view, and who looks at the workers for it.
pub(super) fn attended(inner: Box<dyn View>) -> (Attended, Watcher) {
    let (waiting, seen) = watch::channel(Vec::new());
    let (said, notes) = mpsc::unbounded_channel();
    (Attended { inner, waiting, notes }, Watcher { waiting: seen, notes: said })
}

impl View for Attended {
    fn update(&mut self, sources: &[SourceStatus]) {
        self.waiting.send_replace(sources.iter().filter(|s| waits(s)).map(|s| s.source.clone()).collect());
        while let Ok(note) = self.notes.try_recv() {
            self.inner.note(&note);
        }
        self.inner.update(sources);
    }

    fn note(&mut self, line: &str) {
        self.inner.note(line);
    }
}

impl Watcher {
    /// Says each reason once; never ends.
    pub(super) async fn look(
        self,
        redis: &Redis,
        manifest: &Manifest,
        local: bool,
    ) -> std::convert::Infallible {
        let (mut said, mut fitness) = (BTreeSet::new(), FitnessWatch::new(redis.clone()));
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(change) = fitness.look().await {
                // the same as below
                let _ = self.notes.send(change.to_string());
            }
            let waiting = self.waiting.borrow().clone();
            if waiting.is_empty() {
                continue;
            }
            // that Redis is away is said by the one who follows the run
            let Ok(workers) = redis.fleet().workers().await else { continue };
            let kinds = manifest.sources.iter().filter(|plan| waiting.contains(&plan.source));
            let kinds: Vec<_> = kinds.map(|plan| (&plan.source, plan.spec.kind())).collect();
            for reason in reasons(&kinds, &workers, local) {
                if said.insert(reason.clone()) {
                    // the view may be gone already: then nobody needs to know
                    let _ = self.notes.send(reason);
                }
            }
        }
    }
}

/// Chunks are open and none of them runs.
fn waits(status: &SourceStatus) -> bool {
    status.running == 0 && open(status)
}

/// Some chunks are still to be extracted.
pub(super) fn open(status: &SourceStatus) -> bool {
    let ended = status.done + status.discarded + status.cancelled;
    !status.stopped && ended < status.chunks_total
}

/// Why nobody can work on these sources. Pure.
fn reasons(waiting: &[(&SourceId, Kind)], workers: &[WorkerCard], local: bool) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for (source, kind) in waiting {
        let able: Vec<&WorkerCard> = workers.iter().filter(|worker| worker.kind == *kind).collect();
        let lack = |worker: &&WorkerCard| {
            worker.lacks.iter().find(|(lacking, _)| lacking == *source).map(|(_, why)| why.clone())
        };
        let lacks: BTreeSet<String> = able.iter().filter_map(lack).collect();
        if able.is_empty() {
            // private workers are started, and started again, by this process
            let reason = format!(
                "no worker of kind {kind} is running, chunks wait; start one: nstore-worker --kind {kind}"
            );
            if !local && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        } else if able.iter().all(|worker| lack(worker).is_some()) {
            let why = lacks.into_iter().collect::<Vec<_>>().join("; ");
            reasons.push(format!("{source} waits: every worker leaves it alone: {why}"));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::view::report::tests::status;

    fn worker(id: &str, lacks: &[(&SourceId, &str)]) -> WorkerCard {
        WorkerCard {
            id: id.into(),
            host: "h".into(),
            kind: Kind::Api,
            version: "1".into(),
            slots: 2,
            lacks: lacks.iter().map(|(source, why)| ((*source).clone(), (*why).to_owned())).collect(),
            without: vec![],
            lease_ms: 1000,
            draining: false,
            holds: vec![],
            storage_url: String::new(),
            storage_id: String::new(),
            clock_ahead_ms: None,
        }
    }

    #[test]
    fn what_keeps_everyone_from_working_is_said_once() {
        let (a, b): (SourceId, SourceId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let waiting = [(&a, Kind::Api), (&b, Kind::Api)];
        let none = reasons(&waiting, &[], false);
        assert_eq!(
            none,
            ["no worker of kind api is running, chunks wait; start one: nstore-worker --kind api"]
        );
        assert!(reasons(&waiting, &[], true).is_empty());
        let c: SourceId = "c".parse().unwrap();
        let kinds = [(&a, Kind::Api), (&c, Kind::Browser), (&b, Kind::Api)];
        let both = reasons(&kinds, &[], false);
        assert_eq!(both.len(), 2, "each kind once: {both:?}");
        assert!(both[1].ends_with("start one: nstore-worker --kind browser"), "{both:?}");
        let mixed = reasons(&kinds, &[worker("w1", &[])], false);
        assert_eq!(mixed, both[1..], "workers over HTTP do not help a browser source");
        let poor =
            [worker("w1", &[(&a, "this host lacks `k`")]), worker("w2", &[(&a, "this host lacks `k`")])];
        let lacks = reasons(&waiting, &poor, true);
        assert_eq!(lacks, ["a waits: every worker leaves it alone: this host lacks `k`"]);
        let one = [poor[0].clone(), worker("w3", &[])];
        assert!(reasons(&waiting, &one, false).is_empty());
    }

    #[test]
    fn a_source_waits_while_chunks_are_open_and_none_runs() {
        let mut source = status("a");
        assert!(!waits(&source), "two are running");
        source.running = 0;
        assert!(waits(&source));
        source.done = source.chunks_total;
        assert!(!waits(&source));
    }
}
