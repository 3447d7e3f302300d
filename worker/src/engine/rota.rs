//! Which source a claim loop asks next. Pure: the time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use nstore_shared::chunk::SourceId;

use super::open::Open;

/// A loop leaves a source that had work for so long, if another may have some.
const STAY: Duration = Duration::from_secs(1);
/// An empty source is asked again after so long, however far off its next chunk is said to be.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// And never sooner.
const SHORTEST: Duration = Duration::from_millis(20);

/// What a claim loop does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask this source for a chunk.
    Ask(SourceId),
    /// No source is due.
    Sleep(Duration),
}

/// The round of one claim loop through the open sources.
#[derive(Debug, Default)]
pub(super) struct Rota {
    /// Those that may be asked; the front one is next.
    round: VecDeque<SourceId>,
    /// Sources that said when to come back.
    not_before: BTreeMap<SourceId, Instant>,
    /// What was heard last of each open source.
    news: BTreeMap<SourceId, String>,
    /// The source that granted last, and since when it has done so without another in between.
    current: Option<(SourceId, Instant)>,
}

impl Rota {
    /// Takes over which sources are open. New ones come first: a small source beside a large one starts at once.
    /// Those with news are due.
    pub(super) fn refresh(&mut self, open: &[Open]) {
        let is_open = |source: &SourceId| open.iter().any(|open| open.source == *source);
        self.round.retain(is_open);
        self.not_before.retain(|source, _| is_open(source));
        for Open { source, news } in open {
            if !self.round.contains(source) {
                self.round.push_front(source.clone());
            }
            if self.news.get(source) != Some(news) {
                self.news.insert(source.clone(), news.clone());
                self.not_before.remove(source);
            }
        }
    }

    /// The next step at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let due = |source: &SourceId| self.not_before.get(source).is_none_or(|at| *at <= now);
        let current = self.current.as_ref().filter(|(source, _)| self.round.contains(source) && due(source));
        if let Some((source, since)) = current
            && now.duration_since(*since) <= STAY
        {
            return Next::Ask(source.clone());
        }
        let staying = current.map(|(source, _)| source.clone());
        let other = self.round.iter().position(|source| due(source) && Some(source) != staying.as_ref());
        if let Some(source) = other.and_then(|at| self.round.remove(at)) {
            self.round.push_back(source.clone());
            return Next::Ask(source);
        }
        match staying {
            Some(source) => Next::Ask(source),
            None => Next::Sleep(self.soonest(now)),
        }
    }

    /// The source granted a chunk at `now`.
    pub(super) fn granted(&mut self, source: &SourceId, now: Instant) {
        self.not_before.remove(source);
        if self.current.as_ref().is_none_or(|(current, _)| current != source) {
            self.current = Some((source.clone(), now));
        }
    }

    /// Something about the source went wrong here: it is left alone for the whole wait.
    pub(super) fn avoid(&mut self, source: &SourceId, now: Instant, wait: Duration) {
        self.empty(source, now, wait);
        self.not_before.insert(source.clone(), now + wait);
    }

    /// The source had nothing at `now`, and said when to come back.
    pub(super) fn empty(&mut self, source: &SourceId, now: Instant, ask_again: Duration) {
        self.not_before.insert(source.clone(), now + ask_again.clamp(SHORTEST, LONGEST));
        if self.current.as_ref().is_some_and(|(current, _)| current == source) {
            self.current = None;
        }
    }

    /// Another loop found work at the source: it is due at once.
    pub(super) fn stir(&mut self, source: Option<&SourceId>) {
        if let Some(source) = source {
            self.not_before.remove(source);
        }
    }

    fn soonest(&self, now: Instant) -> Duration {
        let waits = self.round.iter().filter_map(|source| self.not_before.get(source));
        waits.map(|at| at.duration_since(now)).min().unwrap_or(LONGEST).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<SourceId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn open(sources: &[SourceId], news: &str) -> Vec<Open> {
        sources.iter().map(|source| Open { source: source.clone(), news: news.to_owned() }).collect()
    }

    #[test]
    fn further_chunks_make_a_source_due() {
        let (mut rota, now, source) = (Rota::default(), Instant::now(), ids(&["a"]));
        for news in ["", "1", "2"] {
            rota.refresh(&open(&source, news));
            assert_eq!(asked(&mut rota, now), "a");
            rota.empty(&source[0], now, Duration::from_secs(1));
            rota.refresh(&open(&source, news));
            assert_eq!(asked(&mut rota, now), "sleep 1000");
        }
    }

    #[test]
    fn news_of_work_make_a_source_due() {
        let (mut rota, now) = (Rota::default(), Instant::now());
        rota.refresh(&open(&ids(&["a"]), ""));
        rota.empty(&ids(&["a"])[0], now, Duration::from_secs(1));
        assert_eq!(asked(&mut rota, now), "sleep 1000");
        rota.stir(Some(&ids(&["a"])[0]));
        assert_eq!(asked(&mut rota, now), "a");
    }

    fn asked(rota: &mut Rota, now: Instant) -> String {
        match rota.next(now) {
            Next::Ask(source) => source.to_string(),
            Next::Sleep(wait) => format!("sleep {}", wait.as_millis()),
        }
    }

    #[test]
    fn a_source_with_work_keeps_the_loop_for_a_second_then_the_others_are_asked() {
        let (mut rota, start) = (Rota::default(), Instant::now());
        let sources = ids(&["a", "b"]);
        rota.refresh(&open(&sources, ""));
        rota.granted(&sources[0], start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(asked(&mut rota, at(900)), "a");
        assert_eq!(asked(&mut rota, at(1100)), "b");
        rota.empty(&sources[1], at(1100), Duration::from_secs(9));
        assert_eq!(asked(&mut rota, at(1110)), "a", "the other has nothing");
        rota.granted(&sources[0], at(1110));
        assert_eq!(asked(&mut rota, at(1500)), "a");
        assert_eq!(asked(&mut rota, at(2101)), "b", "and is asked again a second later");
        rota.granted(&sources[1], at(2101));
        assert_eq!(asked(&mut rota, at(2900)), "b");
        assert_eq!(asked(&mut rota, at(3200)), "a");
    }

    #[test]
    fn a_new_source_is_asked_first() {
        let (mut rota, start) = (Rota::default(), Instant::now());
        rota.refresh(&open(&ids(&["a", "b"]), ""));
        asked(&mut rota, start);
        rota.refresh(&open(&ids(&["a", "b", "late"]), ""));
        assert_eq!(asked(&mut rota, start), "late");
    }

    #[test]
    fn sleeps_until_the_soonest_and_never_long() {
        let (mut rota, start) = (Rota::default(), Instant::now());
        assert_eq!(asked(&mut rota, start), "sleep 1000");
        let sources = ids(&["a", "b"]);
        rota.refresh(&open(&sources, ""));
        rota.empty(&sources[0], start, Duration::from_millis(300));
        rota.empty(&sources[1], start, Duration::from_secs(60));
        assert_eq!(asked(&mut rota, start + Duration::from_millis(100)), "sleep 200");
        assert_eq!(asked(&mut rota, start + Duration::from_millis(300)), "a");
        rota.refresh(&open(&sources[1..], ""));
        assert_eq!(
            asked(&mut rota, start + Duration::from_millis(300)),
            "sleep 700",
            "a closed source is left"
        );
    }
}
