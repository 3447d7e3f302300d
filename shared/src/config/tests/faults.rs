//! All that can be wrong: each rule by itself, and everything at once.

use super::*;

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
    ("format: epoch_s", "format: '%H:%M'", "9:44: `%H:%M` names no day"),
    ("format: epoch_s", "format: '%Y-%m-%d %Z'", "9:44: `%Y-%m-%d %Z` reads a zone by its name"),
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
