//! Whole directories: good ones here; `faults` has what can be wrong, `browser` the same of dashboards, `damage`
//! what must not stop the reader, `tolerance` which faults stop which sources.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::*;
use crate::chunk::{ExecutionMode, UploadMode};

mod browser;
mod damage;
mod faults;
mod tolerance;

const PIPELINE: &str = "version: 1\ndefaults: { parallel_workers: 6, timezone: Europe/Berlin }\n";

const SOURCE: &str = r#"kind: api
about: Payments, by creation time
chunk_days: 7
execution: auto
upload: append
timezone: Asia/Kolkata
base_url: "${PAY_URL:-https://api.example.org}"
auth:
  type: basic
  username: { secret: pay.key_id }
  password: { secret: pay.key_secret }
request: { path: /v1/payments, params: { expand: true, version: 1.10 } }
window:
  params: { from: start, to: end }
  format: epoch_s
  bounds: unknown
  granularity: 1s
paginator: { type: offset, offset_param: skip, limit_param: count, limit: 100 }
records: { selector: items }
retry: { attempts: 5, base: 1s, ceiling: 60s }
chunk_attempts: 4
width: 4
"#;

const MAPPING: &str = r"table: payments
key: [id]
range_column: created_at
rejects: { allow: 0.1% }
columns:
  id:         { type: text, required: true }
  amount:     { type: 'numeric(12,2)' }
  card_last4: { from: card.last4, type: text }
  created_at: { type: timestamptz, format: epoch_s, required: true }
";

/// A directory of its own with the files given.
fn directory_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

fn load_with(files: &[(&str, &str)], env: &dyn Fn(&str) -> Option<String>) -> Result<Config, String> {
    let dir = directory_of(files);
    let place = dir.path().display().to_string();
    load(dir.path(), &LoadOptions { env, timezone: None })
        .map_err(|faults| faults.to_string().replace(&place, "config"))
}

fn load_files(files: &[(&str, &str)]) -> Result<Config, String> {
    load_with(files, &|_| None)
}

fn good() -> Vec<(&'static str, &'static str)> {
    vec![("pipeline.yaml", PIPELINE), ("sources/pay.yaml", SOURCE), ("mappings/pay.yaml", MAPPING)]
}

/// The faults after replacing a text in one of the good files.
fn faults_after(file: &str, from: &str, to: &str) -> String {
    let (name, text) = good().into_iter().find(|(name, _)| name.starts_with(file)).unwrap();
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let files: Vec<_> =
        good().into_iter().map(|(n, t)| if n == name { (n, text.as_str()) } else { (n, t) }).collect();
    match load_files(&files) {
        Ok(_) => "no faults".to_owned(),
        Err(report) => report,
    }
}

#[test]
fn good_files_become_plain_structs() {
    let config = load_files(&good()).unwrap();
    let id: SourceId = "pay".parse().unwrap();
    let source = &config.sources[&id];
    assert_eq!(config.warnings, []);
    assert_eq!((config.parallel_workers.value, config.timezone.value), (6, Tz::Europe__Berlin));
    assert!(config.parallel_workers.from.ends_with("pipeline.yaml:2"), "{}", config.parallel_workers.from);
    assert!(source.chunk_days.from.ends_with("sources/pay.yaml:3"), "{}", source.chunk_days.from);
    assert_eq!(source.spec.timezone, Tz::Asia__Kolkata);
    insta::assert_snapshot!(serde_json::to_string_pretty(&(&source.spec, &source.contract)).unwrap());
}

#[test]
fn a_short_source_gets_the_defaults() {
    let source = "kind: api\nbase_url: http://127.0.0.1:9\nwindow: { params: { a: start, b: end }, format: date, \
                  bounds: half_open }\npaginator: { type: none }\n";
    let mapping = "table: t\ncolumns: { b: { type: text }, a: { type: jsonb } }\n";
    let config = load_files(&[("sources/s.yaml", source), ("mappings/s.yaml", mapping)]).unwrap();
    let source = config.sources.values().next().unwrap();
    assert_eq!(source.contract.column_names(), ["b", "a"]);
    assert_eq!(source.chunk_days, Origin { value: 7, from: "default".into() });
    assert_eq!(source.execution, Origin { value: None, from: "default".into() });
    assert_eq!(source.upload, Origin { value: UploadMode::Append, from: "default".into() });
    assert_eq!((config.parallel_workers.value, config.services.postgres_schema.as_str()), (4, "public"));
    assert_eq!(source.spec.timezone, Tz::Asia__Kolkata);
    insta::assert_snapshot!(serde_json::to_string_pretty(&source.spec).unwrap());
}

