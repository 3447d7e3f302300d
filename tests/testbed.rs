//! Runs a command beside one Redis and one PostgreSQL: `testbed -- COMMAND ARGS…`.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nstore_tests::context::{POSTGRES_URL, REDIS_URL, Servers};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

/// How long the command may take to end after Ctrl-C before it is told once more.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).skip_while(|arg| arg == "--");
    let Some(program) = args.next() else { bail!("usage: testbed -- COMMAND ARGS…") };
    // from here on a signal ends the command, and the servers after it
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let servers = Servers::start()?;
    let mut child = tokio::process::Command::from({
        let mut command = Command::new(&program);
        command.args(args).env(REDIS_URL, servers.redis_url()).env(POSTGRES_URL, servers.postgres_url());
        command
    })
    .spawn()
    .with_context(|| format!("cannot start {}", program.display()))?;
    let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let end = || pid.map(|pid| kill_process(pid, Signal::TERM));
    let mut interrupted = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // a terminal sends Ctrl-C to the command as well, and that is to end in its own way
            _ = interrupt.recv() => interrupted = true,
            () = tokio::time::sleep(PATIENCE), if interrupted => { end(); }
            _ = terminate.recv() => { end(); }
        }
    };
    drop(servers);
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
