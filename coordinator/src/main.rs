//! `nstore`: reads what was typed, does it, answers with an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use nstore::{cli::Cli, commands};
use nstore_shared::{private, terminal};

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(e) = private::keep_to_this_user() {
        terminal::tell(&format!("nstore: {e}"));
        return ExitCode::FAILURE;
    }
    commands::run(Cli::parse()).await.into()
}
