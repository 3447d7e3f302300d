//! What the files say about each other: overrides, mappings, tables. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    fields,
    pipeline::{OVERRIDES, Pipeline},
    source::Draft,
    window,
};
use crate::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    config::{
        Fault, Origin, SecretUse, Source,
        document::Document,
        evidence_gap, nearest,
        spec::{
            ExtractSpec, SourceSpec,
            budget::{Budget, BudgetKey},
        },
    },
    contract::Contract,
};

/// Chunks longer than this are allowed with a warning: less to resume, more to lose.
const LONG_CHUNK: u32 = 30;

/// One mapping file.
pub(crate) struct Mapping {
    pub(crate) doc: Document,
    /// What it says, when its shape is right.
    pub(crate) contract: Option<Contract>,
}

/// What came of all files together.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) sources: BTreeMap<SourceId, Source>,
    pub(crate) secrets: Vec<SecretUse>,
    /// Warnings, with the source that each is about; `None` for one that is about no source.
    pub(crate) warnings: Vec<(Option<String>, Fault)>,
}

impl Whole {
    /// Adds a warning about a source.
    pub(crate) fn warn(&mut self, id: &SourceId, warning: Fault) {
        self.warnings.push((Some(id.to_string()), warning));
    }
}

/// Joins sources with their mappings and overrides; faults are left in the documents.
pub(crate) fn join(
    pipeline: &mut Pipeline,
    pipeline_doc: &mut Document,
    drafts: &mut [Draft],
    mappings: &mut BTreeMap<String, Mapping>,
) -> Whole {
    let mut whole = Whole::default();
    override_names(pipeline, pipeline_doc, drafts, &mut whole);
    one_source_per_table(drafts, mappings);
    one_rate_per_budget(drafts);
    let mut missing = BTreeSet::new();
    for draft in drafts.iter_mut() {
        if draft.doc.is_yaml() && !mappings.contains_key(&draft.mapping) {
            missing_mapping(draft, mappings, &mut missing);
        }
        let contract = mappings.get(&draft.mapping).and_then(|mapping| mapping.contract.as_ref());
        source(pipeline, pipeline_doc, draft, contract, &mut whole);
    }
    let used: BTreeSet<&str> = drafts.iter().map(|draft| draft.mapping.as_str()).collect();
    for (name, mapping) in mappings.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        if missing.contains(name) {
            continue; // it is the one that a misspelt name meant
        }
        let hint = "remove it, or name it in a source: `mapping: …`".to_owned();
        let message = format!("no source uses the mapping `{name}`");
        whole.warnings.push((None, mapping.doc.remark(&[], message, Some(hint))));
    }
    whole
}

/// Checks the names of overrides. One of the replaced program is taken as its new name, with a warning.
fn override_names(pipeline: &mut Pipeline, doc: &mut Document, drafts: &[Draft], whole: &mut Whole) {
    let names: Vec<&str> = drafts.iter().map(|draft| draft.id.as_str()).collect();
    for section in OVERRIDES {
        for name in doc.keys(&[section]) {
            if names.contains(&name.as_str()) {
                continue;
            }
            let path = [section, &name];
            match nearest::alias(&name).filter(|new| names.contains(new)) {
                None => {
                    let hint = nearest::hint(&name, "sources", &names);
                    doc.fault_at_key(&path, format!("`{section}`: there is no source `{name}`"), hint);
                }
                Some(new) if doc.has(&[section, new]) => {
                    let message =
                        format!("`{section}`: `{name}` is the old name of `{new}`, which is listed too");
                    doc.fault_at_key(&path, message, Some(format!("keep `{new}`")));
                }
                Some(new) => {
                    pipeline.rename(section, &name, new);
                    let message =
                        format!("`{section}`: the source `{name}` is called `{new}` now: taken as that");
                    let warning = doc.remark(&path, message, Some(format!("write `{new}`")));
                    whole.warnings.push((Some(new.to_owned()), warning));
                }
            }
        }
    }
}

/// The key under which an override of a source is written: its name, or its old one.
fn override_key<'a>(doc: &Document, section: &str, id: &'a SourceId) -> &'a str {
    let old = nearest::old_name(id.as_str()).filter(|old| doc.has(&[section, old]));
    if doc.has(&[section, id.as_str()]) { id.as_str() } else { old.unwrap_or(id.as_str()) }
}

fn one_source_per_table(drafts: &mut [Draft], mappings: &BTreeMap<String, Mapping>) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for draft in drafts {
        let Some(contract) = mappings.get(&draft.mapping).and_then(|mapping| mapping.contract.as_ref())
        else {
            continue;
        };
        if contract.table.is_empty() {
            continue;
        }
        let name = draft.id.as_str().to_owned();
        if let Some(other) = first.get(&contract.table) {
            let message = format!("table `{}` is loaded by source `{other}` already", contract.table);
            let hint =
                "each source needs a table of its own: give it a mapping with another table".to_owned();
            draft.doc.fault(&["mapping"], message, Some(hint));
        } else {
            first.insert(contract.table.clone(), name);
        }
    }
}

