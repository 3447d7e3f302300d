//! The queue's calls that move chunks: enqueue, claim, heartbeat, report, give back.

use std::{collections::BTreeMap, time::Duration};

use chrono::DateTime;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use redis::{Cmd, Value};

use super::{
    RedisError,
    keys::LIBRARY,
    queue::{
        ChunkEntry, Claim, Claimant, Enqueued, Fact, GiveBack, Grant, Held, Pulse, Queue, RunEntry, Tally,
    },
    wire::{self, Push as _},
};
use crate::{
    chunk::{Chunk, ExecutionMode, SourceId},
    storage::marker::GrantRef,
};

/// One call blocks the server for all: so many chunks take about five milliseconds.
const ENQUEUE_BATCH: usize = 500;
const BEAT_BATCH: usize = 100;
/// Outcomes that are on their way at once: one line carries them, none waits for the answer to the one before.
const REPORTS_AT_ONCE: usize = 32;

impl Queue {
    /// A call of one of the library's functions, without its arguments.
    pub(super) fn function(&self, door: &str, source: &SourceId) -> Cmd {
        let mut cmd = redis::cmd("FCALL");
        cmd.arg(LIBRARY.function(door)).arg(1).arg(self.redis.connection.keys.source(source));
        cmd
    }

    /// Puts chunks in, in batches; repeating it changes nothing.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn enqueue(&self, run: &RunEntry, chunks: &[ChunkEntry]) -> Result<Enqueued, RedisError> {
        // before: who dies between has listed the source; after: a worker may have taken it off the list meanwhile
        self.list(run.kind, &run.source).await?;
        let mut batches: Vec<&[ChunkEntry]> = chunks.chunks(ENQUEUE_BATCH).collect();
        if batches.is_empty() {
            batches.push(&[]);
        }
        let mut sum = Enqueued::default();
        for batch in batches {
            let answer = self.redis.connection.transition(&self.enqueue_call(run, batch)).await?;
            let [added, reopened] = wire::items(answer)?;
            sum.added += wire::number::<u64>(&added)?;
            sum.reopened += wire::number::<u64>(&reopened)?;
        }
        self.list(run.kind, &run.source).await?;
        if sum != Enqueued::default() {
            let (news, other) = (self.redis.connection.keys.news(run.kind), fastrand::u64(..));
            self.redis
                .connection
                .call(redis::cmd("HSET").arg(news).arg(run.source.as_str()).arg(format!("{other:x}")))
                .await?;
        }
        Ok(sum)
    }

    fn enqueue_call(&self, run: &RunEntry, batch: &[ChunkEntry]) -> Cmd {
        let mut cmd = self.function("enqueue", &run.source);
        let mode = match run.mode {
            ExecutionMode::Parallel => "p",
            ExecutionMode::Sequential => "s",
        };
        cmd.push(&run.run).arg(mode).push(run.parallel_workers).push(run.width.unwrap_or(0));
        cmd.push_flag(run.stop_on_discard).push(run.attempts).push(run.total);
        cmd.arg(run.plan.as_deref().unwrap_or_default());
        for chunk in batch {
            cmd.push(chunk.range).push(chunk.range.order()).push(chunk.generation).push_flag(chunk.unproven);
        }
        cmd
    }

    /// Asks for a chunk of a source, after reporting what the last one came to, in one call.
    ///
    /// # Errors
    /// When Redis is away; the same call may then be repeated.
    pub async fn claim(
        &self,
        source: &SourceId,
        who: &Claimant,
        done: Option<&Fact>,
    ) -> Result<Claim, RedisError> {
        let mut cmd = self.function("claim", source);
        cmd.push(&who.worker).push(who.nonce).push_millis(who.lease);
        match done {
            Some(fact) if fact.chunk.source == *source => push_fact(cmd.arg("1"), fact),
            Some(elsewhere) => {
                self.report(elsewhere).await?;
                cmd.arg("0");
            }
            None => {
                cmd.arg("0");
            }
        }
        read_claim(source, who, self.redis.connection.transition(&cmd).await?)
    }

    /// Reports an outcome; true when it changed the chunk's state.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn report(&self, fact: &Fact) -> Result<bool, RedisError> {
        let mut cmd = self.function("report", &fact.chunk.source);
        push_fact(&mut cmd, fact);
        Ok(wire::number::<u64>(&self.redis.connection.transition(&cmd).await?)? == 1)
    }

    /// Reports many outcomes, several at once; says of each, in order, whether it changed the chunk's state.
    ///
    /// # Errors
    /// When Redis is away; some may have been reported by then, and repeating all of them is safe.
    pub async fn report_all(&self, facts: Vec<Fact>) -> Result<Vec<bool>, RedisError> {
        stream::iter(facts)
            .map(|fact| async move { self.report(&fact).await })
            .buffered(REPORTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Gives a grant back; false when the giver does not hold it any more.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn give_back(&self, held: &Held, how: &GiveBack) -> Result<bool, RedisError> {
        let mut cmd = self.function("give_back", &held.chunk.source);
        cmd.push(&held.by.worker).push(held.by.nonce);
        cmd.push(&held.chunk.run).push(held.chunk.range).push(held.generation);
        match how {
            GiveBack::Retry { wait, error } => cmd.arg("retry").push_millis(*wait).push_cut(error),
            GiveBack::Release => cmd.arg("release").arg("0").arg(""),
            GiveBack::Refuse { error } => cmd.arg("release").arg("0").push_cut(error),
            GiveBack::Defer { wait, error } => cmd.arg("defer").push_millis(*wait).push_cut(error),
        };
        Ok(wire::number::<u64>(&self.redis.connection.transition(&cmd).await?)? == 1)
    }

    /// Grants nothing of the source for the wait: some request met a 429. The reason is for people.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hold(&self, source: &SourceId, wait: Duration, reason: &str) -> Result<(), RedisError> {
        let mut cmd = self.function("hold", source);
        self.redis.connection.transition(cmd.push_millis(wait).push_cut(reason)).await.map(drop)
    }

    /// Renews leases and shows progress; one answer per lease, in order.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn heartbeat(
        &self,
        beats: &[(Held, Tally)],
        lease: Duration,
    ) -> Result<Vec<Pulse>, RedisError> {
        let mut by_source: BTreeMap<&SourceId, Vec<usize>> = BTreeMap::new();
        for (at, (held, _)) in beats.iter().enumerate() {
            by_source.entry(&held.chunk.source).or_default().push(at);
        }
        let mut pulses = vec![Pulse::Lost; beats.len()];
        for (source, of_source) in by_source {
            for batch in of_source.chunks(BEAT_BATCH) {
                let mut cmd = self.function("heartbeat", source);
                cmd.push_millis(lease);
                for &at in batch {
                    push_beat(&mut cmd, &beats[at].0, beats[at].1);
                }
                let answers = wire::array(self.redis.connection.transition(&cmd).await?)?;
                if answers.len() != batch.len() {
                    return Err(wire::unexpected("one answer per lease", &Value::Array(answers)));
                }
                for (&at, answer) in batch.iter().zip(answers) {
                    pulses[at] = read_pulse(answer)?;
                }
            }
        }
        Ok(pulses)
    }
}

