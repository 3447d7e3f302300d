//! `nstore pause` and `nstore unpause`: nothing more of a run or a source is extracted for now, and goes on.

use std::path::Path;

use nstore_shared::{
    chunk::{RunId, SourceId},
    config::spec::{ExtractSpec, budget::BudgetKey},
    redis::{Redis, RedisError, queue::Hold},
    storage::{
        Storage,
        paused::{PauseOf, Paused, STOP_SEEN},
    },
};
use serde_json::json;

use super::{
    access::{self, Access, Want},
    exit::{Exit, Refusal},
    explain, follow, settings, view,
};
use crate::{
    cli::{Global, PauseArgs, PauseTarget, UnpauseArgs},
    local::site,
    run::{RunError, SourceHold},
};

/// What a pause is about, and the sources whose queues hear of it.
struct Target {
    run: Option<RunId>,
    sources: Vec<SourceId>,
    /// The budget of a source that is paused by its name, if it has one.
    budget: Option<BudgetKey>,
}

impl Target {
    /// It exists.
    async fn find(global: &Global, storage: &Storage, typed: &PauseTarget) -> anyhow::Result<Self> {
        if let Some(run) = &typed.run {
            let manifest = access::manifest(storage, run).await?;
            let sources = manifest.sources.into_iter().map(|plan| plan.source).collect();
            return Ok(Self { run: Some(run.clone()), sources, budget: None });
        }
        // a source is paused by its name, whatever is wrong with its file
        let config = settings::config_for(global, None, &[])?;
        let name = typed.source.as_deref().unwrap_or_default();
        let known = config.names();
        let Some(source) = name.parse::<SourceId>().ok().filter(|id| known.contains(id.as_str())) else {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = format!("there is no source `{}`", name.escape_debug());
            return Err(Refusal::new(Exit::Usage, text, format!("there are {}", known.join(", "))).into());
        };
        let budget = config.sources.get(&source).and_then(|source| match &source.spec.extract {
            ExtractSpec::Api(api) => api.budget.as_ref().map(|budget| budget.key.clone()),
            ExtractSpec::Browser(_) => None,
        });
        Ok(Self { run: None, sources: vec![source], budget })
    }

    fn of(&self) -> PauseOf<'_> {
        match &self.run {
            Some(run) => PauseOf::Run(run),
            None => PauseOf::Source(&self.sources[0]),
        }
    }

    /// As people read it, and as it is typed.
    fn words(&self) -> (String, String) {
        match &self.run {
            Some(run) => (format!("run {run}"), run.to_string()),
            None => (format!("source {}", self.sources[0]), format!("--source {}", self.sources[0])),
        }
    }

    /// Tells Redis what storage says.
    async fn tell(&self, global: &Global) -> anyhow::Result<()> {
        self.tell_and_lift(global, false).await.map(drop)
    }

    /// Tells Redis what storage says, and ends the hold of a source where that is asked for; answers what it was.
    async fn tell_and_lift(&self, global: &Global, lift: bool) -> anyhow::Result<Option<Hold>> {
        // private servers that do not run hold nothing, and read storage when they are started
        if global.local && site::attach(Path::new(site::DIR)).is_none() {
            return Ok(None);
        }
        let access = Access::open(global, Want { beside: true, ..Want::default() }).await?;
        for source in &self.sources {
            access.house.tell_pause(self.of(), source).await?;
        }
        let held = if lift { self.lift(&access.house.redis).await? } else { None };
        access.close(None).await;
        Ok(held)
    }

    /// Lets a source be asked again although it wanted to be left alone.
    async fn lift(&self, redis: &Redis) -> Result<Option<Hold>, RedisError> {
        if let Some(budget) = &self.budget {
            redis.budgets().lift(budget).await?;
        }
        redis.queue().lift(&self.sources[0]).await
    }

    fn document(&self, paused: Option<&Paused>) -> serde_json::Value {
        let source = self.run.is_none().then(|| &self.sources[0]);
        json!({ "run": self.run, "source": source, "paused": paused.is_some(),
                "at": paused.map(|paused| paused.at), "reason": paused.map(|paused| &paused.reason) })
    }
}

pub(super) async fn pause(global: &Global, args: &PauseArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let target = Target::find(global, &storage, &args.target).await?;
    if let Some(run) = &target.run
        && let Some(cancelled) = storage.cancelled(run).await?
    {
        return Err(RunError::Cancelled { run: run.clone(), reason: cancelled.reason }.into());
    }
    let paused = storage.pause(target.of(), &args.reason).await?;
    let (what, typed) = target.words();
    if let Err(error) = target.tell(global).await {
        // workers ask storage too; when they have, nothing is started any more
        tokio::time::sleep(STOP_SEEN).await;
        let said = explain::explain(&error);
        settings::warn([format!(
            "redis is not told, but workers heed the pause all the same: {}",
            said.error
        )]);
    }
    if args.json {
        view::print_json(&target.document(Some(&paused)));
    } else {
        let (since, reason) = (paused.at.format("%Y-%m-%d %H:%M:%S UTC"), &paused.reason);
        view::print(&format!(
            "{what} is paused since {since}: {reason}\n\
             chunks that run are finished, stored ones are loaded, no other is started\n\
             go on: {} unpause {typed}",
            follow::commands(global)
        ));
    }
    Ok(Exit::Good)
}

pub(super) async fn unpause(global: &Global, args: &UnpauseArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    let target = Target::find(global, &storage, &args.target).await?;
    let stood = storage.unpause(target.of()).await?;
    let (what, typed) = target.words();
    let held = match target.tell_and_lift(global, target.run.is_none()).await {
        Ok(held) => held,
        Err(error) => {
            let said = explain::explain(&error);
            let text =
                format!("{what} is unpaused in storage, but redis is not told: {}", said.error.trim_end());
            let repeat = format!(
                "repeat it: {} unpause {typed}; who follows the run (extract, resume, serve) tells it within a minute",
                follow::commands(global)
            );
            return Err(Refusal::new(Exit::Unreachable, text, repeat).into());
        }
    };
    if args.json {
        let mut document = target.document(None);
        document["hold_lifted"] = json!(held.map(|held| SourceHold::from(&held)));
        view::print_json(&document);
        return Ok(Exit::Good);
    }
    view::print(&match (&stood, &held) {
        (_, Some(held)) => {
            let SourceHold { until, reason } = SourceHold::from(held);
            let until = until.format("%Y-%m-%d %H:%M:%S UTC");
            format!("{what} goes on: it was on hold until {until}: {reason}")
        }
        (Some(_), None) => format!("{what} goes on"),
        (None, None) => format!("{what} was not paused"),
    });
    Ok(Exit::Good)
}
