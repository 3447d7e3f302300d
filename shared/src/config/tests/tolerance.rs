//! Which faults and warnings stop or concern which sources.

use std::collections::BTreeSet;

use super::*;

/// A second source, `two`, with a mapping of its own.
fn two() -> (String, String) {
    (SOURCE.replace("pay.", "two."), MAPPING.replace("table: payments", "table: two"))
}

fn files(pipeline: &str, two: &(String, String)) -> Vec<(&'static str, String)> {
    vec![
        ("pipeline.yaml", pipeline.to_owned()),
        ("sources/pay.yaml", SOURCE.to_owned()),
        ("mappings/pay.yaml", MAPPING.to_owned()),
        ("sources/two.yaml", two.0.clone()),
        ("mappings/two.yaml", two.1.clone()),
    ]
}

fn load_named(files: &[(&str, String)], names: &[&str]) -> Result<Config, String> {
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let dir = directory_of(&files);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    load_for(dir.path(), &LoadOptions { env: &|_| None, timezone: None }, &names)
        .map_err(|faults| faults.to_string().replace(&dir.path().display().to_string(), "config"))
}

fn names(config: &Config) -> BTreeSet<String> {
    config.sources.keys().map(ToString::to_string).collect()
}

#[test]
fn a_wrong_file_stops_only_the_source_that_it_belongs_to() {
    let (source, mapping) = two();
    let wrong_value = (source.replace("chunk_days: 7", "chunk_days: seven"), mapping.clone());
    let no_yaml = ("a: [".to_owned(), mapping.clone());
    let wrong_mapping = (source.clone(), mapping.replace("type: text", "type: txt"));
    let no_mapping = (format!("{source}mapping: elsewhere\n"), mapping.clone());
    let of_two = [&wrong_value, &no_yaml, &wrong_mapping, &no_mapping].map(|two| files(PIPELINE, two));
    let by_pipeline =
        ["chunk_sizes: { two: many }", "execution_modes: { two: fast }", "upload_modes: { tow: x }"]
            .map(|line| files(&format!("{PIPELINE}{line}\n"), &two()));
    for files in of_two.iter().chain(&by_pipeline) {
        let config = load_named(files, &["pay"]).unwrap();
        assert_eq!(names(&config), BTreeSet::from(["pay".to_owned()]), "{files:?}");
        assert!(config.broken["two"] > 0 && config.broken.len() == 1, "{:?}", config.broken);
        assert_eq!(config.services.postgres_schema, "public");
        assert_eq!(config.parallel_workers.value, 6, "the shared part is read all the same");
        let refused = load_named(files, &["pay", "two"]).unwrap_err();
        let all: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert_eq!(load_files(&all).unwrap_err(), refused, "validation lists the same");
    }
}

#[test]
fn what_all_sources_share_stops_all() {
    for pipeline in
        ["defaults: { parallel_workers: 0 }", "redis: { url: x }", "a: [", "chunk_sizes: { nobody: 3 }"]
    {
        let refused = load_named(&files(pipeline, &two()), &["pay"]).unwrap_err();
        assert!(refused.contains("config/pipeline.yaml:1"), "{pipeline}: {refused}");
    }
}

#[test]
fn unreadable_files_stop_the_sources_of_their_names() {
    let mut all = files(PIPELINE, &two());
    all.push(("sources/two.yml", String::new()));
    all.push(("sources/No Id.yaml", String::new()));
    assert_eq!(names(&load_named(&all, &["pay"]).unwrap()), BTreeSet::from(["pay".to_owned()]));
    let refused = load_named(&all, &["two"]).unwrap_err();
    assert!(refused.contains("call it two.yaml") && !refused.contains("No Id"), "{refused}");
}

#[test]
fn warnings_are_of_the_sources_asked_for() {
    let (source, mapping) = two();
    let long = (source.replace("chunk_days: 7", "chunk_days: 60"), mapping);
    let mut all = files(PIPELINE, &long);
    all.push(("mappings/unused.yaml", MAPPING.replace("table: payments", "table: unused")));
    assert_eq!(load_named(&all, &["pay"]).unwrap().warnings, []);
    let warnings = load_named(&all, &["two"]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].message.contains("60 days"), "{warnings:?}");
    let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(load_files(&all).unwrap().warnings.len(), 2);
}

