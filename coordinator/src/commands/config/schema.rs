//! `nstore config schema`: the JSON Schema of the configuration files.

use nstore_shared::config;

use crate::{
    cli::SchemaFile,
    commands::{exit::Exit, view},
};

pub(in crate::commands) fn schema(file: Option<SchemaFile>) -> anyhow::Result<Exit> {
    let schemas = config::schemas();
    let name = file.map(|file| match file {
        SchemaFile::Pipeline => "pipeline",
        SchemaFile::Source => "source",
        SchemaFile::Mapping => "mapping",
    });
    match name.and_then(|name| schemas.get(name)) {
        Some(schema) => view::print_json(schema),
        None => view::print_json(&schemas),
    }
    Ok(Exit::Good)
}
