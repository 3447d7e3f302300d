//! Reads the config directory: all of it, or what a run of some sources needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Config, Fault, Faults, LoadOptions, Services, all_or, by_file,
    check::{
        mapping,
        pipeline::{self, OVERRIDES},
        source::{self, Draft},
        whole::{self, Mapping, Whole},
    },
    document::Document,
    files, nearest,
};
use crate::chunk::SourceId;

/// Reads and checks everything under `dir`.
///
/// # Errors
/// All faults at once, each with its place.
pub fn load(dir: &Path, options: &LoadOptions<'_>) -> Result<Config, Faults> {
    read(dir, options, &Asked::All)
}

/// Reads everything under `dir` for a run of the sources named. Other sources may have faults: these are left out
/// of [`Config::sources`] and counted in [`Config::broken`]. Warnings are of the sources named only.
///
/// # Errors
/// All faults of what these sources need, each with its place.
pub fn load_for(dir: &Path, options: &LoadOptions<'_>, names: &[String]) -> Result<Config, Faults> {
    let new = |name: &String| nearest::alias(name).map(str::to_owned);
    let asked = names.iter().cloned().chain(names.iter().filter_map(new)).collect();
    read(dir, options, &Asked::Only(asked))
}

/// Reads the services alone: the environment, then `pipeline.yaml` if it is there. Sources are not looked at.
///
/// # Errors
/// All faults of `pipeline.yaml`'s service sections.
pub fn load_services(dir: &Path, options: &LoadOptions<'_>) -> Result<Services, Faults> {
    let mut faults = Vec::new();
    let by_file = by_file::addresses(options.env, &mut faults);
    let env = |name: &str| by_file.get(name).cloned().or_else(|| (options.env)(name));
    let options = &LoadOptions { env: &env, timezone: options.timezone };
    let mut doc = pipeline_file(dir, options, &mut faults);
    let pipeline = pipeline::pipeline(&mut doc, options.env);
    faults.extend(pipeline.faults);
    faults.extend(doc.into_faults(Some(&["version", "redis", "postgres", "storage"])));
    all_or(faults, || pipeline.services)
}

/// Which sources are asked for.
enum Asked {
    /// All of them.
    All,
    /// These, by name.
    Only(BTreeSet<String>),
}

impl Asked {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Faults by what they belong to.
#[derive(Default)]
struct Found {
    /// What every run needs.
    shared: Vec<Fault>,
    /// Of a source, by its name.
    sources: Vec<(String, Fault)>,
    /// Of a mapping, by its name.
    mappings: Vec<(String, Fault)>,
}

impl Found {
    /// The faults of each source, with those of its mapping.
    fn by_source(&self, mapping_of: &BTreeMap<String, String>) -> BTreeMap<String, Vec<Fault>> {
        let mut all: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
        for (source, fault) in &self.sources {
            all.entry(source.clone()).or_default().push(fault.clone());
        }
        for (source, mapping) in mapping_of {
            let of_mapping = self.mappings.iter().filter(|(name, _)| name == mapping);
            for (_, fault) in of_mapping {
                all.entry(source.clone()).or_default().push(fault.clone());
            }
        }
        all
    }

