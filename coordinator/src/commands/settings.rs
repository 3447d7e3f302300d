//! The configuration that applies: files, environment, flags.

use std::path::PathBuf;

use chrono_tz::Tz;
use nstore_shared::config::{self, Config, Faults, LoadOptions, Services, Source, secrets::Secrets};

use crate::cli::Global;

/// A variable of the environment.
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Everything under the config directory.
pub(super) fn config(global: &Global, timezone: Option<Tz>) -> Result<Config, Faults> {
    config::load(&global.config, &LoadOptions { env: &env, timezone })
}

/// Where the services are. Sources are not looked at: a fault in one of them keeps no one from cancelling a run.
pub(super) fn services(global: &Global) -> Result<Services, Faults> {
    config::load_services(&global.config, &LoadOptions { env: &env, timezone: None })
}

/// The file of secrets beside the configuration.
pub(super) fn credentials(global: &Global) -> PathBuf {
    global.config.join("credentials.yaml")
}

/// The secrets of this host.
pub(super) fn secrets(global: &Global) -> Result<Secrets, Faults> {
    Secrets::load(&credentials(global), &env)
}

/// Says on standard error what is no fault but worth a word.
pub(super) fn warn(lines: impl IntoIterator<Item = impl std::fmt::Display>) {
    for line in lines {
        eprintln!("warning: {line}");
    }
}

/// The secrets of a source that this host does not have, each as a sentence with the fix.
pub(super) fn missing(source: &Source, secrets: &Secrets) -> Vec<String> {
    let absent = source.spec.secrets().into_iter().filter(|name| secrets.get(name).is_none());
    absent
        .map(|name| {
            let variable = Secrets::variable(name);
            format!("secret `{}` is not on this host: set {variable}, or add it to credentials.yaml", name.0)
        })
        .collect()
}
