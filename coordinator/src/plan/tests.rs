//! The plan's promises, on given and on random requests.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use chrono_tz::Tz;
use nstore_shared::{
    chunk::{ChunkRange, ExecutionMode, Kind},
    config::{
        Origin, Services,
        spec::{
            ApiSpec, Auth, Bounds, ExtractSpec, NoList, Paginator, Records, RequestLimits, RequestRetry,
            RequestSpec, SourceSpec, TimeFormat, Window,
        },
    },
    contract::{Ambiguous, Contract, NulPolicy, RejectLimit},
    retry::Backoff,
};
use proptest::prelude::*;

use super::*;

fn origin<T>(value: T, from: &str) -> Origin<T> {
    Origin { value, from: from.to_owned() }
}

fn source(zone: Tz) -> Source {
    let backoff = Backoff { base: Duration::from_secs(1), ceiling: Duration::from_secs(60) };
    let api = ApiSpec {
        base_url: "http://localhost".into(),
        auth: Auth::None,
        request: RequestSpec { path: "/".into(), params: BTreeMap::new(), headers: BTreeMap::new() },
        window: Window {
            params: BTreeMap::new(),
            format: TimeFormat::Date,
            bounds: Bounds::HalfOpen,
            granularity: Duration::from_secs(1),
            filtered: false,
        },
        paginator: Paginator::None { total_path: None, has_more_path: None },
        records: Records::default(),
        empty_body: NoList::Fail,
        tls_ca: None,
        budget: None,
        retry: RequestRetry { attempts: 5, backoff },
        error_handlers: vec![],
        limits: RequestLimits {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
            chunk_timeout: None,
            max_body_bytes: 1 << 26,
            max_pages: 10_000,
            max_records: None,
        },
    };
    Source {
        spec: SourceSpec {
            about: "rows".into(),
            timezone: zone,
            width: None,
            chunk_attempts: 4,
            chunk_backoff: backoff,
            stop_on_discard: false,
            require_evidence: false,
            allow_cascade: false,
            extract: ExtractSpec::Api(Box::new(api)),
        },
        contract: Contract {
            table: "orders".into(),
            key: vec!["id".into()],
            range_column: Some("created_at".into()),
            rejects: RejectLimit::Rows(0),
            nul: NulPolicy::Reject,
            ambiguous: Ambiguous::First,
            columns: vec![],
        },
        chunk_days: origin(3, "config/sources/a.yaml:3"),
        execution: origin(None, "default"),
        upload: origin(UploadMode::Append, "default"),
        rate_limit_strict: false,
    }
}

