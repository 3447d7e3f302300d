//! Dashboards: the shipped one, and each rule by itself.

use super::*;

const SOURCE: &str = include_str!("../../../../config/sources/network_observability.yaml");
const MAPPING: &str = include_str!("../../../../config/mappings/network_observability.yaml");

fn load_source(source: &str) -> Result<Config, String> {
    load_files(&[
        ("sources/network_observability.yaml", source),
        ("mappings/network_observability.yaml", MAPPING),
    ])
}

/// The faults after replacing a text of the shipped file, without the file's name.
fn faults_after(from: &str, to: &str) -> String {
    assert!(SOURCE.contains(from), "{from}");
    match load_source(&SOURCE.replacen(from, to, 1)) {
        Ok(_) => "no faults".to_owned(),
        Err(report) => report
            .replace("config/sources/network_observability.yaml:", "")
            .replace("config: 1 problem\n\n", "")
            .trim_end()
            .to_owned(),
    }
}

#[test]
fn the_shipped_dashboard_becomes_plain_structs() {
    let config = load_source(SOURCE).unwrap();
    let source = config.sources.values().next().unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(source.spec.kind(), crate::chunk::Kind::Browser);
    assert_eq!(source.spec.max_sessions(), 1);
    let secrets: Vec<&str> = source.spec.secrets().into_iter().map(|name| name.0.as_str()).collect();
    assert_eq!(secrets, ["powerbi.username", "powerbi.password"]);
    let json = serde_json::to_string_pretty(&source.spec).unwrap();
    assert_eq!(serde_json::from_str::<SourceSpec>(&json).unwrap(), source.spec);
    insta::assert_snapshot!(json);
}

#[test]
fn each_step_is_known() {
    let steps = r##"steps:
  - goto: "https://example.org/{start:%Y}"
  - wait_for: "#ready"
  - fill: { selector: "#pin", secret: powerbi.pin }
    timeout: 5s
    frame: page
  - press: { key: Enter, selector: "#pin" }
  - hover: "#menu"
  - click: text=Go
  - select: { selector: "#month", option: "{start:%B}" }
  - wait_gone: .spinner
  - read: { lanes: [grid], columns: [timestamp, metric, value, status], grid: { selector: table, names: { metric: Alpha } } }
  - paginate: { next: "button.next" }
mapping: network_observability
"##;
    let at = SOURCE.find("steps:").unwrap();
    let config = load_source(&format!("{}{steps}", &SOURCE[..at])).unwrap();
    let source = config.sources.values().next().unwrap();
    let spec::ExtractSpec::Browser(browser) = &source.spec.extract else { panic!("a dashboard") };
    assert_eq!(source.spec.secrets().len(), 3);
    insta::assert_debug_snapshot!(browser.steps);
}

fn clock_after(from: &str, to: &str) -> (String, String) {
    let config = load_source(&SOURCE.replacen(from, to, 1)).unwrap();
    let source = config.sources.values().next().unwrap();
    let spec::ExtractSpec::Browser(browser) = &source.spec.extract else { panic!("a dashboard") };
    let clock = browser.clock.clone().unwrap();
    (clock.timezone.name().to_owned(), clock.locale)
}

#[test]
fn clock_and_language_are_the_sources_unless_said() {
    let is = |zone: &str, locale: &str| (zone.to_owned(), locale.to_owned());
    assert_eq!(clock_after("\n", "\n"), is("Asia/Kolkata", "en-US"));
    assert_eq!(clock_after("timezone: Asia/Kolkata\n", "timezone: UTC\n"), is("UTC", "en-US"));
    assert_eq!(clock_after("login:", "browser: { timezone: Asia/Tokyo }\nlogin:"), is("Asia/Tokyo", "en-US"));
    assert_eq!(clock_after("login:", "browser: { locale: de-de }\nlogin:"), is("Asia/Kolkata", "de-DE"));
    // what was written before there was such a word
    let config = load_source(SOURCE).unwrap();
    let mut json = serde_json::to_value(&config.sources.values().next().unwrap().spec).unwrap();
    json["extract"].as_object_mut().unwrap().values_mut().for_each(|spec| {
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("clock");
        }
    });
    json["extract"].as_object_mut().unwrap().remove("clock");
    let old: SourceSpec = serde_json::from_value(json).unwrap();
    let spec::ExtractSpec::Browser(browser) = &old.extract else { panic!("a dashboard") };
    assert_eq!(browser.clock, None);
}

