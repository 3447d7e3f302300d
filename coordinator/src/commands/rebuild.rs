//! `nstore rebuild [RUN…]`: brings Redis up to storage and the ledger, and says what it was told.

use anyhow::Context as _;
use nstore_shared::{chunk::RunId, storage::Storage};
use serde::Serialize;

use super::{
    access::{self, Access, Want},
    exit::Exit,
    settings, view,
};
use crate::{
    cli::{Global, RebuildArgs},
    run::{
        House, Repaired, RunError,
        rebuild::{self, Of, Rebuilt},
    },
};

/// What became of all of them.
#[derive(Debug, Default, Serialize)]
struct Answer {
    runs: Vec<Rebuilt>,
    /// Runs that could not be read, and why.
    unread: Vec<Unread>,
}

/// A run that could not be read keeps nobody from rebuilding the others.
#[derive(Debug, Serialize)]
struct Unread {
    run: RunId,
    error: String,
}

pub(super) async fn rebuild(global: &Global, args: &RebuildArgs) -> anyhow::Result<Exit> {
    let storage = access::storage(global)?;
    for run in &args.runs {
        access::manifest(&storage, run).await?;
    }
    let want = Want { postgres_if_there: true, beside: true, ..Want::default() };
    let access = Access::open(global, want).await?;
    let answer = answer(&access.house, &args.runs).await;
    access.close(None).await;
    let answer = answer?;
    settings::warn(answer.unread.iter().map(|unread| format!("run {}: {}", unread.run, unread.error)));
    if args.json {
        view::print_json(&answer);
    } else {
        view::print(&answer.text(&storage));
    }
    Ok(if answer.unread.is_empty() { Exit::Good } else { Exit::Partial })
}

async fn answer(house: &House, named: &[RunId]) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    let (runs, of) = match named {
        [] => (house.storage.runs().await?, Of::Open),
        named => (named.to_vec(), Of::Any),
    };
    for run in runs {
        let rebuilt = match house.storage.manifest(&run).await {
            Ok(Some(manifest)) => rebuild::rebuild(house, &manifest, of).await,
            // cleaned meanwhile
            Ok(None) => continue,
            Err(error) => Err(RunError::from(error)),
        };
        match rebuilt {
            Ok(rebuilt) => answer.runs.extend(rebuilt),
            Err(error @ RunError::Storage(_)) if !may_pass(&error) => {
                answer.unread.push(Unread { run, error: error.to_string() });
            }
            Err(error) => return Err(error).with_context(|| format!("run {run} is not rebuilt")),
        }
    }
    Ok(answer)
}

fn may_pass(error: &RunError) -> bool {
    matches!(error, RunError::Storage(error) if error.may_pass())
}

impl Answer {
    fn text(&self, storage: &Storage) -> String {
        let mut lines = Vec::new();
        let mut sum = Repaired::default();
        for run in &self.runs {
            if run.cancelled {
                lines.push(format!("{}  cancelled: nothing of it runs any more", run.run));
                continue;
            }
            for source in &run.sources {
                let Repaired { reported, enqueued, damage } = &source.told;
                sum.reported += reported;
                sum.enqueued += enqueued;
                sum.damage = sum.damage.or_else(|| damage.clone());
                lines.push(format!(
                    "{}  {}: {} of {} ended, {} loaded; {} reported, {} enqueued",
                    run.run,
                    source.source,
                    view::quantity::grouped(source.ended),
                    view::quantity::count(source.chunks, "chunk"),
                    view::quantity::grouped(source.loaded),
                    view::quantity::count(*reported, "outcome"),
                    view::quantity::count(*enqueued, "chunk"),
                ));
                lines.extend(
                    damage.iter().map(|damage| format!("  redis was told all of it again: {damage}")),
                );
            }
        }
        lines.push(match (self.runs.is_empty(), sum.is_some()) {
            (true, _) => format!("no run in storage at {} is open", storage.url()),
            (false, false) => "redis knew all of it".to_owned(),
            (false, true) => format!("redis is up to storage at {} again", storage.url()),
        });
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::rebuild::RebuiltSource;

    #[test]
    fn what_redis_was_told_is_said_of_each_source() {
        let source = |name: &str, reported, enqueued| RebuiltSource {
            source: name.parse().unwrap(),
            chunks: 12,
            ended: 7,
            loaded: 5,
            told: Repaired { reported, enqueued, damage: None },
        };
        let run = |name: &str, cancelled, sources| Rebuilt { run: name.parse().unwrap(), cancelled, sources };
        let storage = Storage::open(&format!("file:{}", std::env::temp_dir().display())).unwrap();
        let text = |runs| Answer { runs, unread: vec![] }.text(&storage);
        let told = text(vec![
            run("r1", false, vec![source("buyer_orders", 7, 5), source("seller_orders", 0, 1)]),
            run("r2", true, vec![source("buyer_orders", 0, 0)]),
        ]);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "r1  buyer_orders: 7 of 12 chunks ended, 5 loaded; 7 outcomes reported, 5 chunks enqueued",
                "r1  seller_orders: 7 of 12 chunks ended, 5 loaded; 0 outcomes reported, 1 chunk enqueued",
                "r2  cancelled: nothing of it runs any more",
            ]
        );
        assert!(lines[3].starts_with("redis is up to storage at file:"), "{told}");
        let mut lost = source("buyer_orders", 7, 5);
        lost.told.damage = Some("the list of leases was lost".to_owned());
        let lost = text(vec![run("r1", false, vec![lost])]);
        assert!(lost.contains("\n  redis was told all of it again: the list of leases was lost\n"), "{lost}");
        let agreed = text(vec![run("r1", false, vec![source("buyer_orders", 0, 0)])]);
        assert!(agreed.ends_with("redis knew all of it"), "{agreed}");
        assert!(text(vec![]).contains("is open"), "{}", text(vec![]));
    }
}
