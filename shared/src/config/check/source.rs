//! The rules of a source file. Pure.

use std::time::Duration;

use chrono_tz::Tz;

use super::{api, browser, pipeline, unencrypted, value};
use crate::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    config::{
        Origin,
        document::Document,
        raw::{
            DurationText,
            source::{Common, OnDiscard, SourceFile, Upload},
        },
        spec::{ExtractSpec, SecretRef, SourceSpec},
    },
    retry::Backoff,
};

/// Days per chunk of a source that says nothing.
const CHUNK_DAYS: u32 = 7;

/// A source whose file alone has been looked at.
pub(crate) struct Draft {
    pub(crate) id: SourceId,
    pub(crate) doc: Document,
    /// What it says, when its shape is right.
    pub(crate) said: Option<Said>,
    /// The name of its mapping; known even when much else is wrong.
    pub(crate) mapping: String,
}

/// A secret, and the path of the place that names it.
pub(crate) type NamedSecret = (SecretRef, Vec<String>);

/// What a source file says, its rules checked.
pub(crate) struct Said {
    pub(crate) spec: SourceSpec,
    pub(crate) chunk_days: Origin<u32>,
    pub(crate) execution: Origin<Option<ExecutionMode>>,
    pub(crate) upload: Origin<UploadMode>,
    pub(crate) rate_limit_strict: bool,
    /// Where its secrets are named.
    pub(crate) secrets: Vec<NamedSecret>,
}

/// What holds for sources that do not say otherwise.
pub(crate) struct Defaults {
    /// Their zone.
    pub(crate) zone: Tz,
    /// Whether chunks fail that nothing proves to be complete.
    pub(crate) require_evidence: bool,
}

/// Checks one source file.
pub(crate) fn draft(id: SourceId, mut doc: Document, defaults: &Defaults) -> Draft {
    let named = doc.root().get("mapping").and_then(|node| node.text()).filter(|name| !name.is_empty());
    let mapping = named.unwrap_or(id.as_str()).to_owned();
    old_words(&mut doc);
    let raw = doc.read::<SourceFile>();
    let said = raw.map(|raw| said(&id, &mut doc, &raw, defaults));
    Draft { id, said, mapping, doc }
}

/// `type: ui`, `type: api` and `kind: ui` are what users know, so they get a word of their own.
fn old_words(doc: &mut Document) {
    let word = |name: &str| doc.root().get(name).and_then(|node| node.text()).unwrap_or_default().to_owned();
    let (kind, old) = (word("kind"), word("type"));
    if doc.has(&["type"]) {
        let meant = if old == "ui" || old == "browser" { "browser" } else { "api" };
        doc.fault_at_key(&["type"], "unknown key `type`", Some(format!("write `kind: {meant}`")));
        doc.rename("type", "kind", meant);
    } else if kind == "ui" {
        let hint = "it is called `kind: browser` now".to_owned();
        doc.fault(&["kind"], "`kind`: unknown value `ui`", Some(hint));
        doc.rename("kind", "kind", "browser");
    }
}

fn said(id: &SourceId, doc: &mut Document, raw: &SourceFile, defaults: &Defaults) -> Said {
    let common = raw.common();
    let zone = zone(common, defaults);
    let days = common.chunk_days.map(|days| days.0);
    let (extract, secrets) = match raw {
        SourceFile::Api(raw) => {
            let secrets = raw.auth.as_ref().map(api::secrets).unwrap_or_default();
            (ExtractSpec::Api(Box::new(api::api(id, doc, raw))), secrets)
        }
        SourceFile::Browser(raw) => {
            (ExtractSpec::Browser(Box::new(browser::browser(doc, raw, zone))), browser::secrets(raw))
        }
    };
    unencrypted::refuse(doc, raw, &secrets);
    Said {
        chunk_days: pipeline::origin(doc, &["chunk_days"], days, CHUNK_DAYS),
        execution: pipeline::origin(doc, &["execution"], common.execution.map(pipeline::mode), None),
        upload: pipeline::origin(doc, &["upload"], common.upload.and_then(Upload::mode), UploadMode::Append),
        rate_limit_strict: common.rate_limit_strict,
        secrets,
        spec: spec(doc, common, defaults, extract),
    }
}

fn spec(doc: &mut Document, common: &Common, defaults: &Defaults, extract: ExtractSpec) -> SourceSpec {
    SourceSpec {
        about: common.about.clone(),
        timezone: zone(common, defaults),
        width: common.width,
        chunk_attempts: common.chunk_attempts,
        chunk_backoff: backoff(doc, "chunk_retry", &common.chunk_retry.base, &common.chunk_retry.ceiling),
        stop_on_discard: common.on_discard == OnDiscard::Stop,
        require_evidence: common.require_evidence.unwrap_or(defaults.require_evidence),
        allow_cascade: common.upload.is_some_and(Upload::allow_cascade),
        extract,
    }
}

/// The zone in which a source's days are counted.
fn zone(common: &Common, defaults: &Defaults) -> Tz {
    common.timezone.as_ref().and_then(|text| value::zone(text).ok()).unwrap_or(defaults.zone)
}

/// The meaning of a text whose fault, if it has one, is told already.
pub(super) fn time(text: &DurationText) -> Duration {
    value::duration(&text.0).unwrap_or_default()
}

/// A first wait and the longest one.
pub(super) fn backoff(
    doc: &mut Document,
    section: &str,
    base: &DurationText,
    ceiling: &DurationText,
) -> Backoff {
    let (base, ceiling) = (time(base), time(ceiling));
    if base > ceiling && doc.clean(&[section]) {
        let hint = "no wait is longer than the ceiling: raise it, or lower the base".to_owned();
        doc.fault(&[section], format!("the base of `{section}` is above its ceiling"), Some(hint));
    }
    Backoff { base, ceiling }
}
