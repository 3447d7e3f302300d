//! All that can be wrong: each rule by itself, and everything at once.

use super::*;
use crate::{
    config::{numbers::Percent, spec::ExtractSpec},
    contract::OnAbsent,
};

/// What a file is changed from and to, and the one fault that follows.
type Case = (&'static str, &'static str, &'static str);

#[test]
fn everything_wrong_is_said_at_once() {
    let report = load_files(&[
        (
            "pipeline.yaml",
            "version: 2\nredis: { url: 'http://x' }\nstorage: { url: '${NOWHERE}' }\n\
             defaults: { parallel_workers: 0, timezone: Asia/Calcuta }\nchunk_sizes: { razorpay: 3, pay: 400 }\n\
             execution_modes: { buyer_razorpai: fast }\nuploads: {}\n",
        ),
        (
            "sources/buyer_razorpay.yaml",
            "kind: api\nchunk_days: 0\nbase_url: api.razorpay.com\nauth: { type: basic, username: rzp_live_x, \
             password: { secret: KEY } }\nwindow:\n  params: { from: start, to: end }\n  format: epoch_s\n  \
             bounds: unknown\n  granularty: 1s\npaginator: { type: ofset, limit: ten }\nwidth: many\nwidth: 3\n",
        ),
        ("sources/network.yaml", "kind: browser\nsteps: []\nmapping: buyer_razorpay\n"),
        ("sources/old.yaml", "type: ui\n"),
        ("sources/tickets.yaml", "kind: api\nmapping: buyer_razorpai\nbase_ulr: https://x\n"),
        ("sources/broken.yaml", "kind: api\nwindow: [\n"),
        ("sources/Orders.yaml", "kind: api\n"),
        ("sources/more.yml", "kind: api\n"),
        (
            "mappings/buyer_razorpay.yaml",
            "table: a_name_that_is_far_too_long_for_postgres_because_it_has_more_than_63_bytes\nkey: [id, idd]\n\
             range_column: amount\nrejects: { allow: some }\ncolumns:\n  id: { type: bigintt }\n  \
             amount: { type: numeric(3,5) }\n  ctid: { type: text, format: date }\n  at: { type: date, format: '%Q' }\n  \
             x: { from: a..b, type: text, requird: true }\n",
        ),
    ])
    .unwrap_err();
    insta::assert_snapshot!(report);
}

/// Exactly one fault, and it says this.
fn one_fault(file: &str, from: &str, to: &str, expected: &str) {
    let report = faults_after(file, from, to);
    let body = report.strip_prefix("config: 1 problem\n\n").unwrap_or_else(|| panic!("{to}: {report}"));
    assert_eq!(body.trim_end(), expected, "{to}");
}

const SHAPES: &[Case] = &[
    ("chunk_days: 7", "chunk_days: [7]", "3:13: `chunk_days` must be a whole number, not a list"),
    ("chunk_days: 7", "chunk_days: 0", "3:13: `chunk_days` must be a whole number from 1 to 366, not 0"),
    ("chunk_days: 7", "chunk_days: 1.5", "3:13: `chunk_days` must be a whole number from 1 to 366, not 1.5"),
    ("chunk_days: 7", "chunk_days: seven", "3:13: `chunk_days` must be a whole number, not text"),
    (
        "about: Payments, by creation time",
        "about: 5",
        "2:8: `about` must be text, not a number\n  put it in quotes if it is meant as text",
    ),
    (
        "execution: auto",
        "execution: serial",
        "4:12: `execution`: unknown value `serial`\n  allowed: parallel, sequential, auto",
    ),
    (
        "upload: append",
        "upload: apend",
        "5:9: `upload`: unknown value `apend`\n  did you mean `append`? allowed: append, replace, replace_range",
    ),
    (
        "  format: epoch_s\n",
        "",
        "14:3: missing key `format`\n  format: How a bound is written: `epoch_s`, `epoch_ms`, `date`, `iso8601` or a \
             strftime pattern",
    ),
    ("granularity: 1s", "granularty: 1s", "17:3: unknown key `granularty`\n  did you mean `granularity`?"),
    (
        "limit: 100 }",
        "limit: 100, size: 5 }",
        "18:80: unknown key `size`\n  keys here: has_more_path, limit, limit_param, offset_param, start, total_path, type",
    ),
    (
        "type: offset, ",
        "",
        "18:12: missing key `type` in `paginator`\n  type: none, page_number, offset, cursor",
    ),
    (
        "{ secret: pay.key_id }",
        "rzp_live_123",
        "10:13: `username` must name a secret, not hold one\n  write `{ secret: NAME }` and put the value under that name into credentials.yaml, or into NSTORE_SECRET_NAME",
    ),
    (
        "width: 4",
        "width: 4\nwidth: 5",
        "23:1: duplicate key `width`\n  it stands in line 22 already; keep one of the two",
    ),
    (
        "${PAY_URL:-https://api.example.org}",
        "${PAY_URL}",
        "7:11: environment variable `PAY_URL` is not set\n  set it, or write `${PAY_URL:-default}`",
    ),
    ("kind: api", "type: api", "1:1: unknown key `type`\n  write `kind: api`"),
];

#[test]
fn shapes_are_checked_at_their_place() {
    for &(from, to, expected) in SHAPES {
        one_fault("sources", from, to, &format!("config/sources/pay.yaml:{expected}"));
    }
}

const RULES_OF_A_SOURCE: &[Case] = &[
    (
        "bounds: unknown\n  granularity: 1s",
        "bounds: closed",
        "16:11: these bounds need a `granularity` above zero",
    ),
    ("granularity: 1s", "granularity: 0s", "17:16: these bounds need a `granularity` above zero"),
    ("granularity: 1s", "granularity: 1500ms", "17:16: the window's format says whole seconds"),
    ("format: epoch_s", "format: date", "17:16: the window's format says whole days"),
    ("format: epoch_s", "format: '%d/%m/%Y'", "17:16: the window's format says whole days"),
    ("format: epoch_s", "format: '%Q'", "15:11: `%Q` is no strftime pattern"),
    ("format: epoch_s", "format: epoch", "15:11: unknown format `epoch`\n  did you mean `epoch_s`?"),
    ("to: end", "to: start", "14:11: no parameter carries the end of a chunk"),
    (
        "from: start",
        "count: start",
        "18:48: parameter `count` of `paginator.limit_param` is set by `window.params`",
    ),
    ("expand: true", "to: x", "14:26: parameter `to` of `window.params` is set by `request.params` already"),
    (
        "timezone: Asia/Kolkata",
        "timezone: Asia/Kolkatta",
        "6:11: unknown time zone `Asia/Kolkatta`\n  did you mean `Asia/Kolkata`?",
    ),
    (
        "${PAY_URL:-https://api.example.org}",
        "http://api.example.org",
        "7:11: `base_url` is http://, so the secrets of this source would reach api.example.org unencrypted\n  write https://; \
         where nobody else can listen on the way, add `allow_insecure: true` to the source",
    ),
    ("width: 4", "width: 4\nallow_insecure: perhaps", "23:17: `allow_insecure` must be true or false"),
    ("base: 1s", "base: 5m", "20:8: the base of `retry` is above its ceiling"),
    ("base: 1s", "base: soon", "20:29: `soon` is no duration"),
    (
        "width: 4",
        "budget: { rate: 10/week }",
        "22:17: `10/week` is no rate\n  requests per second, minute, hour or day: 10/s, 100/min, 1000/h, 5000/d",
    ),
    ("width: 4", "budget: { rate: 0/s }", "22:17: `0/s`: a rate is 1 to 10000 requests"),
    ("width: 4", "budget: { rate: 1/s, key: My Key }", "22:27: `My Key` is no key of a budget"),
    ("width: 4", "budget: { key: pay }", "22:9: missing key `rate`"),
    ("selector: items", "selector: a..b", "19:22: `a..b` is not a valid path: a key is empty"),
    ("path: /v1/payments", "path: v1/payments", "12:18: the path must start with `/`"),
    ("secret: pay.key_id", "secret: Pay Key", "10:23: this is no name of a secret"),
    (
        "expand: true",
        "api_key: abc",
        "12:42: parameter `api_key` carries a secret\n  never put secrets in a source",
    ),
    (
        "params: { expand: true,",
        "headers: { Authorization: x }, params: {",
        "12:43: header `Authorization` carries a secret",
    ),
    (
        "params: { expand: true,",
        "headers: { X-Shop-Access-Token: x }, params: {",
        "12:43: header `X-Shop-Access-Token` carries a secret",
    ),
    (
        "width: 4",
        "mapping: payy",
        "22:10: there is no file mappings/payy.yaml\n  did you mean `mapping: pay`?",
    ),
    ("width: 4", "timeouts: { read: 0s }", "22:19: `0s` is no time at all"),
    ("width: 4", "limits: { max_body: 5 parsecs }", "22:21: `5 parsecs` is no size"),
    (
        "width: 4",
        "timeouts: { total: 60s, chunk: 30s }",
        "22:32: `timeouts.chunk` is shorter than `timeouts.total`",
    ),
    (
        "width: 4",
        "error_handlers: [{ when: {}, action: split_window }]",
        "22:26: this would handle every answer\n  say which",
    ),
    (
        "width: 4",
        "error_handlers: [{ when: { codes: [100] }, action: split_window }]",
        "22:36: `codes` must be a whole number from 200 to 599, not 100",
    ),
    (
        "width: 4",
        "error_handlers: [{ when: { json: { path: errors } }, action: fail }]",
        "22:34: the condition does not say which value it means\n  add `equals: VALUE`",
    ),
    ("width: 4", "tls: { ca: '' }", "22:12: the path is empty"),
    ("https://api.example.org", "https://a:b@c", "7:11: `base_url` must hold no user and no password"),
];

#[test]
fn rules_of_a_source() {
    for &(from, to, expected) in RULES_OF_A_SOURCE {
        let report = faults_after("sources", from, to);
        let expected = format!("config: 1 problem\n\nconfig/sources/pay.yaml:{expected}");
        assert!(report.starts_with(&expected), "{to}\n{report}\n{expected}");
    }
}

const RULES_OF_A_MAPPING: &[Case] = &[
    ("table: payments", "table: public.payments", "1:8: a table is named without its schema"),
    ("table: payments", "table: ''", "1:8: the name of a table is empty"),
    ("key: [id]", "key: [idd]", "2:7: there is no column `idd`\n  did you mean `id`?"),
    ("key: [id]", "key: [id, id]", "2:11: column `id` stands in the key twice"),
    ("key: [id]", "key: [amount]", "2:7: key column `amount` is not required"),
    ("range_column: created_at", "range_column: id", "3:15: range column `id` is of type text"),
    ("range_column: created_at", "range_column: made", "3:15: there is no column `made`"),
    ("format: epoch_s, required: true", "format: epoch_s", "3:15: range column `created_at` is not required"),
    ("allow: 0.1%", "allow: 120%", "4:19: `120%` is neither a number of rows nor a share of them"),
    ("numeric(12,2)", "numeric(2,12)", "7:23: `numeric(2,12)` is out of range"),
    ("type: 'numeric(12,2)'", "type: money", "7:23: unknown type `money`\n  did you mean `numeric(12,2)`?"),
    ("from: card.last4", "format: date", "8:17: only `date` and `timestamptz` columns have a format"),
    ("format: epoch_s", "format: '%H:%M'", "9:44: `%H:%M` does not say year, month and day"),
    ("format: epoch_s", "format: '%F %TZ +05:30'", "9:44: `%F %TZ +05:30` names two zones, `Z` and `+05:30`"),
    ("from: card.last4", "from: ''", "8:23: a path is empty"),
    ("from: card.last4", "from: 'card..last4'", "8:23: `card..last4` is not a valid path: a key is empty"),
    (
        "from: card.last4",
        "from: '[id=4]'",
        "8:23: `[id=4]` looks for an entry of a list, but a record is an object",
    ),
    (
        "from: card.last4",
        "numbers: '1,234.50'",
        "8:26: only `bigint`, `numeric` and `double` columns have a number style",
    ),
    (
        "type: 'numeric(12,2)'",
        "type: 'numeric(12,2)', percent: fraction",
        "7:49: `percent` says something only where",
    ),
    (
        "type: 'numeric(12,2)'",
        "type: 'numeric(12,2)', numbers: '1.234'",
        "7:49: `1.234` is not a sample of a number",
    ),
    ("table: payments", "percent: fraction\ntable: payments", "1:10: `percent` says something only where"),
    ("table: payments", "numbers: '12'\ntable: payments", "1:10: `12` is not a sample of a number"),
    ("from: card.last4", "on_absent: ignore", "8:28: `on_absent`: unknown value `ignore`"),
    ("  card_last4:", "  xmin:", "8:3: every table has a system column `xmin` already"),
    ("card.last4, type: text", "card.last4", "8:15: missing key `type`"),
];

#[test]
fn rules_of_a_mapping() {
    for &(from, to, expected) in RULES_OF_A_MAPPING {
        let report = faults_after("mappings", from, to);
        let expected = format!("config: 1 problem\n\nconfig/mappings/pay.yaml:{expected}");
        assert!(report.starts_with(&expected), "{to}\n{report}\n{expected}");
    }
    let report = faults_after("mappings", "range_column: created_at\n", "");
    assert!(report.contains("sources/pay.yaml:16:11: `bounds: unknown` needs a range column"), "{report}");
}

/// What a window, its zone and the mapping mean together: bounds and format, and whether a range column tells rows.
#[test]
fn rules_of_a_window_and_its_rows() {
    let mapping = MAPPING.replace("range_column: created_at\n", "");
    let said = |bounds: &str, format: &str, granularity: &str, mapping: &str| {
        let source = SOURCE
            .replace("bounds: unknown", &format!("bounds: {bounds}"))
            .replace("format: epoch_s", &format!("format: '{format}'"))
            .replace("granularity: 1s", &format!("granularity: {granularity}"));
        let files =
            [("pipeline.yaml", PIPELINE), ("sources/pay.yaml", &source), ("mappings/pay.yaml", mapping)];
        match load_files(&files) {
            Ok(config) => {
                let warnings: Vec<String> = config.warnings.iter().map(|w| w.message.clone()).collect();
                let ExtractSpec::Api(api) = &config.sources.values().next().unwrap().spec.extract else {
                    panic!()
                };
                assert_eq!(api.window.filtered, mapping == MAPPING);
                warnings.join("; ")
            }
            Err(report) => report,
        }
    };
    let last_step =
        "rows in the last step of a chunk may be missing, where they are finer than `granularity`";
    assert_eq!(said("closed", "epoch_s", "1s", &mapping), last_step);
    assert_eq!(said("closed", "%F %T", "1s", &mapping), last_step);
    assert!(
        said("open", "iso8601", "1s", &mapping)
            .starts_with("rows in the step before a chunk may come with it")
    );
    for (bounds, format, granularity) in
        [("closed", "date", "1d"), ("closed", "%d/%m/%Y", "1d"), ("half_open", "%F %T", "1s")]
    {
        assert_eq!(said(bounds, format, granularity, &mapping), "", "{bounds} {format}");
    }
    for (bounds, format) in [("closed", "%F %T"), ("open", "epoch_ms"), ("unknown", "%F %T UTC")] {
        assert_eq!(said(bounds, format, "1s", MAPPING), "", "{bounds} {format}");
    }
    assert!(said("unknown", "epoch_s", "1s", &mapping).contains("`bounds: unknown` needs a range column"));
    // the source's days are those of Asia/Kolkata
    let other_days = said("half_open", "%FT00:00:00Z", "1d", &mapping);
    assert!(other_days.contains("15:11: days of +00:00 are not the days of Asia/Kolkata"), "{other_days}");
    assert_eq!(said("half_open", "%FT00:00:00Z", "1d", MAPPING), "");
    assert_eq!(said("half_open", "%F %T IST", "1s", MAPPING), "");
    assert!(
        said("half_open", "%F %T PST", "1s", MAPPING).contains("times in Asia/Kolkata are not called `PST`")
    );
    assert!(
        said("half_open", "%F %TZ +05:30", "1s", MAPPING).contains("15:11: `%F %TZ +05:30` names two zones")
    );
}

#[test]
fn values_of_a_mapping_reach_its_columns() {
    let mapping = MAPPING
        .replace(
            "table: payments",
            "table: payments\nnumbers: '1.234,50'\npercent: fraction\nnull_values: ['', N/A]",
        )
        .replace(
            "from: card.last4, type: text",
            "from: 'cards[kind=main].last4', type: text, null_values: []",
        )
        .replace("type: 'numeric(12,2)'", "type: 'numeric(12,2)', on_absent: warn, null_values: ['-']");
    let config = load_files(&[
        ("pipeline.yaml", PIPELINE),
        ("sources/pay.yaml", SOURCE),
        ("mappings/pay.yaml", &mapping),
    ]);
    let config = config.unwrap();
    let contract = &config.sources.values().next().unwrap().contract;
    let column = |name: &str| contract.column(name).unwrap();
    let numbers = column("amount").numbers.unwrap();
    assert_eq!((numbers.group, numbers.decimal, numbers.percent), (Some('.'), ',', Percent::Fraction));
    assert_eq!(
        (column("id").numbers, column("id").null_values.as_slice()),
        (None, &["".to_owned(), "N/A".to_owned()][..])
    );
    assert_eq!(
        (column("amount").on_absent, column("amount").null_values.as_slice()),
        (OnAbsent::Warn, &["-".to_owned()][..])
    );
    assert_eq!(column("card_last4").null_values, [""; 0]);
    assert_eq!(column("card_last4").from, "cards[kind=main].last4".parse().unwrap());
    let json = serde_json::to_string(contract).unwrap();
    assert_eq!(serde_json::from_str::<Contract>(&json).unwrap(), *contract, "as in a manifest");
}

#[test]
fn rules_between_files() {
    let mut files = good();
    files.push(("sources/twin.yaml", SOURCE));
    files.push(("mappings/twin.yaml", MAPPING));
    let report = load_files(&files).unwrap_err();
    assert!(
        report.contains("sources/twin.yaml:1:1: table `payments` is loaded by source `pay` already"),
        "{report}"
    );

    let sharing = |rate| format!("{SOURCE}budget: {{ key: shop, rate: {rate} }}\n");
    let (first, same, other) = (sharing("10/s"), sharing("10/s"), sharing("9/s"));
    let twin_mapping = MAPPING.replace("table: payments", "table: twins");
    let with = |twin| {
        let mut files = good();
        files[1].1 = &first;
        files.extend([("sources/twin.yaml", twin), ("mappings/twin.yaml", &*twin_mapping)]);
        load_files(&files)
    };
    with(same.as_str()).unwrap();
    let report = with(other.as_str()).unwrap_err();
    assert!(
        report.contains("sources/twin.yaml:23:9: source `pay` gives the budget `shop` another limit"),
        "{report}"
    );

    let mut files = good();
    files[0].1 = "version: 1\nupload_modes: { pay: replace_range }\nchunk_sizes: { pya: 3 }\n";
    let mapping = MAPPING.replace("range_column: created_at\n", "");
    files[2].1 = &mapping;
    let report = load_files(&files).unwrap_err();
    assert!(
        report.contains("pipeline.yaml:2:22: upload mode `replace_range` of `pay` needs a range column"),
        "{report}"
    );
    assert!(
        report.contains("pipeline.yaml:3:16: `chunk_sizes`: there is no source `pya`\n  did you mean `pay`?"),
        "{report}"
    );

    let mut files = good();
    files.push(("mappings/spare.yaml", "table: spare\ncolumns: { a: { type: text } }\n"));
    let config = load_files(&files).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].message, "no source uses the mapping `spare`");
}

