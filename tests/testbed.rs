//! Runs a command beside one Redis and one PostgreSQL: `testbed -- COMMAND ARGS…`.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use nstore_tests::context::{POSTGRES_URL, REDIS_URL, Servers};
use tokio::signal::unix::{SignalKind, signal};

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
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // the terminal sends Ctrl-C to the command as well
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
            }
        }
    };
    drop(servers);
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
