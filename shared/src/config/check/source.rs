//! The rules of a source file. Pure.

use std::{collections::BTreeMap, time::Duration};

use chrono_tz::Tz;

use super::{pipeline, value, window};
use crate::{
    chunk::{ExecutionMode, SourceId, UploadMode},
    config::{
        Origin,
        document::{Document, Wrong},
        raw::{DurationText, SecretName, Written, source as raw},
        spec::{
            ApiSpec, Auth, ExtractSpec, Paginator, Records, RequestLimits, RequestRetry, RequestSpec,
            SecretRef, SourceSpec,
        },
    },
    retry::Backoff,
};

/// Days per chunk of a source that says nothing.
const CHUNK_DAYS: u32 = 7;
/// Words in the names of headers and parameters that carry secrets: these belong under `auth`.
const SECRET_WORDS: [&str; 9] =
    ["authorization", "cookie", "api-key", "apikey", "token", "secret", "password", "passwd", "signature"];

/// A source whose file alone has been looked at.
pub(crate) struct Draft {
    pub(crate) id: SourceId,
    pub(crate) doc: Document,
    /// What it says, when its shape is right.
    pub(crate) said: Option<Said>,
    /// The name of its mapping; known even when much else is wrong.
    pub(crate) mapping: String,
    /// It is a file that this version reads.
    pub(crate) known: bool,
}

/// What a source file says, its rules checked.
pub(crate) struct Said {
    pub(crate) spec: SourceSpec,
    pub(crate) chunk_days: Origin<u32>,
    pub(crate) execution: Origin<Option<ExecutionMode>>,
    pub(crate) upload: Origin<UploadMode>,
    pub(crate) rate_limit_strict: bool,
    /// Where its secrets are named.
    pub(crate) secrets: Vec<(SecretRef, Vec<String>)>,
}

/// Checks one source file; `zone` is that of sources that declare none.
pub(crate) fn draft(id: SourceId, mut doc: Document, zone: Tz) -> Draft {
    let named = doc.root().get("mapping").and_then(|node| node.text()).filter(|name| !name.is_empty());
    let mapping = named.unwrap_or(id.as_str()).to_owned();
    let known = of_this_version(&mut doc);
    let raw = if known { doc.read::<raw::SourceFile>() } else { None };
    let said = raw.map(|raw| said(&mut doc, &raw, zone));
    Draft { id, said, mapping, known: known && doc.is_yaml(), doc }
}

/// `type: ui`, `type: api` and `kind: browser` are what users know, so they get a word of their own.
fn of_this_version(doc: &mut Document) -> bool {
    let word = |name: &str| doc.root().get(name).and_then(|node| node.text()).unwrap_or_default().to_owned();
    let (kind, old) = (word("kind"), word("type"));
    if doc.has(&["type"]) {
        let meant = if old == "ui" || old == "browser" { "browser" } else { "api" };
        let only = if meant == "api" { "" } else { "; this version extracts `api` sources only" };
        doc.fault_at_key(&["type"], "unknown key `type`", Some(format!("write `kind: {meant}`{only}")));
        doc.rename("type", "kind", meant);
        return meant == "api";
    }
    let message = "this version extracts `api` sources only";
    match kind.as_str() {
        "browser" => {
            doc.fault(&["kind"], message, Some("move the file out of `sources`".to_owned()));
            false
        }
        "ui" => {
            let hint = format!("it is called `kind: browser` now, and {message}");
            doc.fault(&["kind"], "`kind`: unknown value `ui`", Some(hint));
            false
        }
        _ => true,
    }
}