#[test]
fn secrets_go_over_plain_http_only_where_that_is_allowed() {
    let plain = SOURCE.replace("${PAY_URL:-https://api.example.org}", "http://10.0.0.7:8080");
    let open =
        plain.replace("type: basic\n", "type: none\n").replace("  username: { secret: pay.key_id }\n", "");
    let open = open.replace("  password: { secret: pay.key_secret }\n", "");
    let load = |source: &str| {
        let mut files = good();
        files[1].1 = source;
        load_files(&files).map(drop)
    };
    let told = load(&plain).unwrap_err();
    assert!(told.contains("pay.yaml:7:11") && told.contains("would reach 10.0.0.7 unencrypted"), "{told}");
    assert_eq!(load(&open), Ok(()), "there is no secret");
    assert_eq!(load(&format!("{plain}allow_insecure: true\n")), Ok(()));
    // as the shipped sources write it
    for (allowed, is_refused) in [("true", false), ("false", true)] {
        let source = format!("{plain}allow_insecure: ${{ALLOW_INSECURE:-false}}\n");
        let mut files = good();
        files[1].1 = &source;
        let env = |name: &str| (name == "ALLOW_INSECURE").then(|| allowed.to_owned());
        assert_eq!(load_with(&files, &env).is_err(), is_refused, "{allowed}");
    }
}
