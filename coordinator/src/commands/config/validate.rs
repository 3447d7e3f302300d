//! `nstore config validate`: everything that is wrong, each with file and line.

use crate::{
    cli::Global,
    commands::{exit::Exit, settings, view},
};

pub(in crate::commands) fn validate(global: &Global) -> anyhow::Result<Exit> {
    let config = settings::config(global, None)?;
    let secrets = settings::secrets(global)?;
    settings::warn(&config.warnings);
    for (id, source) in &config.sources {
        let missing = settings::missing(source, &secrets);
        settings::warn(missing.iter().map(|secret| format!("{id}: {secret}")));
    }
    let names: Vec<&str> = config.sources.keys().map(|id| id.as_str()).collect();
    let count = view::quantity::count(names.len() as u64, "source");
    view::print(&format!(
        "the configuration in {} is right: {count}: {}",
        config.dir.display(),
        names.join(", ")
    ));
    Ok(Exit::Good)
}
