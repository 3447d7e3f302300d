//! `nstore config validate`: everything that is wrong, each with file and line.

use nstore_shared::chunk::SourceId;

use crate::{
    cli::Global,
    commands::{exit::Exit, settings, view},
};

pub(in crate::commands) fn validate(global: &Global) -> anyhow::Result<Exit> {
    let config = settings::config(global)?;
    let secrets = settings::secrets(global)?;
    settings::warn(&config.warnings);
    settings::warn(config.missing_secrets(&secrets));
    let names: Vec<&str> = config.sources.keys().map(SourceId::as_str).collect();
    let count = view::quantity::count(names.len() as u64, "source");
    view::print(&format!(
        "the configuration in {} is right: {count}: {}",
        config.dir.display(),
        names.join(", ")
    ));
    Ok(Exit::Good)
}