fn said(doc: &mut Document, raw: &raw::SourceFile, zone: Tz) -> Said {
    let days = raw.chunk_days.map(|days| days.0);
    let zone = raw.timezone.as_ref().map_or(zone, |text| value::zone(text).unwrap_or(zone));
    let chunk_backoff = backoff(doc, "chunk_retry", &raw.chunk_retry.base, &raw.chunk_retry.ceiling);
    let extract = ExtractSpec::Api(Box::new(api(doc, raw)));
    let secrets = raw.auth.as_ref().map(secrets).unwrap_or_default();
    Said {
        chunk_days: pipeline::origin(doc, &["chunk_days"], days, CHUNK_DAYS),
        execution: pipeline::origin(doc, &["execution"], raw.execution.map(pipeline::mode), None),
        upload: pipeline::origin(doc, &["upload"], raw.upload, UploadMode::Append),
        rate_limit_strict: raw.rate_limit_strict,
        secrets,
        spec: SourceSpec {
            about: raw.about.clone(),
            timezone: zone,
            width: raw.width,
            chunk_attempts: raw.chunk_attempts,
            chunk_backoff,
            stop_on_discard: raw.on_discard == raw::OnDiscard::Stop,
            extract,
        },
    }
}

fn api(doc: &mut Document, raw: &raw::SourceFile) -> ApiSpec {
    let auth = auth(doc, raw.auth.as_ref());
    let request = request(doc, &raw.request);
    let window = window::window(doc, &raw.window);
    let paginator = paginator(doc, &raw.paginator);
    window::parameters(doc, &window, &request.params, &paginator, &auth);
    let retry = RequestRetry {
        attempts: raw.retry.attempts,
        backoff: backoff(doc, "retry", &raw.retry.base, &raw.retry.ceiling),
    };
    ApiSpec {
        base_url: raw.base_url.clone(),
        auth,
        request,
        window,
        paginator,
        records: Records { selector: raw.records.selector.clone() },
        retry,
        limits: limits(raw),
    }
}

/// The meaning of a text whose fault, if it has one, is told already.
fn time(text: &DurationText) -> Duration {
    value::duration(&text.0).unwrap_or_default()
}

fn limits(raw: &raw::SourceFile) -> RequestLimits {
    RequestLimits {
        connect_timeout: time(&raw.timeouts.connect),
        read_timeout: time(&raw.timeouts.read),
        total_timeout: time(&raw.timeouts.total),
        max_body_bytes: value::size(&raw.limits.max_body.0).unwrap_or_default(),
        max_pages: raw.limits.max_pages,
    }
}

fn backoff(doc: &mut Document, section: &str, base: &DurationText, ceiling: &DurationText) -> Backoff {
    let (base, ceiling) = (time(base), time(ceiling));
    if base > ceiling && doc.clean(&[section]) {
        let hint = "no wait is longer than the ceiling: raise it, or lower the base".to_owned();
        doc.fault(&[section], format!("the base of `{section}` is above its ceiling"), Some(hint));
    }
    Backoff { base, ceiling }
}

fn auth(doc: &mut Document, raw: Option<&raw::Auth>) -> Auth {
    let secret = |name: &SecretName| SecretRef(name.secret.clone());
    match raw {
        None | Some(raw::Auth::None {}) => Auth::None,
        Some(raw::Auth::Basic { username, password }) => {
            Auth::Basic { username: secret(username), password: secret(password) }
        }
        Some(raw::Auth::Bearer { token }) => Auth::Bearer { token: secret(token) },
        Some(raw::Auth::ApiKey { place, name, prefix, key }) => {
            if *place == crate::config::spec::KeyPlace::Header {
                doc.take(&["auth", "name"], header_name(name), ());
            }
            Auth::ApiKey { place: *place, name: name.clone(), prefix: prefix.clone(), key: secret(key) }
        }
    }
}

/// The secrets and the places that name them.
fn secrets(auth: &raw::Auth) -> Vec<(SecretRef, Vec<String>)> {
    let uses: Vec<(&str, &SecretName)> = match auth {
        raw::Auth::None {} => vec![],
        raw::Auth::Basic { username, password } => vec![("username", username), ("password", password)],
        raw::Auth::Bearer { token } => vec![("token", token)],
        raw::Auth::ApiKey { key, .. } => vec![("key", key)],
    };
    let place = |part: &str| ["auth", part, "secret"].map(str::to_owned).to_vec();
    uses.into_iter().map(|(part, name)| (SecretRef(name.secret.clone()), place(part))).collect()
}

