//! The rules of an API's source file. Pure.

use std::collections::BTreeMap;

use super::{
    source::{backoff, time},
    value, window,
};
use crate::{
    chunk::SourceId,
    config::{
        document::{Document, Wrong},
        path::FieldPath,
        raw::{SecretName, Written, api as raw},
        spec::{
            ApiSpec, Auth, ErrorHandler, JsonCondition, Paginator, Records, RequestLimits, RequestRetry,
            RequestSpec, SecretRef, budget::Budget,
        },
    },
};

/// Words in the names of headers and parameters that carry secrets: these belong under `auth`.
const SECRET_WORDS: [&str; 9] =
    ["authorization", "cookie", "api-key", "apikey", "token", "secret", "password", "passwd", "signature"];

/// What an API's file says beyond what every source says.
pub(super) fn api(id: &SourceId, doc: &mut Document, raw: &raw::ApiFile) -> ApiSpec {
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
        records: Records {
            selector: path(&raw.records.selector),
            null_list: raw.records.null_list,
            repeats: raw.records.repeats,
        },
        empty_body: raw.empty_body,
        tls_ca: tls_ca(doc, raw.tls.as_ref()),
        budget: raw.budget.as_ref().and_then(|raw| budget(id, raw)),
        retry,
        error_handlers: error_handlers(doc, &raw.error_handlers),
        limits: limits(doc, raw),
    }
}

/// Nothing when its texts mean nothing, which is told already.
fn budget(id: &SourceId, raw: &raw::Budget) -> Option<Budget> {
    let key = match &raw.key {
        Some(key) => value::budget_key(key).ok()?,
        None => id.clone().into(),
    };
    Some(Budget { key, rate: value::rate(&raw.rate).ok()?, burst: raw.burst })
}

/// A path whose fault, if it has one, is told already.
fn path(text: &str) -> FieldPath {
    value::path(text).unwrap_or_default()
}

fn tls_ca(doc: &mut Document, raw: Option<&raw::Tls>) -> Option<String> {
    let ca = raw?.ca.clone();
    if ca.is_empty() {
        let hint = "name a file of PEM certificates on the workers' hosts, or remove `tls`".to_owned();
        doc.fault(&["tls", "ca"], "the path is empty", Some(hint));
    }
    Some(ca)
}

fn error_handlers(doc: &mut Document, raw: &[raw::ErrorHandler]) -> Vec<ErrorHandler> {
    for (at, handler) in raw.iter().enumerate() {
        let at = at.to_string();
        let raw::When { codes, body_contains, json } = &handler.when;
        if codes.is_empty() && body_contains.is_none() && json.is_none() {
            let hint = "say which: `codes`, `body_contains`, `json` or several of them".to_owned();
            doc.fault(&["error_handlers", &at, "when"], "this would handle every answer", Some(hint));
        }
        if body_contains.as_deref() == Some("") {
            let path = ["error_handlers", &at, "when", "body_contains"];
            doc.fault(&path, "every body contains an empty text", None);
        }
        if json.as_ref().is_some_and(|json| json.equals.is_none() && json.exists.is_none()) {
            let path = ["error_handlers", &at, "when", "json"];
            let hint = "add `equals: VALUE`, `exists: true` or `exists: false`".to_owned();
            doc.fault(&path, "the condition does not say which value it means", Some(hint));
        }
    }
    let json = |raw: &raw::JsonCondition| JsonCondition {
        path: path(&raw.path),
        equals: raw.equals.as_ref().map(|value| value.0.clone()),
        exists: raw.exists,
    };
    let handler = |raw: &raw::ErrorHandler| ErrorHandler {
        codes: raw.when.codes.clone(),
        body_contains: raw.when.body_contains.clone(),
        json: raw.when.json.as_ref().map(json),
        action: raw.action,
    };
    raw.iter().map(handler).collect()
}

fn limits(doc: &mut Document, raw: &raw::ApiFile) -> RequestLimits {
    let (total, chunk) = (time(&raw.timeouts.total), raw.timeouts.chunk.as_ref().map(time));
    if chunk.is_some_and(|chunk| chunk < total) && doc.clean(&["timeouts"]) {
        let hint = "a chunk is several requests: raise it, or lower `total`".to_owned();
        doc.fault(&["timeouts", "chunk"], "`timeouts.chunk` is shorter than `timeouts.total`", Some(hint));
    }
    RequestLimits {
        connect_timeout: time(&raw.timeouts.connect),
        read_timeout: time(&raw.timeouts.read),
        total_timeout: total,
        chunk_timeout: chunk,
        max_body_bytes: value::size(&raw.limits.max_body.0).unwrap_or_default(),
        max_pages: raw.limits.max_pages,
        max_records: raw.limits.max_records,
    }
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
pub(super) fn secrets(auth: &raw::Auth) -> Vec<(SecretRef, Vec<String>)> {
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
    let maybe = |text: &Option<String>| text.as_deref().map(path);
    match raw {
        raw::Paginator::None { total_path, has_more_path } => {
            Paginator::None { total_path: maybe(total_path), has_more_path: maybe(has_more_path) }
        }
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
            total_pages_path: maybe(total_pages_path),
            total_path: maybe(total_path),
            has_more_path: maybe(has_more_path),
        },
        raw::Paginator::Offset { offset_param, limit_param, limit, start, total_path, has_more_path } => {
            Paginator::Offset {
                offset_param: offset_param.clone(),
                limit_param: limit_param.clone(),
                limit: *limit,
                start: *start,
                total_path: maybe(total_path),
                has_more_path: maybe(has_more_path),
            }
        }
        raw::Paginator::Cursor { cursor_path, param, limit_param, limit, has_more_path, total_path } => {
            if limit_param.is_some() && limit.is_none() && doc.clean(&["paginator"]) {
                let hint = "add `limit`, the records per page".to_owned();
                doc.fault(&["paginator", "limit_param"], "`limit_param` without `limit`", Some(hint));
            }
            Paginator::Cursor {
                cursor_path: path(cursor_path),
                param: param.clone(),
                limit_param: limit_param.clone(),
                limit: *limit,
                has_more_path: maybe(has_more_path),
                total_path: maybe(total_path),
            }
        }
    }
}
