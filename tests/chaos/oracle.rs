//! What must hold when a round is over. The numbers of the invariants are those of docs/reliability.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chrono::NaiveDate;
use nstore_shared::{
    chunk::ChunkRange,
    storage::{
        manifest::SourcePlan,
        marker::{Marker, Outcome},
        outcomes::leaves,
    },
};
use nstore_tests::{
    context::{say, unique},
    simulator::{Api, truth::DayTruth},
};
use tokio_postgres::SimpleQueryMessage;

use crate::{
    strike::{Side, office},
    witness::newest,
    world::{BURST, LEASE, RATE, SHARING, World},
};

/// Within which every run ends by itself, once nothing is harmed any more.
const SETTLED: Duration = Duration::from_secs(150);

/// What a round found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) stuck: u64,
    pub(crate) wrongly_discarded: u64,
    /// Invariants that do not hold, each in words.
    pub(crate) broken: Vec<String>,
}

impl Findings {
    /// Notes an invariant that does not hold.
    pub(crate) fn broken(&mut self, invariant: &str, what: impl std::fmt::Display) {
        self.broken.push(format!("{invariant}: {what}"));
    }

    /// Nothing at all.
    pub(crate) fn none(&self) -> bool {
        self.broken.is_empty()
    }
}

/// When Redis may have forgotten who works on what.
pub(crate) type Slips = Vec<(u64, u64)>;

/// Waits until all is done, and looks at everything. It was seen already where nothing went on after a fault.
pub(crate) async fn look(
    world: &World,
    side: &Side,
    slips: &Slips,
    stalls: Vec<String>,
    keep_logs: bool,
) -> anyhow::Result<Findings> {
    let mut found = Findings::default();
    stalls.into_iter().for_each(|stall| found.broken("I8", stall));
    let end = Instant::now() + SETTLED;
    while Instant::now() < end && !side.open_runs(world).await?.is_empty() {
        tokio::time::sleep(LEASE / 4).await;
    }
    side.witness.look(world).await?;
    order(world, slips, &mut found);
    budget(world, &mut found);
    followers(world, &mut found).await;
    for run in side.runs.lock().await.clone() {
        let mut standing = outcomes(world, &run).await?;
        discards(side, &run, &standing, &mut found).await;
        let verdict = office::verdict(world, &run).await?;
        if verdict != "complete" && verdict != "open" {
            let exit = world.nstore(&format!("retry {run}")).run(SETTLED).await;
            standing = outcomes(world, &run).await?;
            if exit.code != Some(0) {
                found.stuck += 1;
                let told = format!("{:?}\n{}\n{}", exit.code, exit.stdout, exit.stderr);
                found.broken("I2", format!("run {run} was {verdict} and a retry does not mend it: {told}"));
            }
        } else if verdict == "open" {
            found.stuck += 1;
            let status = world.nstore(&format!("status {run}")).run(SETTLED).await;
            found.broken("I4", format!("run {run} is open still\n{}", status.stdout));
        }
        ledger(world, &run, &standing, &mut found).await?;
    }
    tables(world, side, &mut found).await?;
    cancelled(world, side, &mut found).await;
    side.witness.outcomes(world, &mut found).await;
    side.witness.damages(world, &mut found).await?;
    newest(world, &mut found).await?;
    leases(world, &mut found);
    let logs = world.fleet.lock().await.logs();
    rest(world, &mut found).await?;
    if keep_logs || !found.none() {
        println!("chaos: what all processes wrote and all requests are in {}", kept(world, &logs)?.display());
    }
    Ok(found)
}

/// Writes a folder for those who look into what went wrong; it stays.
fn kept(world: &World, logs: &BTreeMap<u32, String>) -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(unique("nstore-chaos-logs"));
    std::fs::create_dir(&folder)?;
    for (process, log) in logs {
        std::fs::write(folder.join(format!("{process}.log")), log)?;
    }
    let requests = world.simulator.requests().into_iter().map(|request| serde_json::to_string(&request));
    let requests = requests.collect::<Result<Vec<_>, _>>()?.join("\n");
    std::fs::write(folder.join("requests.jsonl"), requests)?;
    Ok(folder)
}

