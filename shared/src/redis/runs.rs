//! The queue's calls about whole runs and sources: what there is, how far it is, ending it.

use std::{collections::BTreeMap, time::Duration};

use redis::Value;

use super::{
    RedisError,
    queue::{Hold, Known, Progress, Queue, Running, Tally},
    wire::{self, Push as _},
};
use crate::chunk::{ChunkRange, Kind, RunId, SourceId};

/// Chunks that one call cancels, forgets or lists.
const BATCH: usize = 500;

/// Hints that one call brings.
const HINTS: u64 = 10_000;

impl Queue {
    /// The sources of a kind that may have work.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn sources(&self, kind: Kind) -> Result<Vec<SourceId>, RedisError> {
        let open = self.redis.connection.keys.open(kind);
        let answer = self.redis.connection.call(redis::cmd("SMEMBERS").arg(open)).await?;
        let mut sources: Vec<SourceId> =
            wire::array(answer)?.into_iter().map(wire::parse).collect::<Result<_, _>>()?;
        sources.sort();
        Ok(sources)
    }

    /// Lists a source among those that may have work. Repeating it changes nothing.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn list(&self, kind: Kind, source: &SourceId) -> Result<(), RedisError> {
        let open = self.redis.connection.keys.open(kind);
        self.redis.connection.call(redis::cmd("SADD").arg(open).arg(source.as_str())).await.map(drop)
    }

    /// Takes a source off that list after a claim found it closed, so that no worker asks about it until more is
    /// enqueued. One that was enqueued meanwhile is listed again.
    ///
    /// # Errors
    /// When Redis is away; the source may be off the list then although it is not closed, until the next enqueue or
    /// [`Queue::list`].
    pub async fn close(&self, kind: Kind, source: &SourceId) -> Result<(), RedisError> {
        let open = self.redis.connection.keys.open(kind);
        self.redis.connection.call(redis::cmd("SREM").arg(open).arg(source.as_str())).await?;
        let closed = self.redis.connection.transition(&self.function("closed", source)).await?;
        if wire::number::<u8>(&closed)? == 1 { Ok(()) } else { self.list(kind, source).await }
    }

    /// Why nothing of a source is granted for a while, if that is so.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn held(&self, source: &SourceId) -> Result<Option<Hold>, RedisError> {
        read_hold(self.redis.connection.transition(&self.function("held", source)).await?)
    }

    /// Ends the hold of a source; answers what it was, if there was one.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lift(&self, source: &SourceId) -> Result<Option<Hold>, RedisError> {
        read_hold(self.redis.connection.transition(&self.function("lift", source)).await?)
    }

    /// Makes a source's part of a run unknown, and begins a quiet time: workers tell again what they hold. The caller
    /// then enqueues and reports what storage shows, and tells of a cancel and of pauses.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn reset(&self, source: &SourceId, run: &RunId) -> Result<(), RedisError> {
        let mut cmd = self.function("reset", source);
        self.redis.connection.transition(cmd.push(run)).await.map(drop)
    }

    /// For each source a text that is another one as soon as further chunks have come in: idle workers ask at once.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn news(&self, kind: Kind, sources: &[SourceId]) -> Result<Vec<String>, RedisError> {
        if sources.is_empty() {
            return Ok(vec![]);
        }
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(self.redis.connection.keys.news(kind));
        for source in sources {
            cmd.push(source);
        }
        let answers = wire::array(self.redis.connection.call(&cmd).await?)?;
        let text = |answer| if answer == Value::Nil { Ok(String::new()) } else { wire::text(answer) };
        answers.into_iter().map(text).collect()
    }

    /// True when Redis has seen no call for the source since it was new or emptied. One who knows from storage
    /// that no worker holds a lease then calls [`Queue::adopt`] after the first enqueue.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn is_fresh(&self, source: &SourceId) -> Result<bool, RedisError> {
        let meta = self.redis.connection.keys.meta(source);
        let answer = self.redis.connection.call(redis::cmd("HEXISTS").arg(meta).arg("boot")).await?;
        Ok(wire::number::<u64>(&answer)? == 0)
    }

    /// Cancels what has not ended of a source's part of a run. `cancelled.json` stands already.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn cancel(&self, source: &SourceId, run: &RunId) -> Result<(), RedisError> {
        self.until_done("cancel", source, run).await
    }

    /// Grants nothing of a source's part of a run, or of the whole source, while it is paused; what runs goes on.
    /// Storage says the same already.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn pause(
        &self,
        source: &SourceId,
        run: Option<&RunId>,
        paused: bool,
    ) -> Result<(), RedisError> {
        let mut cmd = self.function("pause", source);
        cmd.arg(run.map_or("", RunId::as_str)).push_flag(paused);
        self.redis.connection.transition(&cmd).await.map(drop)
    }

    /// Drops everything that Redis holds of a source's part of a run.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn forget(&self, source: &SourceId, run: &RunId) -> Result<(), RedisError> {
        self.until_done("forget", source, run).await
    }

    /// Calls a function that works in batches until it says 0.
    async fn until_done(&self, door: &str, source: &SourceId, run: &RunId) -> Result<(), RedisError> {
        let mut cmd = self.function(door, source);
        cmd.push(run).push(BATCH);
        while wire::number::<u64>(&self.redis.connection.transition(&cmd).await?)? > 0 {}
        Ok(())
    }

    /// For one who knows that no worker lives: ends all leases of a source without counting a loss,
    /// and the quiet time after a boot.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn adopt(&self, source: &SourceId) -> Result<(), RedisError> {
        self.redis.connection.transition(&self.function("adopt", source)).await.map(drop)
    }

    /// How far a source's part of a run is; `None` when Redis does not know it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn progress(&self, source: &SourceId, run: &RunId) -> Result<Option<Progress>, RedisError> {
        let mut cmd = self.function("progress", source);
        match self.redis.connection.transition(cmd.push(run)).await? {
            Value::Nil => Ok(None),
            answer => read_progress(answer).map(Some),
        }
    }

    /// Every chunk of a source's part of a run, as Redis knows it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn known(
        &self,
        source: &SourceId,
        run: &RunId,
    ) -> Result<BTreeMap<ChunkRange, Known>, RedisError> {
        let mut known = BTreeMap::new();
        let mut offset = 0;
        loop {
            let mut cmd = self.function("known", source);
            cmd.push(run).push(offset).push(BATCH);
            let [seen, found] = wire::items(self.redis.connection.transition(&cmd).await?)?;
            for [range, generation, state] in wire::groups(found)? {
                let entry = Known { state: wire::state(&state)?, generation: wire::number(&generation)? };
                known.insert(wire::parse(range)?, entry);
            }
            let seen: usize = wire::number(&seen)?;
            if seen < BATCH {
                return Ok(known);
            }
            offset += seen;
        }
    }

    /// Completions from the `from`-th on, in the order they came, at most 10,000 a call: hints where the loader
    /// looks first.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hints(
        &self,
        source: &SourceId,
        run: &RunId,
        from: u64,
    ) -> Result<Vec<ChunkRange>, RedisError> {
        let mut cmd = redis::cmd("LRANGE");
        cmd.arg(self.redis.connection.keys.hints(source, run)).arg(from).arg(from.saturating_add(HINTS - 1));
        wire::array(self.redis.connection.call(&cmd).await?)?.into_iter().map(wire::parse).collect()
    }
}

