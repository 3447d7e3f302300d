//! One async fn per verb, and what they share.
//!
//! - `settings`: the configuration that applies
//! - `access`: the services that a verb needs, private ones with `--local`
//! - `look`: those for looking at runs, as far as they answer
//! - `follow`: watches a run, shows it, says how it ended
//! - `idle`: says why nothing runs
//! - `credentials`, `room`: what is refused before anything starts
//! - `interrupt`: Ctrl-C
//! - [`exit`] and `explain`: errors become an exit code, a line and a hint
//! - `view`: all that people read

use nstore_shared::{
    telemetry::{self, LogFormat},
    terminal,
};

use crate::cli::{Cli, ConfigVerb, Global, LocalVerb, Verb};

mod access;
mod cancel;
mod clean;
mod config;
mod credentials;
mod discarded;
mod drain;
pub mod exit;
mod explain;
mod export;
mod extract;
mod follow;
mod forget;
mod idle;
mod interrupt;
mod load;
mod local;
mod look;
mod pause;
mod rebuild;
mod rejects;
mod resume;
mod retry;
mod room;
mod runs;
mod serve;
mod settings;
mod status;
mod view;
mod workers;

use exit::Exit;

/// Does what was typed; errors are said here and nowhere else.
pub async fn run(cli: Cli) -> Exit {
    start_logging(&cli);
    match dispatch(&cli.global, &cli.verb).await {
        Ok(exit) => exit,
        Err(error) => {
            let said = explain::explain(&error);
            if cli.verb.json() {
                view::print_json(&said);
            }
            terminal::tell(&said.for_people());
            said.exit
        }
    }
}

async fn dispatch(global: &Global, verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Extract(args) => extract::extract(global, args).await,
        Verb::Status(args) => status::status(global, args).await,
        Verb::Runs(args) => runs::runs(global, args).await,
        Verb::Workers(args) => workers::workers(global, args).await,
        Verb::Drain(args) => drain::drain(global, args).await,
        Verb::Resume(args) => resume::resume(global, args).await,
        Verb::Cancel(args) => cancel::cancel(global, args).await,
        Verb::Pause(args) => pause::pause(global, args).await,
        Verb::Unpause(args) => pause::unpause(global, args).await,
        Verb::Retry(args) => retry::retry(global, args).await,
        Verb::Load(args) => load::load(global, args).await,
        Verb::Export(args) => export::export(global, args).await,
        Verb::Forget(args) => forget::forget(global, args).await,
        Verb::Clean(args) => clean::clean(global, args).await,
        Verb::Rebuild(args) => rebuild::rebuild(global, args).await,
        Verb::Discarded(args) => discarded::discarded(global, args).await,
        Verb::Rejects(args) => rejects::rejects(global, args).await,
        Verb::Serve(args) => serve::serve(global, args).await,
        Verb::Health => Ok(serve::health()),
        Verb::Config(args) => match &args.verb {
            ConfigVerb::Validate => config::validate::validate(global),
            ConfigVerb::Show { json } => config::show::show(global, *json),
            ConfigVerb::Schema { file } => config::schema::schema(*file),
            ConfigVerb::TestConnections { sources, date, json } => {
                config::connections::test(global, sources, *date, *json).await
            }
        },
        Verb::Local(args) => match &args.verb {
            LocalVerb::Psql { args } => local::psql(args).await,
            LocalVerb::Stop => local::stop().await,
            LocalVerb::Status => local::status(),
        },
    }
}

fn start_logging(cli: &Cli) {
    let serves = matches!(cli.verb, Verb::Serve(_));
    let default = match cli.global.verbose {
        // a pool's own word on a lost connection adds nothing to ours, nor does that on a request that is repeated
        0 if serves => "info,deadpool.postgres=error,object_store=warn",
        0 => "warn,deadpool.postgres=error",
        1 => "info",
        _ => "debug",
    };
    telemetry::init(LogFormat::Text, default);
}