#[test]
fn the_old_name_of_a_source_is_taken_with_a_warning() {
    let razorpay = |pipeline: &str| {
        let mut all = files(pipeline, &two());
        for (name, _) in &mut all {
            *name = match *name {
                "sources/pay.yaml" => "sources/buyer_razorpay.yaml",
                "mappings/pay.yaml" => "mappings/buyer_razorpay.yaml",
                other => other,
            };
        }
        load_named(&all, &["razorpay"])
    };
    let pipeline = "chunk_sizes: { razorpay: 60 }\nexecution_modes: { razorpay: sequential }\n\
                    upload_modes: { razorpay: replace }\n";
    let config = razorpay(pipeline).unwrap();
    let source = &config.sources[&"buyer_razorpay".parse().unwrap()];
    assert_eq!((source.chunk_days.value, source.upload.value), (60, UploadMode::Replace));
    assert_eq!(source.execution.value, Some(ExecutionMode::Sequential));
    assert!(source.upload.from.ends_with("pipeline.yaml:3"), "{}", source.upload.from);
    let renamed =
        config.warnings.iter().filter(|warning| warning.message.contains("is called `buyer_razorpay` now"));
    assert_eq!(renamed.count(), 3, "{:?}", config.warnings);
    let long = config.warnings.iter().find(|warning| warning.message.contains("60 days")).unwrap();
    assert_eq!(long.at, Some((1, 26)), "at the value under the old name");
    let both = razorpay("chunk_sizes: { razorpay: 5, buyer_razorpay: 6 }\n").unwrap_err();
    assert!(both.contains("config/pipeline.yaml:1:16") && both.contains("keep `buyer_razorpay`"), "{both}");
    let wrong = razorpay("chunk_sizes: { razorpay: many }\n").unwrap_err();
    assert!(wrong.contains("config/pipeline.yaml:1"), "{wrong}");
}

#[test]
fn the_version_may_be_left_out_and_is_1() {
    let config = load_files(&[("pipeline.yaml", "defaults: { parallel_workers: 3 }\n")]).unwrap();
    assert_eq!(config.parallel_workers.value, 3);
    for wrong in ["version: 2\n", "version: one\n"] {
        assert!(load_files(&[("pipeline.yaml", wrong)]).unwrap_err().contains("pipeline.yaml:1"), "{wrong}");
    }
}

#[test]
fn an_old_file_of_all_sources_is_reported() {
    let mut all = files(PIPELINE, &two());
    all.push(("sources.yaml", "pay: { type: api }\n".to_owned()));
    let warnings = load_named(&all, &["pay"]).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    let text = warnings[0].to_string();
    assert!(text.contains("sources.yaml: is not read") && text.contains("sources/NAME.yaml"), "{text}");
}

#[test]
fn a_source_that_names_nothing_that_proves_its_end_is_warned_of() {
    let paged = |paginator: &str, more: &str| {
        let source = SOURCE.replace(
            "paginator: { type: offset, offset_param: skip, limit_param: count, limit: 100 }",
            &format!("paginator: {paginator}"),
        );
        load_named(&files(PIPELINE, &(format!("{source}{more}"), two().1)), &["two"]).unwrap().warnings
    };
    let warnings = paged("{ type: none }", "");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = warnings[0].to_string();
    assert!(text.contains("sources/two.yaml:18:12") && text.contains("total_path"), "{text}");
    assert!(text.contains("will be unproven"), "{text}");
    let text = paged("{ type: none }", "require_evidence: true\n")[0].to_string();
    assert!(text.contains("each chunk will fail"), "{text}");
    for proven in [
        "{ type: offset, offset_param: skip, limit_param: count, limit: 100 }",
        "{ type: page_number, page_param: page, size: 10 }",
        "{ type: cursor, cursor_path: next, param: cursor }",
        "{ type: none, total_path: meta.total }",
        "{ type: none, has_more_path: has_more }",
    ] {
        assert_eq!(paged(proven, ""), [], "{proven}");
    }
}

/// A dashboard that is read by these lanes.
fn dashboard(lanes: &str, more: &str) -> Config {
    let source = format!(
        "kind: browser\nsteps:\n  - goto: http://127.0.0.1:9/\n  - read:\n      lanes: [{lanes}]\n      \
         columns: [id, at]\n{more}mapping: dash\n"
    );
    let mapping = "table: dash\nkey: [id]\nrange_column: at\ncolumns:\n  id: { type: text, required: true }\n  \
                   at: { type: date, format: date, required: true }\n";
    let all = [("sources/dash.yaml", source), ("mappings/dash.yaml", mapping.to_owned())];
    load_named(&all, &["dash"]).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_dashboard_is_warned_of_only_when_its_first_lane_cannot_tell_its_end() {
    let capped = "      response: { url: /api, format: json, records: rows, cap: 500 }\n";
    let dsr = "      response: { url: /querydata, format: dsr }\n";
    let export = "      export: { clicks: ['#export'], format: csv }\n";
    let grid = "      grid: { selector: '#grid' }\n";
    for (lanes, more) in [
        ("response", capped.to_owned()),
        ("response, export", format!("{dsr}{export}")),
        ("export", export.to_owned()),
        ("grid", grid.to_owned()),
    ] {
        assert_eq!(dashboard(lanes, &more).warnings, [], "{lanes}");
    }
    let mut spec = dashboard("export", export).sources.remove(&"dash".parse().unwrap()).unwrap().spec;
    assert_eq!(evidence_gap(&spec), None, "an export has a cap unless told otherwise");
    let spec::ExtractSpec::Browser(browser) = &mut spec.extract else { panic!("another kind") };
    let Some(spec::browser::Act::Read(read)) = browser.steps.last_mut().map(|step| &mut step.act) else {
        panic!("another step")
    };
    read.lanes[0].cap = None;
    assert!(evidence_gap(&spec).unwrap().contains("the `cap` of the lane `export`"));
}
