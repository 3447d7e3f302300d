//! `nstore`: reads what was typed, does it, answers with an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use nstore::{cli::Cli, commands};

#[tokio::main]
async fn main() -> ExitCode {
    commands::run(Cli::parse()).await.into()
}
