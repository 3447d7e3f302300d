//! The rules of `pipeline.yaml`: services and overrides. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use chrono_tz::Tz;

use super::value;
use crate::{
    chunk::{ExecutionMode, UploadMode},
    config::{
        Fault, Origin, Services, by_file,
        document::{Document, Wrong},
        fill::Env,
        raw::{
            pipeline::{ChunkDays, PipelineFile},
            source::Execution,
        },
    },
};

/// The sections that hold values by source.
pub(crate) const OVERRIDES: [&str; 3] = ["chunk_sizes", "execution_modes", "upload_modes"];

/// Everything that `pipeline.yaml` and the environment say.
pub(crate) struct Pipeline {
    pub(crate) services: Services,
    /// Where each address came from.
    pub(crate) services_from: BTreeMap<String, String>,
    pub(crate) parallel_workers: Origin<u32>,
    pub(crate) timezone: Origin<Tz>,
    /// Whether chunks without evidence fail, in sources that do not say.
    pub(crate) require_evidence: bool,
    pub(crate) chunk_sizes: BTreeMap<String, Origin<u32>>,
    pub(crate) execution_modes: BTreeMap<String, Origin<Option<ExecutionMode>>>,
    pub(crate) upload_modes: BTreeMap<String, Origin<UploadMode>>,
    /// Faults in the environment.
    pub(crate) faults: Vec<Fault>,
}

/// One address or name: its path in the file, its variable, its default, its rule.
struct Setting {
    path: [&'static str; 2],
    variable: Option<&'static str>,
    default: &'static str,
    in_file: fn(&PipelineFile) -> Option<String>,
    rule: &'static str,
}

const SETTINGS: [Setting; 5] = [
    Setting {
        path: ["redis", "url"],
        variable: Some("NSTORE_REDIS_URL"),
        default: "redis://127.0.0.1:6379",
        in_file: |raw| raw.redis.as_ref()?.url.clone(),
        rule: "redis url",
    },
    Setting {
        path: ["redis", "prefix"],
        variable: Some("NSTORE_REDIS_PREFIX"),
        default: "nstore",
        in_file: |raw| raw.redis.as_ref()?.prefix.clone(),
        rule: "redis prefix",
    },
    Setting {
        path: ["postgres", "url"],
        variable: Some("NSTORE_POSTGRES_URL"),
        default: "postgresql://127.0.0.1/nstore",
        in_file: |raw| raw.postgres.as_ref()?.url.clone(),
        rule: "postgres url",
    },
    Setting {
        path: ["postgres", "schema"],
        variable: None,
        default: "public",
        in_file: |raw| raw.postgres.as_ref()?.schema.clone(),
        rule: "schema",
    },
    Setting {
        path: ["storage", "url"],
        variable: Some("NSTORE_STORAGE_URL"),
        default: "file:./storage",
        in_file: |raw| raw.storage.as_ref()?.url.clone(),
        rule: "storage url",
    },
];

impl Pipeline {
    /// Gives the override of a source another name.
    pub(crate) fn rename(&mut self, section: &str, old: &str, new: &str) {
        match section {
            "chunk_sizes" => rename(&mut self.chunk_sizes, old, new),
            "execution_modes" => rename(&mut self.execution_modes, old, new),
            _ => rename(&mut self.upload_modes, old, new),
        }
    }
}

fn rename<T>(overrides: &mut BTreeMap<String, Origin<T>>, old: &str, new: &str) {
    if let Some(value) = overrides.remove(old) {
        overrides.insert(new.to_owned(), value);
    }
}

/// Reads the whole of `pipeline.yaml`; what is wrong is left in the document and in `faults`.
pub(crate) fn pipeline(doc: &mut Document, env: Env<'_>) -> Pipeline {
    let raw = doc.read::<PipelineFile>();
    let mut faults = Vec::new();
    let found = SETTINGS.map(|setting| resolve(doc, raw.as_ref(), env, &setting, &mut faults));
    let services_from =
        SETTINGS.iter().zip(&found).map(|(s, (_, from))| (s.path.join("."), from.clone())).collect();
    let [redis_url, redis_prefix, postgres_url, postgres_schema, storage_url] = found.map(|(text, _)| text);
    let services = Services { redis_url, redis_prefix, postgres_url, postgres_schema, storage_url };
    let defaults = raw.as_ref().and_then(|raw| raw.defaults.clone());
    let workers = defaults.as_ref().and_then(|defaults| defaults.parallel_workers);
    let require_evidence = defaults.as_ref().and_then(|defaults| defaults.require_evidence).unwrap_or(false);
    let zone = defaults
        .and_then(|defaults| defaults.timezone)
        .map(|text| value::zone(&text).unwrap_or(Tz::Asia__Kolkata));
    Pipeline {
        services,
        services_from,
        parallel_workers: origin(doc, &["defaults", "parallel_workers"], workers, 4),
        timezone: origin(doc, &["defaults", "timezone"], zone, Tz::Asia__Kolkata),
        require_evidence,
        chunk_sizes: overrides(
            doc,
            "chunk_sizes",
            raw.as_ref().map(|raw| &raw.chunk_sizes),
            |ChunkDays(days)| days,
        ),
        execution_modes: overrides(
            doc,
            "execution_modes",
            raw.as_ref().map(|raw| &raw.execution_modes),
            mode,
        ),
        upload_modes: overrides(doc, "upload_modes", raw.as_ref().map(|raw| &raw.upload_modes), |mode| mode),
        faults,
    }
}

/// The environment, else the file, else the default.
fn resolve(
    doc: &mut Document,
    raw: Option<&PipelineFile>,
    env: Env<'_>,
    setting: &Setting,
    faults: &mut Vec<Fault>,
) -> (String, String) {
    let by_env =
        setting.variable.and_then(|variable| Some((variable, env(variable).filter(|v| !v.is_empty())?)));
    if let Some((variable, text)) = by_env {
        let by_file = by_file::of_file(variable);
        let from =
            if env(&by_file).is_some_and(|file| !file.is_empty()) { by_file } else { variable.to_owned() };
        if let Err(Wrong { message, hint }) = value::check(setting.rule, &text) {
            faults.push(Fault { file: PathBuf::from(&from), at: None, message, hint });
        }
        return (text, from);
    }
    match raw.and_then(setting.in_file) {
        Some(text) => (text, doc.origin(&setting.path)),
        None => (setting.default.to_owned(), "default".to_owned()),
    }
}

/// `auto` is the automatic choice.
pub(crate) fn mode(execution: Execution) -> Option<ExecutionMode> {
    match execution {
        Execution::Auto => None,
        Execution::Parallel => Some(ExecutionMode::Parallel),
        Execution::Sequential => Some(ExecutionMode::Sequential),
    }
}

/// A value of the file with its line, or the default.
pub(crate) fn origin<T>(doc: &Document, path: &[&str], value: Option<T>, default: T) -> Origin<T> {
    match value {
        Some(value) => Origin { value, from: doc.origin(path) },
        None => Origin { value: default, from: "default".to_owned() },
    }
}

fn overrides<R: Copy, T>(
    doc: &Document,
    section: &str,
    raw: Option<&BTreeMap<String, R>>,
    meaning: impl Fn(R) -> T,
) -> BTreeMap<String, Origin<T>> {
    let entries = raw.into_iter().flatten();
    let found = |(name, value): (&String, &R)| {
        (name.clone(), Origin { value: meaning(*value), from: doc.origin(&[section, name]) })
    };
    entries.map(found).collect()
}
