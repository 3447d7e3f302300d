//! Follows a run to its end: progress from Redis, truth from storage, loads beside extraction.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nstore_shared::{redis::queue::Queue, storage::manifest::Manifest};

use super::{
    House, RunError, RunReport, SourceStatus,
    board::Board,
    change, loading,
    notices::Notices,
    paused::{self, PauseScope},
    reconcile::Repaired,
    report,
    submit::{self, refuse_cancelled},
};

mod results;

/// How often Redis is asked for progress.
const TICK: Duration = Duration::from_millis(100);
/// How often storage is compared with Redis, whatever Redis says.
const RECONCILE: Duration = Duration::from_secs(60);
/// The shortest time between two comparisons; it doubles while what is doubted is found to agree.
pub(super) const RECONCILE_AGAIN: Duration = Duration::from_secs(1);

/// What a watch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// Chunks without an outcome are enqueued and waited for; otherwise only what is stored counts.
    pub extract: bool,
    /// Stored chunks are loaded.
    pub load: bool,
    /// The first chunk that fails for good cancels the run.
    pub fail_fast: bool,
}

/// Who looks on.
pub trait View: Send {
    /// How far the sources are; called several times a second.
    fn update(&mut self, sources: &[SourceStatus]);
    /// Something worth a line: a service that went away, and came back.
    fn note(&mut self, line: &str);
}

/// Follows a run to its end, or until `stop`; what it answers is then open.
///
/// # Errors
/// When the run is cancelled, or a service fails in a way that waiting cannot mend.
pub async fn watch(
    house: &House,
    manifest: &Manifest,
    options: WatchOptions,
    view: &mut dyn View,
    stop: impl Future<Output = ()> + Send,
) -> Result<RunReport, RunError> {
    refuse_cancelled(house, &manifest.run).await?;
    let mut watch = Watch::open(house, manifest, options, view).await?;
    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => {}
        ended = watch.follow() => ended?,
    }
    Ok(report::of_boards(&house.storage, manifest, &watch.boards, options.load))
}

struct Watch<'a> {
    house: &'a House,
    manifest: Arc<Manifest>,
    options: WatchOptions,
    view: &'a mut dyn View,
    boards: Vec<Board>,
    desk: Option<loading::Desk>,
    /// When Redis was last asked.
    asked: Option<Instant>,
    /// Redis is away and was said to be.
    redis_away: bool,
    /// Storage is away and was said to be.
    storage_away: bool,
    /// Loads fail in a way that may pass, and that was said.
    load_stuck: bool,
    /// Pauses that were said, as one types them, with their reasons.
    paused: BTreeMap<String, String>,
    notices: Notices,
}

impl<'a> Watch<'a> {
    async fn open(
        house: &'a House,
        manifest: &Manifest,
        options: WatchOptions,
        view: &'a mut dyn View,
    ) -> Result<Self, RunError> {
        let shared = Arc::new(manifest.clone());
        let desk = if options.load {
            Some(loading::Desk::new(house.loader_of(manifest)?.clone(), Arc::clone(&shared)))
        } else {
            None
        };
        let boards = submit::boards(&house.storage, house.loader.as_ref(), manifest).await?;
        let manifest = shared;
        let (redis_away, storage_away, load_stuck) = (false, false, false);
        let paused = BTreeMap::new();
        Ok(Self {
            house,
            manifest,
            options,
            view,
            boards,
            desk,
            asked: None,
            redis_away,
            storage_away,
            load_stuck,
            paused,
            notices: Notices::default(),
        })
    }

    async fn follow(&mut self) -> Result<(), RunError> {
        loop {
            // a load that ends earlier than that is no reason to ask
            if self.options.extract && self.asked.is_none_or(|at| at.elapsed() >= TICK) {
                self.asked = Some(Instant::now());
                let asked = self.ask_redis().await;
                if asked.is_ok() {
                    self.are_back();
                }
                self.bear(asked)?;
                self.say_pauses();
                if self.options.fail_fast && self.boards.iter().any(Board::has_failures) {
                    let failed = self.fail_fast().await;
                    self.bear(failed)?;
                }
            }
            self.show();
            if self.ended() {
                let recorded = self.record_blocked().await;
                return self.bear(recorded);
            }
            let turned = self.turn().await;
            self.bear(turned)?;
        }
    }

    /// Records for each stored chunk of a source of which nothing can be loaded why that is: the run has ended, until
    /// somebody asks for its load again.
    async fn record_blocked(&mut self) -> Result<(), RunError> {
        let Some(loader) = self.house.loader.as_ref().filter(|_| self.desk.is_some()) else { return Ok(()) };
        for board in &self.boards {
            if let Some(blocked) = &board.blocked {
                loader.record_refusal(&board.plan, &board.blocked_chunks(), blocked).await?;
            }
        }
        Ok(())
    }

    /// Says what is paused, once, and that it goes on.
    fn say_pauses(&mut self) {
        let open = self.boards.iter().filter(|board| !board.extraction_ended());
        let mut now = BTreeMap::new();
        for board in open {
            if let Some(pause) = &board.paused {
                let typed = match pause.scope {
                    PauseScope::Run => self.manifest.run.to_string(),
                    PauseScope::Source => format!("--source {}", board.plan.source),
                };
                now.insert(typed, pause.reason.clone());
            }
        }
        for (typed, reason) in now.iter().filter(|(typed, _)| !self.paused.contains_key(*typed)) {
            self.view.note(&format!("paused: {reason}; waiting, go on with: nstore unpause {typed}"));
        }
        for typed in self.paused.keys().filter(|typed| !now.contains_key(*typed)) {
            self.view.note(&format!("unpaused: {typed}"));
        }
        self.paused = now;
    }

