//! `nstore config show`: every setting as it applies, without secrets, and where it came from.

use nstore_shared::config::{Config, Origin, Source};
use serde_json::{Value, json};

use crate::{
    cli::Global,
    commands::{
        exit::Exit,
        settings,
        view::{self, outline, redact::redact},
    },
};

pub(in crate::commands) fn show(global: &Global, as_json: bool) -> anyhow::Result<Exit> {
    let (text, document) = applied(global)?;
    if as_json {
        view::print_json(&document);
    } else {
        view::print(&text);
    }
    Ok(Exit::Good)
}

/// The settings that apply, for people and as a document.
pub(in crate::commands) fn applied(global: &Global) -> anyhow::Result<(String, Value)> {
    let config = settings::config(global)?;
    let document = document(&config);
    Ok((outline::outline(&document), document))
}

fn document(config: &Config) -> Value {
    let sources: serde_json::Map<String, Value> =
        config.sources.iter().map(|(id, source)| (id.to_string(), of_source(source))).collect();
    json!({
        "dir": config.dir,
        "services": of_services(config),
        "timezone": of_origin(&config.timezone),
        "parallel_workers": of_origin(&config.parallel_workers),
        "sources": sources,
    })
}

fn of_services(config: &Config) -> Value {
    let services = &config.services;
    let values = [
        ("redis.url", redact(&services.redis_url)),
        ("redis.prefix", services.redis_prefix.clone()),
        ("postgres.url", redact(&services.postgres_url)),
        ("postgres.schema", services.postgres_schema.clone()),
        ("storage.url", services.storage_url.clone()),
    ];
    let shown = values.map(|(name, value)| {
        let from = config.services_from.get(name).map_or("default", String::as_str);
        (name.to_owned(), json!({ "value": value, "from": from }))
    });
    Value::Object(shown.into_iter().collect())
}

fn of_source(source: &Source) -> Value {
    let execution = source.execution.value.map_or_else(|| "auto".to_owned(), |mode| mode.to_string());
    json!({
        "chunk_days": of_origin(&source.chunk_days),
        "execution": { "value": execution, "from": source.execution.from },
        "upload": of_origin(&source.upload),
        "rate_limit_strict": source.rate_limit_strict,
        "spec": source.spec,
        "contract": source.contract,
    })
}

fn of_origin<T: serde::Serialize>(origin: &Origin<T>) -> Value {
    json!({ "value": origin.value, "from": origin.from })
}