const RULES: &[(&str, &str, &str)] = &[
    (
        "login:",
        "browser: { timezone: Asia/Calcuta }\nlogin:",
        "8:22: unknown time zone `Asia/Calcuta`\n  did you mean `Asia/Calcutta`?",
    ),
    (
        "login:",
        "browser: { locale: german }\nlogin:",
        "8:20: `german` is not a valid locale\n  a BCP 47 tag such as en-US, de-DE or hi",
    ),
    (
        "login:",
        "browser: { locale: en_US.UTF-8 }\nlogin:",
        "8:20: `en_US.UTF-8` is not a valid locale\n  a BCP 47 tag such as en-US, de-DE or hi",
    ),
    (
        "login:",
        "browser: { time_zone: UTC }\nlogin:",
        "8:12: unknown key `time_zone`\n  did you mean `timezone`?",
    ),
    (
        "frame: \"iframe#report\"         # where the report is; steps after `goto` act inside\n",
        "",
        "39:1: `frame_optional` without `frame`\n  name the iframe: `frame: \"iframe#report\"`, or remove `frame_optional`",
    ),
    (
        "lanes: [response, export, grid]",
        "lanes: []",
        "config: 5 problems\n\n23:14: `lanes` must not be empty\n26:9: `response` is described, but no lane of this step\n  add `response` to `lanes`, or remove `response:`\n30:9: `export` is described, but no lane of this step\n  add `export` to `lanes`, or remove `export:`\n35:9: `grid` is described, but no lane of this step\n  add `grid` to `lanes`, or remove `grid:`\n37:5: `paginate` follows no `read` with a grid\n  put it after the `read` whose `grid` has pages",
    ),
    (
        "clicks: [\"[aria-label='More options']\", \"text=Export data\", \"//button[text()='Export']\"]",
        "clicks: []",
        "30:17: `clicks` must not be empty",
    ),
    ("label: Date Filter", "label: \"\"", "17:14: `label` must not be empty"),
    (
        "format: csv",
        "format: csv\n        encoding: utf9",
        "32:19: `utf9` is not a known encoding\n  for example utf-8, utf-16le, windows-1252, iso-8859-2 or shift_jis",
    ),
    (
        "format: csv",
        "format: csv\n        drop_rows: [Total, \" \"]",
        "32:20: an empty text would match every row\n  name the text that such rows begin with",
    ),
    (
        "format: csv",
        "format: xlsx\n        encoding: windows-1252",
        "32:19: `encoding` means nothing for `format: xlsx`\n  remove it",
    ),
    (
        "format: dsr",
        "format: json\n        cap: 9\n        records: a[b",
        "29:18: `a[b` is not a valid path: brackets hold a number, or a field and its value as in [name=status]\n  write keys with dots between them (card.last4), a list's entry by number (items.0) or by a field of it (fields[name=status].value), a key in quotes (meta.\"@odata.nextLink\"), or a JSON Pointer (/meta/next)",
    ),
    ("url: /querydata", "url: \"\"", "26:14: `url` must not be empty"),
    (
        "format: csv",
        "format: csv\n        delimiter: \"||\"",
        "32:20: `delimiter`: unknown value `||`\n  did you mean `|`? allowed: \",\", \";\", \"\\t\", \"|\"",
    ),
    (
        "      submit: Apply\n    timeout: 30s\n",
        "      submit: Apply\n  - press: { key: Entr }\n",
        "21:19: there is no key `Entr`\n  did you mean `Enter`? keys: Enter, Escape, Tab, Backspace, Delete, Insert, Home, End, PageUp, PageDown, ArrowUp, ArrowDown, ArrowLeft, ArrowRight, F1 to F12, or one character",
    ),
    (
        "url: \"${POWERBI_URL:-https://app.powerbi.com}\"\n  username",
        "url: \"https://a:b@app.example.org/login?tenant=x\"\n  username",
        "10:8: `url` must hold no user and no password\n  use `username` and `password` with `{ secret: … }`",
    ),
    (
        "url: \"${POWERBI_URL:-https://app.powerbi.com}\"\n  username",
        "url: \"https://app.example.org/login?tenant=x\"\n  username",
        "no faults",
    ),
    (
        "execution: sequential",
        "execution: parallel",
        "4:12: `network_observability` has one session, so its chunks cannot run in parallel\n  choose `sequential`, or raise `max_sessions` if the account may",
    ),
    ("kind: browser", "type: ui", "1:1: unknown key `type`\n  write `kind: browser`"),
    ("kind: browser", "kind: ui", "1:7: `kind`: unknown value `ui`\n  it is called `kind: browser` now"),
    (
        "flow: microsoft",
        "flow: microsft",
        "9:9: `flow`: unknown value `microsft`\n  did you mean `microsoft`? allowed: microsoft, form",
    ),
    (
        "  password: { secret: powerbi.password }",
        "  password: hunter2",
        "12:13: `password` must name a secret, not hold one\n  write `{ secret: NAME }` and put the value under that name into credentials.yaml, or into NSTORE_SECRET_NAME",
    ),
    ("- apply_filter:", "- apply_filtr:", "16:5: unknown key `apply_filtr`\n  did you mean `apply_filter`?"),
    (
        "{start:%Y-%m-%d}\", \"#endDate",
        "{begin:%Y-%m-%d}\", \"#endDate",
        "19:29: unknown placeholder `{begin:%Y-%m-%d}`\n  placeholders: {start:%Y-%m-%d}, {end:%Y-%m-%d}, {last_day:%Y-%m-%d}; write `{{` for a plain `{`",
    ),
    (
        "lanes: [response, export, grid]",
        "lanes: [response, grid]",
        "30:9: `export` is described, but no lane of this step\n  add `export` to `lanes`, or remove `export:`",
    ),
    (
        "lanes: [response, export, grid]",
        "lanes: [response, export, grd]",
        "config: 3 problems\n\n23:33: `lanes`: unknown value `grd`\n  did you mean `grid`? allowed: response, export, grid\n35:9: `grid` is described, but no lane of this step\n  add `grid` to `lanes`, or remove `grid:`\n37:5: `paginate` follows no `read` with a grid\n  put it after the `read` whose `grid` has pages",
    ),
    (
        "columns: [timestamp, metric, value, status]",
        "columns: [timestamp, metric, value]",
        "config: 3 problems\n\n24:16: mapping `network_observability` takes the field `status`, which is not one of the `columns`\n  columns: timestamp, metric, value\n28:102: `status` is none of the `columns`\n  columns: timestamp, metric, value\n32:78: `status` is none of the `columns`\n  columns: timestamp, metric, value",
    ),
    (
        "timeout: 30s",
        "timeout: 30",
        "21:14: `timeout` must be text, not a number\n  put it in quotes if it is meant as text",
    ),
    (
        "frame: \"iframe#report\"",
        "frame: \"iframe[name=x\"",
        "13:8: `iframe[name=x` is no selector: a bracket or quote is not closed\n  CSS such as #startDate, XPath such as //button[1], or text=Apply",
    ),
    (
        "format: dsr",
        "format: dsr\n        records: rows",
        "28:18: `records` means nothing for `format: dsr`\n  remove it",
    ),
    (
        "value: \"1,234.56\"",
        "value: \"12.34.56\"",
        "36:62: `12.34.56` is neither a strftime pattern such as %d/%m/%Y nor a sample of a number such as 1,234.56, 1.234,56, 1 234,56, 1'234.56, 12,34,567.50, 1234.56 or 1234,56",
    ),
    (
        "  url: \"${POWERBI_URL:-https://app.powerbi.com}\"",
        "  url: \"http://login.example.org/start\"",
        "10:8: `url` is http://, so the secrets of this source would reach login.example.org unencrypted\n  write https://; \
         where nobody else can listen on the way, add `allow_insecure: true` to the source",
    ),
    (
        "goto: \"${POWERBI_URL:-https://app.powerbi.com}",
        "goto: \"http://app.example.org",
        "15:11: `goto` is http://, so the secrets of this source would reach app.example.org unencrypted\n  write https://; \
         where nobody else can listen on the way, add `allow_insecure: true` to the source",
    ),
    (
        "mapping: network_observability",
        "  - click: text=Sign out\nmapping: network_observability",
        "15:3: steps after `read` lead nowhere\n  end with one `read`; only `paginate` may follow it",
    ),
    (
        "  - goto: \"${POWERBI_URL:-https://app.powerbi.com}/reports/network-obs\"\n",
        "",
        "15:3: the first step opens no page\n  begin with `- goto: https://…`",
    ),
    (
        "    timeout: 30s\n",
        "    click: \"#x\"\n",
        "16:5: one entry holds 2 steps: apply_filter, click\n  begin each step with a `-` of its own",
    ),
];