fn header_name(name: &str) -> Result<(), Wrong> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.is_empty() && name.bytes().all(valid) {
        return Ok(());
    }
    Err(Wrong::new(format!("`{name}` is no name of a header"), "letters, digits and `-`, such as X-Api-Key"))
}

fn request(doc: &mut Document, raw: &raw::Request) -> RequestSpec {
    if !raw.path.is_empty() && !raw.path.starts_with('/') {
        doc.fault(&["request", "path"], "the path must start with `/`", Some(format!("write /{}", raw.path)));
    }
    if raw.path.contains(['?', '#']) || raw.path.contains(char::is_whitespace) {
        let hint = "put parameters into `request.params`, and write a space as %20".to_owned();
        doc.fault(&["request", "path"], "the path must hold no `?`, no `#` and no white space", Some(hint));
    }
    let written =
        |map: &BTreeMap<String, Written>| map.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect();
    for (name, value) in &raw.headers {
        let path = ["request", "headers", name];
        if let Err(wrong) = header_name(name) {
            doc.fault_at_key(&path, wrong.message, wrong.hint);
        }
        if value.0.chars().any(char::is_control) {
            doc.fault(&path, "a header holds no line breaks and no control characters", None);
        }
        no_secret(doc, &path, "header");
    }
    for name in raw.params.keys() {
        no_secret(doc, &["request", "params", name], "parameter");
    }
    RequestSpec { path: raw.path.clone(), params: written(&raw.params), headers: written(&raw.headers) }
}

fn no_secret(doc: &mut Document, path: &[&str; 3], what: &str) {
    let name = path[2];
    let plain = name.to_lowercase().replace('_', "-");
    if SECRET_WORDS.iter().any(|word| plain.contains(word)) {
        let place = if what == "header" { "header" } else { "query" };
        let hint = format!(
            "never put secrets in a source: use `auth: {{ type: api_key, in: {place}, name: {name}, key: {{ secret: … }} }}`, `basic` or `bearer`"
        );
        doc.fault_at_key(path, format!("{what} `{name}` carries a secret"), Some(hint));
    }
}

fn paginator(doc: &mut Document, raw: &raw::Paginator) -> Paginator {
    match raw {
        raw::Paginator::None {} => Paginator::None,
        raw::Paginator::PageNumber {
            page_param,
            start_page,
            size_param,
            size,
            total_pages_path,
            total_path,
            has_more_path,
        } => Paginator::PageNumber {
            page_param: page_param.clone(),
            start_page: *start_page,
            size_param: size_param.clone(),
            size: *size,
            total_pages_path: total_pages_path.clone(),
            total_path: total_path.clone(),
            has_more_path: has_more_path.clone(),
        },
        raw::Paginator::Offset { offset_param, limit_param, limit, start, total_path, has_more_path } => {
            Paginator::Offset {
                offset_param: offset_param.clone(),
                limit_param: limit_param.clone(),
                limit: *limit,
                start: *start,
                total_path: total_path.clone(),
                has_more_path: has_more_path.clone(),
            }
        }
        raw::Paginator::Cursor { cursor_path, param, limit_param, limit, has_more_path, total_path } => {
            if limit_param.is_some() && limit.is_none() && doc.clean(&["paginator"]) {
                let hint = "add `limit`, the records per page".to_owned();
                doc.fault(&["paginator", "limit_param"], "`limit_param` without `limit`", Some(hint));
            }
            Paginator::Cursor {
                cursor_path: cursor_path.clone(),
                param: param.clone(),
                limit_param: limit_param.clone(),
                limit: *limit,
                has_more_path: has_more_path.clone(),
                total_path: total_path.clone(),
            }
        }
    }
}
