//! `nstore extract`: plan, submit, follow.

use anyhow::Context as _;
use chrono::Utc;
use nstore_shared::{
    storage::manifest::{Manifest, Upload},
    terminal,
};

use super::{
    access::{self, Access, Want},
    credentials,
    exit::{Exit, Refusal},
    follow,
    interrupt::Interrupt,
    room, settings, view,
};
use crate::{
    cli::{ExtractArgs, Global},
    plan::{self, Plan, PlanRequest, RunFlags, naming, request},
    run::{
        WatchOptions,
        submit::{self, Submitted},
    },
};

pub(super) async fn extract(global: &Global, args: &ExtractArgs) -> anyhow::Result<Exit> {
    let plan = planned(global, args)?;
    settings::warn(&plan.warnings);
    if args.dry_run {
        if args.upload {
            foresee(global, &manifest(args, &plan)?).await;
        }
        show_plan(args, &plan);
        return Ok(Exit::Good);
    }
    if args.detach && global.local {
        let hint = "leave one of them out: with --local the workers end with this command";
        return Err(Refusal::new(Exit::Usage, "--detach and --local do not go together", hint).into());
    }
    credentials::demand(global, &plan.sources)?;
    room::check(&access::storage(global)?).await?;
    let manifest = manifest(args, &plan)?;
    let interrupt = Interrupt::listen()?;
    let want =
        Want { postgres: args.upload, slots: access::slots(&plan.sources), beside: false, ..Want::default() };
    let access = Access::open(global, want).await?;
    match submit::submit(&access.house, manifest, access.fresh_fleet).await {
        Ok(submitted) => submitted_run(global, args, access, &submitted, &interrupt).await,
        Err(error) => {
            access.close(Some(&interrupt)).await;
            Err(error).context("the run is not started")
        }
    }
}

async fn submitted_run(
    global: &Global,
    args: &ExtractArgs,
    access: Access,
    submitted: &Submitted,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let manifest = &submitted.manifest;
    let run = &manifest.run;
    let again = if submitted.again { " (submitted before with this key: it goes on)" } else { "" };
    settings::note(&submitted.notes);
    settings::warn(
        manifest
            .refused
            .iter()
            .map(|refused| format!("{} is not extracted: {}", refused.plan.source, refused.reason)),
    );
    terminal::tell(&format!("run {run}{again}"));
    settings::warn(
        submitted.overlaps.iter().map(|overlap| {
            format!("run {} works on some of the same days of {}", overlap.run, overlap.source)
        }),
    );
    if args.detach {
        let loading = if args.upload { "; nstore serve loads the rows" } else { "" };
        terminal::tell(&format!("workers extract it{loading}\n{}", follow::next_steps(run)));
        if args.json {
            view::print_json(&serde_json::json!({ "run": run, "detached": true, "again": submitted.again }));
        } else {
            view::print(run.as_str());
        }
        return Ok(Exit::Good);
    }
    let options = WatchOptions { extract: true, load: args.upload, fail_fast: args.fail_fast };
    follow::follow(global, access, manifest, options, interrupt, args.json).await
}

/// Says what the loads would meet, where Postgres answers.
async fn foresee(global: &Global, manifest: &Manifest) {
    match access::preflight(global, manifest).await {
        Ok(report) => {
            settings::note(report.notes());
            let refused = report.reasons();
            settings::warn(
                refused.iter().map(|(source, reason)| format!("{source} would not be extracted: {reason}")),
            );
        }
        Err(error) => settings::warn([format!("the tables are not looked at: {error:#}")]),
    }
}

/// What was typed becomes what is meant.
fn planned(global: &Global, args: &ExtractArgs) -> anyhow::Result<Plan> {
    let sources: Vec<String> = args.sources.iter().map(|name| name.trim().to_owned()).collect();
    let config = settings::config_for(global, args.timezone, &sources)?;
    settings::warn(&config.warnings);
    let now = Utc::now();
    let today = request::today(&config, &sources, now);
    let request = PlanRequest {
        start: args.start_date.resolve(today),
        end: args.end_date.resolve(today),
        sources,
        chunk_sizes: args.chunk_sizes.clone().map(|pairs| pairs.0).unwrap_or_default(),
        execution_modes: args.execution_mode.clone().map(|pairs| pairs.0).unwrap_or_default(),
        upload_modes: args.upload_mode.clone().map(|pairs| pairs.0).unwrap_or_default(),
        parallel_workers: args.parallel_workers,
        upload: upload(args),
        now,
    };
    Ok(plan::plan(&request, &config)?)
}

fn manifest(args: &ExtractArgs, plan: &Plan) -> anyhow::Result<Manifest> {
    let now = Utc::now();
    let run = match &args.idempotency_key {
        Some(key) => naming::run_id_of_key(key)?,
        None => naming::run_id(now, fastrand::u32(..))?,
    };
    let flags = RunFlags {
        idempotency_key: args.idempotency_key.clone(),
        upload: upload(args),
        fail_fast: args.fail_fast,
        detached: args.detach,
    };
    Ok(plan::manifest(plan, run, now, &flags))
}

fn upload(args: &ExtractArgs) -> Upload {
    Upload { enabled: args.upload, reload: args.reload, allow_shrink: args.allow_shrink }
}

fn show_plan(args: &ExtractArgs, plan: &Plan) {
    if args.json {
        view::print_json(&view::plan::as_json(plan, args.upload));
    } else {
        view::print(&view::plan::for_people(plan, args.upload));
    }
}