fn push_fact(cmd: &mut Cmd, fact: &Fact) {
    let chunk = &fact.chunk;
    cmd.push(&chunk.run).push(chunk.range).push(chunk.range.order()).push(fact.generation);
    cmd.arg(wire::letter(fact.state));
    match &fact.by {
        Some((worker, nonce)) => cmd.push(worker).push(nonce),
        None => cmd.arg("").arg(""),
    };
    push_tally(cmd, fact.tally).push_cut(fact.error.as_deref().unwrap_or_default());
}

fn push_beat(cmd: &mut Cmd, held: &Held, tally: Tally) {
    let (chunk, by) = (&held.chunk, &held.by);
    cmd.push(&by.worker).push(by.nonce).push(by.attempt);
    cmd.push(&chunk.run).push(chunk.range).push(chunk.range.order()).push(held.generation);
    push_tally(cmd, tally);
}

fn push_tally(cmd: &mut Cmd, tally: Tally) -> &mut Cmd {
    cmd.push(tally.pages).push(tally.rows).push(tally.bytes)
}

fn read_claim(source: &SourceId, who: &Claimant, answer: Value) -> Result<Claim, RedisError> {
    let mut parts = wire::array(answer)?;
    let rest = parts.split_off(parts.len().min(1));
    let kind = parts.pop().map_or(Ok(String::new()), wire::text)?;
    match kind.as_str() {
        "empty" => {
            let [millis, closed] = wire::items(Value::Array(rest))?;
            let ask_again = Duration::from_millis(wire::number(&millis)?);
            Ok(Claim::Empty { ask_again, closed: wire::number::<u8>(&closed)? == 1 })
        }
        "grant" => {
            let [run, range, generation, attempt, attempts, discard, alone, plan, now] =
                wire::items(Value::Array(rest))?;
            let out_of_reach = || RedisError::Protocol("the time of a grant is out of reach".into());
            let (discard, plan) = (wire::text(discard)?, wire::text(plan)?);
            Ok(Claim::Granted(Grant {
                chunk: Chunk { source: source.clone(), run: wire::parse(run)?, range: wire::parse(range)? },
                generation: wire::number(&generation)?,
                by: GrantRef {
                    worker: who.worker.clone(),
                    nonce: who.nonce,
                    attempt: wire::number(&attempt)?,
                },
                attempts: wire::number(&attempts)?,
                discard: (!discard.is_empty()).then_some(discard),
                alone: wire::number::<u8>(&alone)? == 1,
                plan: (!plan.is_empty()).then_some(plan),
                granted_at: DateTime::from_timestamp_millis(wire::number(&now)?).ok_or_else(out_of_reach)?,
            }))
        }
        other => Err(RedisError::Protocol(format!("a grant or nothing expected, not `{other}`"))),
    }
}

fn read_pulse(answer: Value) -> Result<Pulse, RedisError> {
    match wire::text(answer)?.as_str() {
        "ok" => Ok(Pulse::Ok),
        "cancel" => Ok(Pulse::Cancel),
        "lost" => Ok(Pulse::Lost),
        other => Err(RedisError::Protocol(format!("a heartbeat's answer expected, not `{other}`"))),
    }
}