#[test]
fn what_the_mapping_takes_and_what_is_read_have_the_same_names() {
    let report = faults_after(
        "columns: [timestamp, metric, value, status]\n      response:",
        "columns: [timestamp, metric, value, status, statuss]\n      response:",
    );
    assert_eq!(report, "no faults", "cells that are told by their place need a name each");
    // without a grid
    let at = SOURCE.find("      grid:").unwrap();
    let end = SOURCE.find("mapping:").unwrap();
    let plain = format!("{}{}", &SOURCE[..at], &SOURCE[end..]).replace("export, grid]", "export]");
    assert_eq!(load_source(&plain).unwrap().warnings, []);
    let spare = plain.replace("value, status]", "value, status, statuss]");
    let warnings = load_source(&spare).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].message,
        "`statuss` is read, and mapping `network_observability` takes no field of that name"
    );
    let misspelt = plain
        .replace("value, status]", "value, statuss]")
        .replace(", status: Network.Status", "")
        .replace(", status: Status", "");
    let report = load_source(&misspelt).unwrap_err();
    assert!(
        report.contains(
            "24:16: mapping `network_observability` takes the field `status`, which is not one of the `columns`\n  did you mean `statuss`?"
        ),
        "{report}"
    );
}

#[test]
fn a_mapping_takes_each_column_of_a_page_as_one_key() {
    let source = SOURCE.replace("metric", "net.metric");
    let load = |mapping: &str| {
        load_files(&[
            ("sources/network_observability.yaml", source.as_str()),
            ("mappings/network_observability.yaml", mapping),
        ])
    };
    let dotted =
        MAPPING.replace("{ type: text, required: true }", "{ from: net.metric, type: text, required: true }");
    let report = load(&dotted).unwrap_err();
    let hint = r#"write it in quotes in mappings/network_observability.yaml: from: '"net.metric"'"#;
    assert!(
        report.contains("takes the field `net.metric`, which is not one of") && report.contains(hint),
        "{report}"
    );
    load(&dotted.replace("from: net.metric", r#"from: '"net.metric"'"#)).unwrap();
    load(&dotted.replace("from: net.metric", "from: /net.metric")).unwrap();
    let styled = MAPPING.replace("\"numeric(18,4)\"", "\"numeric(18,4)\", numbers: \"1,234.50\"");
    assert_ne!(styled, MAPPING);
    let files =
        [("sources/network_observability.yaml", SOURCE), ("mappings/network_observability.yaml", &styled)];
    let report = load_files(&files).unwrap_err();
    assert!(report.contains("has a number style for `value`, which only HTTP sources may have"), "{report}");
}

#[test]
fn rules_are_checked_at_their_place() {
    let wrong: Vec<String> = RULES
        .iter()
        .filter_map(|(from, to, expected)| {
            let found = faults_after(from, to);
            (found != *expected).then(|| format!("{to}\n--- expected\n{expected}\n--- found\n{found}\n"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