    /// Whom we could ask again after an outage is said to be back.
    fn are_back(&mut self) {
        for (away, name) in [(&mut self.redis_away, "redis"), (&mut self.storage_away, "storage")] {
            if std::mem::take(away) {
                self.view.note(&format!("{name} is back"));
            }
        }
    }

    async fn fail_fast(&mut self) -> Result<(), RunError> {
        let reason = "a chunk failed, and --fail-fast was given";
        change::cancel(self.house, &self.manifest.run, reason).await?;
        self.boards.iter_mut().for_each(|board| board.cancelled = true);
        Ok(())
    }

    /// One tick: loads are started, and those that land are taken in.
    async fn turn(&mut self) -> Result<(), RunError> {
        let Some(desk) = &mut self.desk else {
            tokio::time::sleep(TICK).await;
            return Ok(());
        };
        desk.start(&self.boards);
        let landed = tokio::time::timeout(TICK, desk.landed()).await;
        match landed {
            Ok(landed) => self.take_in(landed).await,
            Err(_elapsed) => Ok(()),
        }
    }

    /// A service that is away is waited for: extraction goes on without us, and loads are tried again.
    fn bear(&mut self, result: Result<(), RunError>) -> Result<(), RunError> {
        let said = match &result {
            Err(RunError::Redis(error)) if error.may_pass() => &mut self.redis_away,
            Err(RunError::Storage(error)) if error.may_pass() => &mut self.storage_away,
            Err(RunError::Load(error)) if error.may_pass() => &mut self.load_stuck,
            _ => return result,
        };
        if !std::mem::replace(said, true)
            && let Err(error) = result
        {
            self.view.note(&format!("{error}; trying again, nothing is lost"));
        }
        Ok(())
    }

    async fn ask_redis(&mut self) -> Result<(), RunError> {
        for index in 0..self.boards.len() {
            let board = &mut self.boards[index];
            // a half of a chunk whose split is not known here yet
            board.strays |= hear(self.house, board).await? && board.outcomes.has_strays();
            let queue = self.house.redis.queue();
            let told = queue.progress(&board.plan.source, &self.manifest.run).await?;
            board.take_progress(told);
            // Redis hears of a pause at once, storage is asked why
            if board.progress.as_ref().is_some_and(|told| told.paused != board.paused.is_some()) {
                paused::read(&self.house.storage, board).await?;
            }
            for notice in self.notices.of(board) {
                self.view.note(&notice);
            }
            list_again(&queue, board).await?;
            let due = board.is_due(RECONCILE);
            let behind = !board.cancelled && board.redis_is_behind();
            let over = board.redis_says_over() && !board.extraction_ended();
            let doubted = (behind || over || board.strays) && board.is_due(board.patience);
            if due || doubted {
                self.compare(index, behind).await?;
            }
        }
        Ok(())
    }

    /// Compares storage with Redis. What agrees although it seemed not to is not doubted again so soon.
    async fn compare(&mut self, index: usize, behind: bool) -> Result<(), RunError> {
        let board = &mut self.boards[index];
        let first = board.reconciled.is_none();
        let repaired = self.house.reconcile(board).await?;
        board.reconciled = Some(Instant::now());
        board.strays = false;
        board.patience = if repaired.is_some() { RECONCILE_AGAIN } else { RECONCILE.min(board.patience * 2) };
        if behind && repaired.is_some() {
            board.hear_again();
        }
        let Repaired { reported, enqueued, damage } = &repaired;
        if damage.is_some() || (behind && !first && *enqueued > 0) {
            let lost = damage.as_ref().map_or_else(String::new, |damage| format!(" ({damage})"));
            self.view.note(&format!(
                "redis knew less of {} than storage{lost}: {reported} outcomes reported, {enqueued} chunks enqueued again",
                board.plan.source
            ));
        }
        Ok(())
    }

    fn show(&mut self) {
        let sources: Vec<SourceStatus> = self.boards.iter().map(Board::status).collect();
        self.view.update(&sources);
    }

    fn ended(&self) -> bool {
        let extracted = !self.options.extract || self.boards.iter().all(Board::extraction_ended);
        let loaded =
            self.desk.as_ref().is_none_or(|desk| desk.idle() && self.boards.iter().all(Board::load_ended));
        extracted && loaded
    }
}

/// Lists a source with open chunks again now and then: Redis may have lost the list of those that workers ask about.
async fn list_again(queue: &Queue, board: &mut Board) -> Result<(), RunError> {
    if !board.redis_says_over() && board.listed.is_none_or(|at| at.elapsed() >= RECONCILE_AGAIN) {
        queue.list(board.plan.spec.kind(), &board.plan.source).await?;
        board.listed = Some(Instant::now());
    }
    Ok(())
}

/// Takes in what hints point at; true when there were any.
async fn hear(house: &House, board: &mut Board) -> Result<bool, RunError> {
    let hinted = house.redis.queue().hints(&board.plan.source, board.run(), board.hints).await?;
    let news = hinted.iter().filter(|range| !board.echoes.contains(range));
    let news: Vec<_> = news.map(|range| board.chunk(*range)).collect();
    let markers = house.storage.standing_of_each(news).await?;
    markers.into_iter().for_each(|marker| board.outcomes.put(marker));
    board.hints += hinted.len() as u64;
    for range in &hinted {
        board.echoes.remove(range);
    }
    Ok(!hinted.is_empty())
}