    /// What stops a run of the sources asked for.
    fn stopping(self, asked: &Asked, by_source: &BTreeMap<String, Vec<Fault>>) -> Vec<Fault> {
        if matches!(asked, Asked::All) {
            let of = |(_, fault): (String, Fault)| fault;
            let all = self.shared.into_iter();
            return all
                .chain(self.sources.into_iter().map(of))
                .chain(self.mappings.into_iter().map(of))
                .collect();
        }
        let of_asked = by_source.iter().filter(|(source, _)| asked.has(source));
        self.shared.into_iter().chain(of_asked.flat_map(|(_, faults)| faults.clone())).collect()
    }
}

fn read(dir: &Path, options: &LoadOptions<'_>, asked: &Asked) -> Result<Config, Faults> {
    if !dir.is_dir() {
        let hint = "run nstore where the directory lies, or name it in NSTORE_CONFIG".to_owned();
        return Err(Faults(vec![files::fault(dir, "there is no such config directory", Some(hint))]));
    }
    let mut found = Found::default();
    let by_file = by_file::addresses(options.env, &mut found.shared);
    let env = |name: &str| by_file.get(name).cloned().or_else(|| (options.env)(name));
    let options = &LoadOptions { env: &env, timezone: options.timezone };
    let mut pipeline_doc = pipeline_file(dir, options, &mut found.shared);
    let mut pipeline = pipeline::pipeline(&mut pipeline_doc, options.env);
    found.shared.append(&mut pipeline.faults);
    let defaults = source::Defaults {
        zone: options.timezone.unwrap_or(pipeline.timezone.value),
        require_evidence: pipeline.require_evidence,
    };
    let mut drafts = sources(dir, options, &defaults, &mut found);
    let mut mappings = mappings(dir, options, &mut found);
    let mut whole = whole::join(&mut pipeline, &mut pipeline_doc, &mut drafts, &mut mappings);
    let warnings = warnings(dir, &mut whole, &drafts, asked);
    let mapping_of: BTreeMap<String, String> =
        drafts.iter().map(|draft| (draft.id.to_string(), draft.mapping.clone())).collect();
    sort_faults(pipeline_doc, drafts, mappings, &mut found);
    let by_source = found.by_source(&mapping_of);
    let faults = found.stopping(asked, &by_source);
    all_or(faults, || Config {
        dir: dir.to_owned(),
        services: pipeline.services,
        parallel_workers: pipeline.parallel_workers,
        sources: whole.sources.into_iter().filter(|(id, _)| !by_source.contains_key(id.as_str())).collect(),
        warnings,
        broken: by_source.into_iter().map(|(source, faults)| (source, faults.len())).collect(),
        services_from: pipeline.services_from,
        timezone: pipeline.timezone,
        secrets: whole.secrets,
    })
}

/// Leaves each document's faults with the source, the mapping or the shared part that they belong to.
fn sort_faults(
    pipeline_doc: Document,
    drafts: Vec<Draft>,
    mappings: BTreeMap<String, Mapping>,
    found: &mut Found,
) {
    let mut names: BTreeSet<String> = drafts.iter().map(|draft| draft.id.to_string()).collect();
    names.extend(found.sources.iter().map(|(name, _)| name.clone()));
    for (path, fault) in pipeline_doc.into_placed() {
        match overridden(&path, &names) {
            Some(source) => found.sources.push((source, fault)),
            None => found.shared.push(fault),
        }
    }
    for Draft { id, doc, .. } in drafts {
        found.sources.extend(doc.into_faults(None).into_iter().map(|fault| (id.to_string(), fault)));
    }
    for (name, mapping) in mappings {
        found.mappings.extend(mapping.doc.into_faults(None).into_iter().map(|fault| (name.clone(), fault)));
    }
}

/// The source that an override of `pipeline.yaml` names, or most likely means.
fn overridden(path: &[String], names: &BTreeSet<String>) -> Option<String> {
    let [section, name, ..] = path else { return None };
    if !OVERRIDES.contains(&section.as_str()) {
        return None;
    }
    let new = nearest::alias(name).filter(|new| names.contains(*new));
    let known = names.get(name).map(String::as_str).or(new);
    known.or_else(|| nearest::nearest(name, names.iter().map(String::as_str))).map(str::to_owned)
}

/// The warnings of the sources asked for, and of the directory.
fn warnings(dir: &Path, whole: &mut Whole, drafts: &[Draft], asked: &Asked) -> Vec<Fault> {
    let of_asked = |source: &Option<String>| match source {
        Some(source) => asked.has(source),
        None => matches!(asked, Asked::All),
    };
    let mut warnings: Vec<Fault> = std::mem::take(&mut whole.warnings)
        .into_iter()
        .filter_map(|(source, warning)| of_asked(&source).then_some(warning))
        .collect();
    if drafts.is_empty() {
        let hint = Some("a source is a file sources/NAME.yaml".to_owned());
        warnings.push(files::fault(&dir.join("sources"), "there are no sources", hint));
    }
    for name in ["sources.yaml", "sources.yml"] {
        let file = dir.join(name);
        if file.exists() {
            let hint = "write each of its sources to a file sources/NAME.yaml (`nstore config schema source` \
                        describes it), then remove this one";
            let message = "is not read: each source has a file of its own";
            warnings.push(files::fault(&file, message, Some(hint.to_owned())));
        }
    }
    warnings
}

fn pipeline_file(dir: &Path, options: &LoadOptions<'_>, faults: &mut Vec<Fault>) -> Document {
    let file = dir.join("pipeline.yaml");
    let text = files::text(&file).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    // without the file all holds that the environment and the defaults say
    Document::new(&file, text.as_deref().unwrap_or("version: 1"), options.env)
}

/// The documents of a folder by their names; a file that cannot be read becomes a fault of its name.
fn documents(
    folder: &Path,
    options: &LoadOptions<'_>,
    shared: &mut Vec<Fault>,
    own: &mut Vec<(String, Fault)>,
) -> Vec<(String, Document)> {
    let mut found = Vec::new();
    for (name, file) in files::yaml_files(folder, shared, own) {
        match files::text(&file) {
            Ok(text) => found.push((name, Document::new(&file, &text.unwrap_or_default(), options.env))),
            Err(fault) => own.push((name, fault)),
        }
    }
    found
}

fn sources(
    dir: &Path,
    options: &LoadOptions<'_>,
    defaults: &source::Defaults,
    faults: &mut Found,
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for (name, doc) in documents(&dir.join("sources"), options, &mut faults.shared, &mut faults.sources) {
        match name.parse::<SourceId>() {
            Ok(id) => drafts.push(source::draft(id, doc, defaults)),
            Err(error) => {
                let hint = Some("the file's name is the source's id: rename it".to_owned());
                faults.sources.push((name, files::fault(&doc.file, error.to_string(), hint)));
            }
        }
    }
    drafts
}

fn mappings(dir: &Path, options: &LoadOptions<'_>, faults: &mut Found) -> BTreeMap<String, Mapping> {
    let read = |(name, mut doc): (String, Document)| {
        let contract = doc.read().map(|raw| mapping::contract(&mut doc, &raw));
        (name, Mapping { doc, contract })
    };
    let folder = dir.join("mappings");
    let read_all = documents(&folder, options, &mut faults.shared, &mut faults.mappings);
    read_all.into_iter().map(read).collect()
}