/// I1: nothing of a cancelled run came in since its cancel was acknowledged.
pub(crate) async fn cancelled(world: &World, side: &Side, found: &mut Findings) {
    for (run, then) in side.cancelled.lock().await.iter() {
        let now = office::loaded(world, run).await.unwrap_or(0);
        if now != *then {
            found.broken("I1", format!("run {run} was cancelled with {then} chunks loaded, and has {now}"));
        }
    }
}

/// I5: a sequential source has one chunk in flight, and they come in order.
pub(crate) fn order(world: &World, slips: &Slips, found: &mut Findings) {
    let mut requests = world.simulator.requests();
    requests.retain(|request| request.source == Api::SellerOrders.name());
    requests.sort_by_key(|request| request.at_ms);
    let mut latest = 0;
    for request in requests {
        let since = request.query.split('&').find_map(|pair| pair.strip_prefix("since_ms="));
        let Some(since) = since.and_then(|text| text.parse::<i64>().ok()) else { continue };
        let excused = slips.iter().any(|(from, to)| (*from..*to).contains(&request.at_ms));
        if since < latest && !excused {
            let at = request.at_ms;
            found.broken(
                "I5",
                format!("at {at} ms a chunk from {since} was asked for, after one from {latest}"),
            );
        }
        latest = if excused { since } else { latest.max(since) };
    }
}

/// I6: sources that share a budget are asked no more often than it says.
pub(crate) fn budget(world: &World, found: &mut Findings) {
    let mut requests = world.simulator.requests();
    requests.retain(|request| SHARING.iter().any(|api| api.name() == request.source));
    let mut times: Vec<u64> = requests.iter().map(|request| request.at_ms).collect();
    times.sort_unstable();
    let within = |at: usize| times[at..].iter().take_while(|later| **later < times[at] + 1000).count();
    let most = (0..times.len()).map(|at| (within(at), times[at])).max();
    let may = RATE + BURST + 1;
    if let Some((count, at)) = most.filter(|(count, _)| *count > may) {
        found.broken("I6", format!("{count} requests in the second from {at} ms on, {may} may be"));
    }
}

/// Whoever follows a run beside the daemons sees its end too.
async fn followers(world: &World, found: &mut Findings) {
    for mut follower in std::mem::take(&mut world.fleet.lock().await.others) {
        let end = Instant::now() + SETTLED;
        while follower.is_running() && Instant::now() < end {
            tokio::time::sleep(LEASE / 10).await;
        }
        if follower.is_running() {
            found.stuck += 1;
            found.broken("I4", format!("`nstore resume` does not end: {}", follower.stderr()));
        }
    }
}

/// I9: only true poison is discarded, and wrong data.
async fn discards(side: &Side, run: &str, standing: &Outcomes, found: &mut Findings) {
    let (poisoned, refused) = (side.poisoned.lock().await, side.refused.lock().await);
    for (plan, markers) in standing {
        for marker in markers.values() {
            let Outcome::Discarded { class, error, .. } = &marker.outcome else { continue };
            let chunk = format!("{}/{run}/{}", plan.source, marker.chunk.range);
            let right = poisoned.contains(&chunk) || refused.contains(&(plan.source.as_str(), *class));
            if !right {
                found.wrongly_discarded += 1;
                found.broken("I9", format!("{chunk} was discarded: {class}: {error}"));
            }
        }
    }
}

/// I2: what the ledger holds of a run are its committed chunks, all of them and no other.
async fn ledger(world: &World, run: &str, standing: &Outcomes, found: &mut Findings) -> anyhow::Result<()> {
    let sql = format!("SELECT source || '/' || chunk FROM nstore.ledger WHERE run = '{run}'");
    let held: BTreeSet<String> =
        rows(world, &sql).await?.into_iter().map(|mut row| row.swap_remove(0)).collect();
    let mut committed = BTreeSet::new();
    for (plan, markers) in standing {
        for (range, marker) in leaves(&plan.chunks, markers) {
            if marker.is_some_and(|marker| marker.committed().is_some()) {
                committed.insert(format!("{}/{range}", plan.source));
            }
        }
    }
    if held != committed {
        let differ: Vec<_> = held.symmetric_difference(&committed).collect();
        found.broken("I2", format!("run {run}: ledger and markers differ in {differ:?}"));
    }
    Ok(())
}

/// The standing markers of a run, by source.
type Outcomes = Vec<(SourcePlan, BTreeMap<ChunkRange, Marker>)>;