/// A config of these sources, all alike.
pub(crate) fn config(names: &[&str], zone: Tz) -> Config {
    Config {
        dir: PathBuf::from("config"),
        services: Services {
            redis_url: "redis://127.0.0.1".into(),
            redis_prefix: "nstore".into(),
            postgres_url: "postgresql://127.0.0.1/nstore".into(),
            postgres_schema: "public".into(),
            storage_url: "file:./storage".into(),
        },
        parallel_workers: origin(4, "default"),
        sources: names.iter().map(|name| (name.parse().unwrap(), source(zone))).collect(),
        warnings: vec![],
        broken: BTreeMap::new(),
        services_from: BTreeMap::new(),
        timezone: origin(zone, "default"),
        secrets: vec![],
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Asks for these days of these sources, long after them.
pub(crate) fn request(start: &str, end: &str, sources: &[&str]) -> PlanRequest {
    PlanRequest {
        start: day(start),
        end: day(end),
        sources: sources.iter().map(ToString::to_string).collect(),
        chunk_sizes: vec![],
        execution_modes: vec![],
        upload_modes: vec![],
        parallel_workers: None,
        upload: Upload { enabled: true, reload: false, allow_shrink: false },
        now: "2125-01-01T00:00:00Z".parse().unwrap(),
    }
}

const INDIA: Tz = chrono_tz::Asia::Kolkata;

fn faults(request: &PlanRequest, config: &Config) -> Vec<String> {
    plan(request, config).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_users_own_example_is_cut_as_they_know_it() {
    let plan = plan(&request("2025-08-01", "2025-08-10", &["a"]), &config(&["a"], INDIA)).unwrap();
    let chunks: Vec<String> = plan.sources[0].chunks.iter().map(ToString::to_string).collect();
    assert_eq!(
        chunks,
        ["2025-08-01_2025-08-04", "2025-08-04_2025-08-07", "2025-08-07_2025-08-10", "2025-08-10_2025-08-11"]
    );
    assert_eq!(plan.sources[0].execution, ExecutionMode::Parallel);
    assert!(plan.warnings.is_empty());
}

#[test]
fn a_clock_change_makes_no_gap() {
    for (start, end, zone) in [
        ("2025-03-29", "2025-03-31", chrono_tz::Europe::Berlin),
        ("2025-10-25", "2025-10-27", chrono_tz::Europe::Berlin),
        // midnight itself is skipped
        ("2018-11-03", "2018-11-05", chrono_tz::America::Sao_Paulo),
        ("2024-02-28", "2024-03-01", INDIA),
    ] {
        let mut request = request(start, end, &["a"]);
        request.chunk_sizes = vec![("a".into(), 1)];
        let plan = plan(&request, &config(&["a"], zone)).unwrap();
        assert_plan(&plan.sources[0], request.start, request.end);
        assert_eq!(plan.sources[0].chunks.len(), 3);
    }
}

#[test]
fn the_automatic_choice_is_the_first_rule_that_fits() {
    let choice = |kind, strict, chunks| choose::automatic(kind, strict, chunks);
    let (sequential, parallel) = (ExecutionMode::Sequential, ExecutionMode::Parallel);
    assert_eq!(
        choice(Kind::Browser, true, 1),
        (sequential, "automatic: browser sources run in order".into())
    );
    assert_eq!(choice(Kind::Api, true, 9), (sequential, "automatic: rate_limit_strict is set".into()));
    assert_eq!(choice(Kind::Api, false, 1), (sequential, "automatic: 1 chunk is fewer than 4".into()));
    assert_eq!(choice(Kind::Api, false, 3), (sequential, "automatic: 3 chunks are fewer than 4".into()));
    assert_eq!(choice(Kind::Api, false, 4), (parallel, "automatic: 4 chunks are 4 or more".into()));
}

#[test]
fn chunks_in_parallel_need_a_session_each() {
    let id: SourceId = "network".parse().unwrap();
    let asked = |mode| (mode, "config/pipeline.yaml:9".to_owned());
    let (sequential, parallel) = (ExecutionMode::Sequential, ExecutionMode::Parallel);
    let fault = choose::one_session(&id, asked(parallel), 1).unwrap();
    assert_eq!(
        fault.to_string(),
        "network: its chunks cannot run in parallel, its login has one session (config/pipeline.yaml:9)"
    );
    assert!(fault.hint().unwrap().contains("max_sessions"));
    assert_eq!(choose::one_session(&id, asked(sequential), 1), None);
    assert_eq!(choose::one_session(&id, asked(parallel), 2), None);
    assert_eq!(choose::in_flight(parallel, 4, 2), 2, "never more than sessions");
    assert_eq!(choose::in_flight(parallel, 4, u32::MAX), 4);
    assert_eq!(choose::in_flight(sequential, 4, 2), 1);
}

#[test]
fn the_command_line_stands_above_the_files() {
    let mut config = config(&["a", "b"], INDIA);
    let b: SourceId = "b".parse().unwrap();
    config.sources.get_mut(&b).unwrap().execution =
        origin(Some(ExecutionMode::Parallel), "config/pipeline.yaml:9");
    let mut request = request("2025-08-01", "2025-08-03", &["b", "a"]);
    let planned = plan(&request, &config).unwrap();
    assert_eq!(planned.sources[0].execution, ExecutionMode::Parallel, "one chunk, but asked for");
    assert_eq!(planned.sources[0].execution_reason, "config/pipeline.yaml:9");
    assert_eq!(planned.sources[0].parallel_workers, 4);

    request.chunk_sizes = vec![("b".into(), 1)];
    request.execution_modes = vec![("b".into(), Some(ExecutionMode::Sequential))];
    request.upload_modes = vec![("b".into(), UploadMode::Replace)];
    request.parallel_workers = Some(2);
    let planned = plan(&request, &config).unwrap();
    let b = &planned.sources[0];
    assert_eq!((b.chunks.len(), b.chunk_days, b.upload_mode), (3, 1, UploadMode::Replace));
    assert_eq!(b.execution_reason, "asked for by --execution-mode");
    assert_eq!(b.parallel_workers, 1, "in order means one at a time");
    request.execution_modes = vec![("b".into(), None)];
    assert_eq!(
        plan(&request, &config).unwrap().sources[0].execution_reason,
        "automatic: 3 chunks are fewer than 4"
    );
}

#[test]
fn all_faults_are_said_at_once() {
    let config = config(&["buyer_orders", "buyer_razorpay", "seller_orders"], INDIA);
    let mut request =
        request("2025-08-10", "2025-08-01", &["buyer_order", "buyer_razorpay", "razorpay", "zzz"]);
    request.chunk_sizes = vec![("buyer_razorpay".into(), 0), ("razorpay".into(), 400)];
    request.upload_modes = vec![("seller_orders".into(), UploadMode::Append)];
    request.parallel_workers = Some(0);
    let error = plan(&request, &config).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn a_mode_that_needs_a_range_column_says_so() {
    let mut config = config(&["a"], INDIA);
    let a = config.sources.values_mut().next().unwrap();
    a.contract.range_column = None;
    a.contract.key = vec![];
    let mut request = request("2025-08-01", "2025-08-01", &["a"]);
    request.upload.reload = true;
    assert_eq!(faults(&request, &config), ["a: --reload needs a range_column, and its mapping names none"]);
    request.upload.reload = false;
    request.upload_modes = vec![("a".into(), UploadMode::ReplaceRange)];
    assert_eq!(
        faults(&request, &config),
        ["a: upload mode replace_range needs a range_column, and its mapping names none"]
    );
}

#[test]
fn what_is_odd_but_possible_is_a_warning() {
    let config = config(&["buyer_razorpay"], INDIA);
    let mut request = request("2025-08-01", "2025-08-31", &["razorpay"]);
    request.chunk_sizes = vec![("razorpay".into(), 31)];
    request.parallel_workers = Some(12);
    // 23:59 in India
    request.now = "2025-08-31T18:29:00Z".parse().unwrap();
    let planned = plan(&request, &config).unwrap();
    insta::assert_snapshot!(planned.warnings.join("\n"));
    request.now = "2025-08-31T18:30:00Z".parse().unwrap();
    assert_eq!(plan(&request, &config).unwrap().warnings.len(), 3);
}

#[test]
fn a_range_beyond_all_calendars_is_refused() {
    let config = config(&["a"], INDIA);
    assert_eq!(
        faults(&request("0025-08-01", "2025-08-01", &["a"]), &config),
        ["0025-08-01 to 2025-08-01 is longer than 36600 days"]
    );
    let mut last = request("2025-08-01", "2025-08-01", &["a"]);
    (last.start, last.end) = (NaiveDate::MAX, NaiveDate::MAX);
    assert_eq!(plan(&last, &config).unwrap_err().0.len(), 1);
}

#[test]
fn today_is_the_day_that_it_is_for_all_sources() {
    let mut config = config(&["a", "b"], INDIA);
    config.sources.values_mut().next().unwrap().spec.timezone = chrono_tz::America::New_York;
    let now = "2025-08-02T02:00:00Z".parse().unwrap();
    let today = |sources: &[&str]| {
        let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
        request::today(&config, &sources, now).to_string()
    };
    assert_eq!(today(&["b"]), "2025-08-02");
    assert_eq!(today(&["b", "a"]), "2025-08-01", "in New York it is still the first");
    assert_eq!(today(&["unknown"]), "2025-08-02");
}

fn any_zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
}

proptest! {
    #[test]
    fn any_plan_keeps_its_promise(
        first in 0i64..20_000, length in 0i64..2_000, size in 1u32..=366, zone in any_zone()
    ) {
        let start = day("1972-01-01") + chrono::Duration::days(first);
        let end = start + chrono::Duration::days(length);
        let mut request = request("2025-08-01", "2025-08-01", &["a"]);
        (request.start, request.end) = (start, end);
        request.chunk_sizes = vec![("a".into(), size)];
        let plan = plan(&request, &config(&["a"], zone)).unwrap();
        let source = &plan.sources[0];
        assert_plan(source, start, end);
        prop_assert_eq!(source.chunks.len() as i64, (length + 1 + i64::from(size) - 1) / i64::from(size));
        // the union is the range: every day is in exactly one chunk
        let days: i64 = source.chunks.iter().map(|chunk| {
            let (from, to) = chunk.touched_days(zone);
            (to - from).num_days()
        }).sum();
        prop_assert_eq!(days, length + 1);
        let ids: BTreeSet<String> = source.chunks.iter().map(ChunkRange::to_string).collect();
        prop_assert_eq!(ids.len(), source.chunks.len());
    }
}
