//! The configuration that applies: files, environment, flags.

use chrono_tz::Tz;
use nstore_shared::{
    config::{self, Config, Faults, LoadOptions, Services, secrets::Secrets},
    terminal,
};

use crate::cli::Global;

/// A variable of the environment.
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Everything under the config directory.
pub(super) fn config(global: &Global) -> Result<Config, Faults> {
    config::load(&global.config, &LoadOptions { env: &env, timezone: None })
}

/// What a run of these sources needs of the config directory: faults of other sources do not stop it.
pub(super) fn config_for(
    global: &Global,
    timezone: Option<Tz>,
    sources: &[String],
) -> Result<Config, Faults> {
    config::load_for(&global.config, &LoadOptions { env: &env, timezone }, sources)
}

/// Where the services are. Sources are not looked at: a fault in one of them keeps no one from cancelling a run.
pub(super) fn services(global: &Global) -> Result<Services, Faults> {
    config::load_services(&global.config, &LoadOptions { env: &env, timezone: None })
}

/// The secrets of this host.
pub(super) fn secrets(global: &Global) -> Result<Secrets, Faults> {
    Secrets::load(&Secrets::file(&global.config, &env), env)
}

/// Says on standard error what is good to know.
pub(super) fn note(lines: impl IntoIterator<Item = impl std::fmt::Display>) {
    for line in lines {
        terminal::tell(&format!("note: {line}"));
    }
}

/// Says on standard error what is no fault but worth a word.
pub(super) fn warn(lines: impl IntoIterator<Item = impl std::fmt::Display>) {
    for line in lines {
        terminal::tell(&format!("warning: {line}"));
    }
}
