//! `nstore-worker`: parses, starts, turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use nstore_shared::{
    chunk::Kind,
    config::{self, Faults, LoadOptions, secrets::Secrets},
    health::{self, Sign},
    private,
    redis::{RedisError, vault::VaultKey},
    storage::StorageError,
    telemetry, terminal,
};
use nstore_worker::{
    WorkerConfig, WorkerError,
    cli::{Cli, Command, ProbeArgs, WorkArgs},
    extract::host::BrowserConfig,
    probe,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 4;

fn main() -> ExitCode {
    if let Err(e) = private::keep_to_this_user() {
        return told(FAILED, &e.to_string());
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return told(FAILED, &format!("cannot start: {e}")),
    };
    let code = runtime.block_on(async {
        match (cli.command, cli.work.kind) {
            (Some(Command::Probe(args)), _) => ask(&args).await,
            (Some(Command::Health), _) => tell_health(),
            (None, Some(kind)) => work(kind.into(), cli.work).await,
            (None, None) => told(USAGE, "say which kind of sources to extract: --kind api or --kind browser"),
        }
    });
    // a request that hangs holds nobody up
    runtime.shutdown_background();
    code
}

async fn work(kind: Kind, args: WorkArgs) -> ExitCode {
    // the crate that talks to object stores tells each request that it repeats; one line on an outage is enough
    telemetry::init(args.log_format.into(), "info,object_store=warn");
    let config = match configured(args) {
        Ok(config) => config,
        Err(error) => return told(USAGE, &error),
    };
    let asked_to_end = match end_signals() {
        Ok(asked) => asked,
        Err(e) => return told(FAILED, &format!("cannot listen for signals: {e}")),
    };
    match nstore_worker::run(config, kind, asked_to_end).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(code(&error), &error.to_string()),
    }
}

async fn ask(args: &ProbeArgs) -> ExitCode {
    let finding = match probe::prepare(&args.config, &args.source, environment) {
        Ok(prepared) => prepared.ask(args.date).await,
        Err(finding) => *finding,
    };
    terminal::print(&if args.json { finding.json() } else { finding.to_string() });
    ExitCode::from(finding.exit_code())
}

/// For health checks.
fn tell_health() -> ExitCode {
    let health = health::check(&environment);
    terminal::print(&health.to_string());
    if health.is_well() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Flags, then the environment, then pipeline.yaml, then defaults.
fn configured(args: WorkArgs) -> Result<WorkerConfig, String> {
    let told = |faults: Faults| faults.to_string().trim_end().to_owned();
    let options = LoadOptions { env: &environment, timezone: None };
    let services = config::load_services(&args.config, &options).map_err(told)?;
    let vault_key =
        config::setting(VaultKey::VARIABLE, &environment).map_err(|fault| told(Faults(vec![fault])))?;
    Ok(WorkerConfig {
        redis_url: args.redis_url.unwrap_or(services.redis_url),
        redis_prefix: services.redis_prefix,
        storage_url: args.storage_url.unwrap_or(services.storage_url),
        secrets: Secrets::load(&Secrets::file(&args.config, &environment), environment).map_err(told)?,
        concurrency: args.concurrency,
        lease: args.lease,
        grace: args.grace,
        browser: BrowserConfig::from_env(&environment)?,
        vault_key: VaultKey::from_env(&|_| vault_key.clone()).map_err(|error| error.to_string())?,
        // two beats may fail before a check notices
        sign: Sign::from_env(&environment, args.lease)?,
    })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn code(error: &WorkerError) -> u8 {
    match error {
        WorkerError::Host(_)
        | WorkerError::Redis(RedisError::Url { .. } | RedisError::Refused { .. })
        | WorkerError::Storage(StorageError::Url { .. } | StorageError::Refused { .. }) => USAGE,
        WorkerError::Redis(_) | WorkerError::Storage(_) => UNREACHABLE,
        WorkerError::Broken(_) => FAILED,
    }
}

fn told(code: u8, text: &str) -> ExitCode {
    terminal::tell(&format!("nstore-worker: {text}"));
    ExitCode::from(code)
}

/// Resolves with the first SIGTERM or SIGINT; the second ends the process at once.
fn end_signals() -> std::io::Result<impl Future<Output = ()>> {
    async fn either(term: &mut Signal, int: &mut Signal) -> i32 {
        tokio::select! { _ = term.recv() => 15, _ = int.recv() => 2 }
    }
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        either(&mut term, &mut int).await;
        tokio::spawn(async move {
            let number = either(&mut term, &mut int).await;
            std::process::exit(128 + number);
        });
    })
}