fn read_progress(answer: Value) -> Result<Progress, RedisError> {
    let [counts, pages, rows, bytes, stopped, error, running, paused, hold, set_back, grants, damage] =
        wire::items(answer)?;
    let mut progress = Progress {
        done: read_tally(&pages, &rows, &bytes)?,
        stopped: wire::number::<u64>(&stopped)? == 1,
        paused: wire::number::<u64>(&paused)? == 1,
        last_error: Some(wire::text(error)?).filter(|text| !text.is_empty()),
        hold: read_hold(hold)?,
        set_back: Duration::from_millis(wire::number(&set_back)?),
        grants: wire::number(&grants)?,
        damage: Some(wire::text(damage)?).filter(|text| !text.is_empty()),
        ..Progress::default()
    };
    for [state, count] in wire::groups(counts)? {
        let (state, count) = (wire::state(&state)?, wire::number::<u64>(&count)?);
        if count > 0 {
            progress.chunks.insert(state, count);
        }
    }
    for [range, worker, attempt, pages, rows, bytes] in wire::groups(running)? {
        progress.running.push(Running {
            range: wire::parse(range)?,
            worker: wire::parse(worker)?,
            attempt: wire::number(&attempt)?,
            tally: read_tally(&pages, &rows, &bytes)?,
        });
    }
    progress.running.sort_by_key(|running| running.range);
    Ok(progress)
}

fn read_hold(answer: Value) -> Result<Option<Hold>, RedisError> {
    let [left, reason] = wire::items(answer)?;
    let left = Duration::from_millis(wire::number(&left)?);
    let reason = wire::text(reason)?;
    Ok((!left.is_zero()).then_some(Hold { left, reason }))
}

fn read_tally(pages: &Value, rows: &Value, bytes: &Value) -> Result<Tally, RedisError> {
    Ok(Tally { pages: wire::number(pages)?, rows: wire::number(rows)?, bytes: wire::number(bytes)? })
}