fn one_rate_per_budget(drafts: &mut [Draft]) {
    let mut first: BTreeMap<BudgetKey, (SourceId, Budget)> = BTreeMap::new();
    for Draft { id, doc, said, .. } in drafts {
        let Some(ExtractSpec::Api(api)) = said.as_ref().map(|said| &said.spec.extract) else { continue };
        let Some(budget) = &api.budget else { continue };
        let (other, shared) = first.entry(budget.key.clone()).or_insert_with(|| (id.clone(), budget.clone()));
        if shared != budget {
            let Budget { key, rate, burst } = shared;
            let message = format!("source `{other}` gives the budget `{key}` another limit");
            let hint = format!(
                "what is shared has one limit: write `rate: {rate}` and `burst: {burst}`, or another `key`"
            );
            doc.fault(&["budget"], message, Some(hint));
        }
    }
}

fn missing_mapping(draft: &mut Draft, mappings: &BTreeMap<String, Mapping>, meant: &mut BTreeSet<String>) {
    let name = &draft.mapping;
    let near = nearest::nearest(name, mappings.keys().map(String::as_str));
    meant.extend(near.map(str::to_owned));
    let hint = match near {
        Some(near) => format!("did you mean `mapping: {near}`?"),
        None => format!("write mappings/{name}.yaml, or name another one: `mapping: …`"),
    };
    let message = format!("there is no file mappings/{name}.yaml");
    draft.doc.fault(&["mapping"], message, Some(hint));
}

/// A value of the source's file, or the stronger one of `pipeline.yaml`.
fn stronger<T: Clone>(
    own: &Origin<T>,
    overrides: &BTreeMap<String, Origin<T>>,
    id: &SourceId,
) -> (Origin<T>, bool) {
    let found = overrides.get(id.as_str());
    (found.unwrap_or(own).clone(), found.is_some())
}

fn source(
    pipeline: &Pipeline,
    pipeline_doc: &mut Document,
    draft: &mut Draft,
    contract: Option<&Contract>,
    whole: &mut Whole,
) {
    let Draft { id, doc, said: Some(said), .. } = draft else { return };
    let (chunk_days, days_overridden) = stronger(&said.chunk_days, &pipeline.chunk_sizes, id);
    let (execution, mode_overridden) = stronger(&said.execution, &pipeline.execution_modes, id);
    let (upload, upload_overridden) = stronger(&said.upload, &pipeline.upload_modes, id);
    if chunk_days.value > LONG_CHUNK {
        let message = format!("chunks of {} days for `{id}`: less to resume, more to lose", chunk_days.value);
        let hint = Some(format!("up to {LONG_CHUNK} days is usual"));
        let warning = if days_overridden {
            let key = override_key(pipeline_doc, "chunk_sizes", id);
            pipeline_doc.remark(&["chunk_sizes", key], message, hint)
        } else {
            doc.remark(&["chunk_days"], message, hint)
        };
        whole.warn(id, warning);
    }
    if execution.value == Some(ExecutionMode::Parallel) && said.spec.max_sessions() == 1 {
        let message = format!("`{id}` has one session, so its chunks cannot run in parallel");
        let hint = Some("choose `sequential`, or raise `max_sessions` if the account may".to_owned());
        if mode_overridden {
            let key = override_key(pipeline_doc, "execution_modes", id);
            pipeline_doc.fault(&["execution_modes", key], message, hint);
        } else {
            doc.fault(&["execution"], message, hint);
        }
    }
    if let Some(hint) = evidence_gap(&said.spec) {
        whole.warn(id, unproven(doc, &said.spec, hint));
    }
    let file = doc.file.clone();
    whole.secrets.extend(said.secrets.iter().map(|(name, path)| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        SecretUse { name: name.clone(), file: file.clone(), at: doc.at(&path) }
    }));
    let Some(contract) = contract else { return };
    if contract.range_column.is_none() && upload.value == UploadMode::ReplaceRange {
        let message = format!("upload mode `replace_range` of `{id}` needs a range column");
        let hint =
            Some(format!("add `range_column` to mappings/{}.yaml, or choose another mode", draft.mapping));
        if upload_overridden {
            let key = override_key(pipeline_doc, "upload_modes", id);
            pipeline_doc.fault(&["upload_modes", key], message, hint);
        } else {
            doc.fault(&["upload"], message, hint);
        }
    }
    if let ExtractSpec::Api(api) = &mut said.spec.extract {
        let zone = said.spec.timezone;
        let found = window::with_rows(doc, &mut api.window, zone, contract, &draft.mapping);
        found.into_iter().for_each(|warning| whole.warn(id, warning));
    }
    fields::agree(id, doc, &said.spec, contract, &draft.mapping, whole);
    let source = Source {
        spec: said.spec.clone(),
        contract: contract.clone(),
        chunk_days,
        execution,
        upload,
        rate_limit_strict: said.rate_limit_strict,
    };
    whole.sources.insert(id.clone(), source);
}

/// The warning that nothing in a source's file proves its chunks to be complete.
fn unproven(doc: &Document, spec: &SourceSpec, hint: String) -> Fault {
    let place = match spec.extract {
        ExtractSpec::Api(_) => "paginator",
        ExtractSpec::Browser(_) => "steps",
    };
    let follows = if spec.require_evidence {
        "each chunk will fail, because `require_evidence` is set"
    } else {
        "each chunk will be unproven"
    };
    doc.remark(&[place], format!("nothing named here proves that a chunk is complete: {follows}"), Some(hint))
}