#[test]
fn an_upload_mode_is_a_word_or_a_map_with_rules() {
    let with = |upload: &str| {
        let source = format!(
            "kind: api\nbase_url: http://127.0.0.1:9\nwindow: {{ params: {{ a: start, b: end }}, format: date, \
             bounds: half_open }}\npaginator: {{ type: none }}\nupload: {upload}\n"
        );
        let mapping = "table: t\ncolumns: { b: { type: text } }\n";
        let config = load_files(&[("sources/s.yaml", &source), ("mappings/s.yaml", mapping)])?;
        let source = config.sources.values().next().unwrap();
        Ok::<_, String>((source.upload.value, source.spec.allow_cascade))
    };
    assert_eq!(with("replace"), Ok((UploadMode::Replace, false)));
    assert_eq!(with("{ mode: replace }"), Ok((UploadMode::Replace, false)));
    assert_eq!(with("{ mode: replace, allow_cascade: true }"), Ok((UploadMode::Replace, true)));
    assert_eq!(with("{ allow_cascade: true }"), Ok((UploadMode::Append, true)));
    for (wrong, told) in [
        ("{ mode: replaec }", "did you mean `replace`?"),
        ("{ allow_cascades: true }", "unknown key `allow_cascades`"),
        ("{ allow_cascade: maybe }", "`allow_cascade` must be true or false"),
        ("replaec", "did you mean `replace`?"),
        ("[replace]", "`upload` must be one of"),
    ] {
        let report = with(wrong).unwrap_err();
        assert!(report.contains(told), "{wrong}: {report}");
    }
}

#[test]
fn overrides_and_variables_say_where_they_come_from() {
    let pipeline = "version: 1\nredis: { url: 'redis://file:1' }\nstorage: { url: 'file:${WHERE}' }\n\
                    chunk_sizes: { pay: 45 }\nexecution_modes: { pay: sequential }\nupload_modes: { pay: replace }\n";
    let env = |name: &str| match name {
        "NSTORE_REDIS_URL" => Some("redis://env:1".to_owned()),
        "WHERE" => Some("/srv/x".to_owned()),
        "NSTORE_POSTGRES_URL" => Some(String::new()),
        _ => None,
    };
    let mut files = good();
    files[0].1 = pipeline;
    let config = load_with(&files, &env).unwrap();
    let source = config.sources.values().next().unwrap();
    assert_eq!(config.services.redis_url, "redis://env:1");
    assert_eq!(config.services_from["redis.url"], "NSTORE_REDIS_URL");
    assert_eq!(config.services.storage_url, "file:/srv/x");
    assert!(config.services_from["storage.url"].ends_with("pipeline.yaml:3"));
    assert_eq!(config.services_from["postgres.url"], "default");
    assert_eq!((source.chunk_days.value, source.execution.value), (45, Some(ExecutionMode::Sequential)));
    assert_eq!(source.upload.value, UploadMode::Replace);
    assert!(source.chunk_days.from.ends_with("pipeline.yaml:4"), "{}", source.chunk_days.from);
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].at, Some((4, 21)));
    assert!(config.warnings[0].message.starts_with("chunks of 45 days"));
}

#[test]
fn the_shipped_config_has_no_faults_and_the_promised_defaults() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let config =
        load(&dir, &LoadOptions { env: &|_| None, timezone: None }).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(config.warnings, []);
    let settings = |name: &str| {
        let source = &config.sources[&name.parse::<SourceId>().unwrap()];
        assert_eq!(source.spec.timezone, Tz::Asia__Kolkata, "{name}");
        assert_eq!(source.contract.table, name);
        assert!(!source.contract.key.is_empty(), "{name}");
        (source.chunk_days.value, source.execution.value, source.upload.value)
    };
    let parallel = Some(ExecutionMode::Parallel);
    assert_eq!(settings("buyer_orders"), (3, parallel, UploadMode::Append));
    assert_eq!(settings("buyer_tickets"), (5, parallel, UploadMode::ReplaceRange));
    for name in ["buyer_razorpay", "seller_orders", "seller_tickets"] {
        assert_eq!(settings(name), (7, None, UploadMode::Append), "{name}");
    }
    let sequential = Some(ExecutionMode::Sequential);
    assert_eq!(settings("network_observability"), (2, sequential, UploadMode::ReplaceRange));
    assert_eq!((config.sources.len(), config.parallel_workers.value), (6, 4));
}

#[test]
fn a_flag_gives_the_zone_of_sources_that_declare_none() {
    let source = SOURCE.replace("timezone: Asia/Kolkata\n", "");
    let dir = directory_of(&[("sources/pay.yaml", &source), ("mappings/pay.yaml", MAPPING)]);
    let options = LoadOptions { env: &|_| None, timezone: Some(Tz::UTC) };
    let config = load(dir.path(), &options).unwrap();
    assert_eq!(config.sources.values().next().unwrap().spec.timezone, Tz::UTC);
}