async fn outcomes(world: &World, run: &str) -> anyhow::Result<Outcomes> {
    let run = run.parse()?;
    let manifest = world.storage.manifest(&run).await?.context("a manifest")?;
    let mut all = vec![];
    for plan in manifest.sources {
        let standing = world.storage.standing(&plan.source, &run).await?;
        all.push((plan, standing));
    }
    Ok(all)
}

/// I1: every table holds the truth.
async fn tables(world: &World, side: &Side, found: &mut Findings) -> anyhow::Result<()> {
    for api in Api::ALL {
        table(world, api, side.days().await, found).await?;
    }
    Ok(())
}

/// I1: a table holds the truth of these days.
pub(crate) async fn table(
    world: &World,
    api: Api,
    (first, last): (NaiveDate, NaiveDate),
    found: &mut Findings,
) -> anyhow::Result<()> {
    let mut days = vec![];
    for row in rows(world, &world.simulator.sql(api, "public")).await? {
        let [day, rows, checksum] = <[String; 3]>::try_from(row).ok().context("three columns")?;
        days.push(DayTruth { day: day.parse()?, rows: rows.parse()?, checksum });
    }
    let truth = world.simulator.truth(api, first, last);
    for difference in truth.differences(&days) {
        found.broken("I1", format!("{}: {difference}", api.name()));
    }
    let count = |days: &[DayTruth], day| days.iter().find(|d| d.day == day).map_or(0, |d| d.rows);
    let all: BTreeSet<_> = truth.days.iter().chain(&days).map(|d| d.day).collect();
    for day in all {
        let (wanted, held) = (count(&truth.days, day), count(&days, day));
        found.lost += wanted.saturating_sub(held);
        found.doubled += held.saturating_sub(wanted);
    }
    Ok(())
}

/// I4: nothing is in flight.
fn leases(world: &World, found: &mut Findings) {
    for api in Api::ALL {
        let held = say(&world.redis_url, &format!("ZCARD nstore:{{{}}}:slots", api.name()));
        if held.trim() != ":0" {
            found.stuck += 1;
            found.broken("I4", format!("{}: leases are left: {}", api.name(), held.trim()));
        }
    }
}

/// I3 and I7: when all have gone home, nothing lies about.
async fn rest(world: &World, found: &mut Findings) -> anyhow::Result<()> {
    let fleet = std::mem::take(&mut *world.fleet.lock().await);
    if let Err(error) = fleet.end().await {
        found.broken("I4", error);
    }
    let (pids, profiles) = world.browsers();
    if !pids.is_empty() || !profiles.is_empty() {
        found.broken("I7", format!("browsers {pids:?} and profiles {profiles:?} are left"));
    }
    world.good("clean --grace 0s --yes").await?;
    let keys = world.keys().await;
    let markers: Vec<&String> = keys.iter().filter(|key| key.ends_with(".json")).collect();
    for file in keys.iter().filter(|key| key.starts_with("chunks/") && !key.ends_with(".json")) {
        // an artifact that a marker of its generation names
        let name = file.rsplit('/').next().unwrap_or_default();
        let generation = file.split('.').take(2).collect::<Vec<_>>().join(".");
        let marker = markers.iter().find(|key| ***key == format!("{generation}.json"));
        let text = match marker {
            Some(marker) => world.text(marker).await?,
            None => String::new(),
        };
        if !text.contains(name) {
            found.broken("I3", format!("{file} belongs to no outcome"));
        }
    }
    if let Some(s3) = &world.s3 {
        let unfinished = s3.unfinished().await;
        if !unfinished.is_empty() {
            found.broken("I3", format!("unfinished uploads: {unfinished:?}"));
        }
    }
    let temporary = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE c.relkind = 'r' AND n.nspname LIKE 'pg_temp%'";
    for mut table in rows(world, temporary).await? {
        found.broken("I3", format!("a staging table is left: {}", table.swap_remove(0)));
    }
    Ok(())
}

/// What a query answers, as texts.
pub(crate) async fn rows(world: &World, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let (client, connection) = tokio_postgres::connect(&world.postgres_url, tokio_postgres::NoTls).await?;
    let running = tokio::spawn(connection);
    let answer = client.simple_query(sql).await?;
    drop(client);
    running.await??;
    let texts = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(texts.collect())
}