#[test]
fn a_missing_directory_is_one_fault() {
    let options = LoadOptions { env: &|_| None, timezone: None };
    let faults = load(Path::new("no/such/dir"), &options).unwrap_err().to_string();
    insta::assert_snapshot!(faults, @r"
    config: 1 problem

    no/such/dir: there is no such config directory
      run nstore where the directory lies, or name it in NSTORE_CONFIG
    ");
}

#[test]
fn services_alone_look_at_nothing_else() {
    let env = |name: &str| (name == "NSTORE_REDIS_URL").then(|| "redis://queue:6379".to_owned());
    let options = LoadOptions { env: &env, timezone: None };
    let services = load_services(Path::new("no/such/directory"), &options).unwrap();
    assert_eq!(
        (services.redis_url.as_str(), services.storage_url.as_str()),
        ("redis://queue:6379", "file:./storage")
    );

    let dir = directory_of(&[
        (
            "pipeline.yaml",
            "version: 1\npostgres: { schema: warehouse }\nchunk_sizes: { a: '${NONE}', b: 0 }\n",
        ),
        ("sources/bad.yaml", "{"),
    ]);
    assert_eq!(load_services(dir.path(), &options).unwrap().postgres_schema, "warehouse");
    fs::write(dir.path().join("pipeline.yaml"), "version: 1\nstorage: { url: 's3:x' }\n").unwrap();
    assert_eq!(load_services(dir.path(), &options).unwrap_err().0.len(), 1);
}

#[test]
fn addresses_by_file_say_where_they_come_from_and_what_is_wrong() {
    let dir = directory_of(&[("good", "redis://:pass@queue\n"), ("bad", "queue:6379\n")]);
    let path = |name: &str| dir.path().join(name).display().to_string();
    for name in ["good", "bad"] {
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let with = |file: &'static str| {
        let path = path(file);
        load_with(&good(), &move |name| (name == "NSTORE_REDIS_URL_FILE").then(|| path.clone()))
    };
    let config = with("good").unwrap();
    assert_eq!(config.services.redis_url, "redis://:pass@queue");
    assert_eq!(config.services_from["redis.url"], "NSTORE_REDIS_URL_FILE");
    for (file, expected) in [("bad", "the address of Redis must start with"), ("none", "which is not there")]
    {
        let faults = with(file).unwrap_err();
        assert!(faults.contains("NSTORE_REDIS_URL_FILE: ") && faults.contains(expected), "{faults}");
    }
    let env = |name: &str| (name == "NSTORE_REDIS_URL_FILE").then(|| path("good"));
    let services = load_services(Path::new("no/such"), &LoadOptions { env: &env, timezone: None }).unwrap();
    assert_eq!(services.redis_url, "redis://:pass@queue");
}

#[test]
fn secrets_that_are_not_here_are_named_with_their_place() {
    let config = load_files(&good()).unwrap();
    let secrets = Secrets::of([("pay.key_id".to_owned(), "x".to_owned())]);
    let missing = config.missing_secrets(&secrets);
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].at, Some((11, 23)));
    assert_eq!(
        missing[0].message,
        "secret `pay.key_secret` is in no credentials file and not in the environment"
    );
    let hint = missing[0].hint.as_deref().unwrap();
    assert!(hint.contains("set NSTORE_SECRET_PAY_KEY_SECRET, or add it to "), "{hint}");
}

#[test]
fn schemas_describe_every_key() {
    fn undescribed(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(|all| all.as_object()) {
            for (name, property) in properties {
                if property.get("description").is_none() && property.get("const").is_none() {
                    found.push(format!("{path}.{name}"));
                }
            }
        }
        match schema {
            serde_json::Value::Object(all) => {
                all.iter().for_each(|(k, v)| undescribed(&format!("{path}/{k}"), v, found));
            }
            serde_json::Value::Array(all) => all.iter().for_each(|v| undescribed(path, v, found)),
            _ => {}
        }
    }
    let schemas = schemas();
    assert_eq!(schemas.keys().copied().collect::<Vec<_>>(), ["mapping", "pipeline", "source"]);
    for (name, schema) in &schemas {
        let mut found = Vec::new();
        undescribed(name, schema, &mut found);
        assert_eq!(found, Vec::<String>::new());
        // a source's keys depend on its kind
        let closed = if *name == "source" { "unevaluatedProperties" } else { "additionalProperties" };
        assert_eq!(schema[closed], false, "{name}");
    }
}
