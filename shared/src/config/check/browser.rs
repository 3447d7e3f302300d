//! The rules of a dashboard's source file. Pure.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::{
    source::{NamedSecret, time},
    value,
};
use crate::config::{
    cell_format::CellFormat,
    document::Document,
    nearest,
    raw::browser as raw,
    spec::{
        SecretRef,
        browser::{
            Act, AnswerFormat, BrowserClock, BrowserSpec, ExportFormat, FillText, Filter, Lane, LaneHow,
            LaneSpec, Login, LoginFlow, Paginate, Read, Selector, Step,
        },
    },
    template::Template,
};

/// Where Power BI cuts an export off.
const CSV_CAP: u64 = 30_000;
const XLSX_CAP: u64 = 150_000;
/// The frame that is the page itself.
const PAGE: &str = "page";

/// What a dashboard's file says beyond what every source says.
pub(super) fn browser(doc: &mut Document, raw: &raw::BrowserFile, zone: Tz) -> BrowserSpec {
    let mut steps: Vec<Step> = Vec::new();
    for (index, step) in raw.steps.iter().enumerate() {
        let place = Place { doc, index: index.to_string() };
        if let Some(paginate) = one_step(place, step) {
            follow_read(doc, index, paginate, &mut steps);
            continue;
        }
        let place = Place { doc, index: index.to_string() };
        let Some(act) = act(place, step) else { continue };
        steps.push(Step {
            timeout: time(step.timeout.as_ref().unwrap_or(&raw.timeouts.step)),
            frame: frame(raw, step, &act),
            frame_optional: raw.frame_optional && step.frame.is_none() && raw.frame.is_some(),
            act,
        });
    }
    if raw.frame_optional && raw.frame.is_none() {
        let hint = "name the iframe: `frame: \"iframe#report\"`, or remove `frame_optional`".to_owned();
        doc.fault_at_key(&["frame_optional"], "`frame_optional` without `frame`", Some(hint));
    }
    if doc.clean(&["steps"]) {
        one_way_to_the_rows(doc, &steps);
    }
    BrowserSpec {
        max_sessions: raw.max_sessions,
        login: raw.login.as_ref().map(|login| self::login(login, raw)),
        clock: Some(clock(&raw.browser, zone)),
        steps,
        chunk_timeout: time(&raw.timeouts.chunk),
    }
}

/// Clock and language of the browser; a fault of theirs is told already.
fn clock(raw: &raw::BrowserSettings, zone: Tz) -> BrowserClock {
    let timezone = raw.timezone.as_deref().and_then(|text| value::zone(text).ok()).unwrap_or(zone);
    let locale = raw.locale.as_deref().and_then(|text| value::locale(text).ok());
    BrowserClock { timezone, locale: locale.unwrap_or_else(|| BrowserClock::DEFAULT_LOCALE.to_owned()) }
}

/// The secrets and the places that name them.
pub(super) fn secrets(raw: &raw::BrowserFile) -> Vec<NamedSecret> {
    let path = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect();
    let mut found = Vec::new();
    if let Some(
        raw::Login::Microsoft { username, password, .. } | raw::Login::Form { username, password, .. },
    ) = &raw.login
    {
        for (key, name) in [("username", username), ("password", password)] {
            found.push((SecretRef(name.secret.clone()), path(&["login", key, "secret"])));
        }
    }
    for (index, step) in raw.steps.iter().enumerate() {
        if let Some(name) = step.fill.as_ref().and_then(|fill| fill.secret.clone()) {
            found.push((SecretRef(name), path(&["steps", &index.to_string(), "fill", "secret"])));
        }
    }
    found
}

fn selector(text: &str) -> Selector {
    Selector(text.to_owned())
}

/// The meaning of a text whose fault, if it has one, is told already.
fn template(text: &str) -> Template {
    value::template(text).unwrap_or_default()
}

/// The grid that a `paginate` goes through is the one of the `read` before it.
fn follow_read(doc: &mut Document, index: usize, raw: &raw::Paginate, steps: &mut [Step]) {
    let grid = match steps.last_mut().map(|step| &mut step.act) {
        Some(Act::Read(read)) => read.lanes.iter_mut().find_map(|lane| match &mut lane.how {
            LaneHow::Grid { paginate, .. } if paginate.is_none() => Some(paginate),
            _ => None,
        }),
        _ => None,
    };
    let Some(grid) = grid else {
        let hint = "put it after the `read` whose `grid` has pages".to_owned();
        doc.fault(&["steps", &index.to_string()], "`paginate` follows no `read` with a grid", Some(hint));
        return;
    };
    *grid = Some(Paginate { next: selector(&raw.next), navigates: raw.navigates, max_pages: raw.max_pages });
}

/// A page is opened, then its rows are read, and that is the end.
fn one_way_to_the_rows(doc: &mut Document, steps: &[Step]) {
    if !matches!(steps.first().map(|step| &step.act), Some(Act::Goto(_))) {
        doc.fault(
            &["steps"],
            "the first step opens no page",
            Some("begin with `- goto: https://…`".to_owned()),
        );
    }
    let reads = steps.iter().filter(|step| matches!(step.act, Act::Read(_))).count();
    if reads != 1 || !matches!(steps.last().map(|step| &step.act), Some(Act::Read(_))) {
        let message = match reads {
            0 => "no step reads the rows",
            1 => "steps after `read` lead nowhere",
            _ => "more than one step reads rows",
        };
        doc.fault(&["steps"], message, Some("end with one `read`; only `paginate` may follow it".to_owned()));
    }
}

fn login(raw: &raw::Login, file: &raw::BrowserFile) -> Login {
    let optional = |text: &Option<String>| text.as_deref().map(selector);
    let (flow, url, username, password, signed_in) = match raw {
        raw::Login::Microsoft { url, username, password, signed_in } => {
            (LoginFlow::Microsoft, url, username, password, signed_in)
        }
        raw::Login::Form {
            url,
            username,
            password,
            username_field,
            password_field,
            submit,
            error,
            signed_in,
        } => {
            let flow = LoginFlow::Form {
                username_field: selector(username_field),
                password_field: selector(password_field),
                submit: selector(submit),
                error: optional(error),
            };
            (flow, url, username, password, signed_in)
        }
    };
    Login {
        flow,
        url: url.clone(),
        username: SecretRef(username.secret.clone()),
        password: SecretRef(password.secret.clone()),
        signed_in: optional(signed_in),
        timeout: time(&file.timeouts.login),
    }
}

/// `goto` opens a page; everything else acts in the step's own frame or the one of the file.
fn frame(raw: &raw::BrowserFile, step: &raw::Step, act: &Act) -> Option<Selector> {
    let named = step.frame.as_deref().or(raw.frame.as_deref())?;
    (named != PAGE && !matches!(act, Act::Goto(_))).then(|| selector(named))
}

/// The place of one step in the document.
struct Place<'a> {
    doc: &'a mut Document,
    index: String,
}

impl Place<'_> {
    fn fault(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        let path: Vec<&str> = ["steps", &self.index].into_iter().chain(path.iter().copied()).collect();
        self.doc.fault(&path, message, (!hint.is_empty()).then(|| hint.to_owned()));
    }

    fn keys(&self, path: &[&str]) -> Vec<String> {
        self.doc.keys(&self.path(path))
    }

    fn has(&self, path: &[&str]) -> bool {
        self.doc.has(&self.path(path))
    }

    fn path<'b>(&'b self, path: &[&'b str]) -> Vec<&'b str> {
        ["steps", &self.index].into_iter().chain(path.iter().copied()).collect()
    }
}

/// Sees to it that an entry is one step; gives its `paginate` back, which is no step of its own.
fn one_step<'a>(mut place: Place<'_>, step: &'a raw::Step) -> Option<&'a raw::Paginate> {
    let words: Vec<String> =
        place.keys(&[]).into_iter().filter(|key| key != "timeout" && key != "frame").collect();
    if words.len() > 1 {
        let message = format!("one entry holds {} steps: {}", words.len(), words.join(", "));
        place.fault(&[], message, "begin each step with a `-` of its own");
    } else if words.is_empty() {
        let hint =
            "goto, fill, click, hover, press, wait_for, wait_gone, select, apply_filter, read or paginate";
        place.fault(&[], "this entry holds no step", hint);
    }
    step.paginate.as_ref()
}

fn act(place: Place<'_>, step: &raw::Step) -> Option<Act> {
    let simple = |text: &Option<String>, act: fn(Template) -> Act| text.as_deref().map(template).map(act);
    let act = if let Some(url) = &step.goto {
        Act::Goto(template(url))
    } else if let Some(fill) = &step.fill {
        return self::fill(place, fill);
    } else if let Some(press) = &step.press {
        Act::Press { key: press.key.clone(), selector: press.selector.as_deref().map(selector) }
    } else if let Some(select) = &step.select {
        Act::Select { selector: selector(&select.selector), option: template(&select.option) }
    } else if let Some(filter) = &step.apply_filter {
        Act::ApplyFilter(self::filter(place, filter))
    } else if let Some(read) = &step.read {
        Act::Read(Box::new(self::read(place, read)))
    } else {
        return simple(&step.click, Act::Click)
            .or_else(|| simple(&step.hover, Act::Hover))
            .or_else(|| simple(&step.wait_for, Act::WaitFor))
            .or_else(|| simple(&step.wait_gone, Act::WaitGone));
    };
    Some(act)
}

fn fill(mut place: Place<'_>, raw: &raw::Fill) -> Option<Act> {
    let text = match (&raw.text, &raw.secret) {
        (Some(text), None) => FillText::Text(template(text)),
        (None, Some(name)) => FillText::Secret(SecretRef(name.clone())),
        (found, _) => {
            let both = if found.is_some() { "both" } else { "neither" };
            place.fault(&["fill"], format!("`fill` has {both} `text` and `secret`"), "write one of the two");
            return None;
        }
    };
    Some(Act::Fill { selector: selector(&raw.selector), text })
}

fn filter(mut place: Place<'_>, raw: &raw::ApplyFilter) -> Filter {
    // in the order of the file: a picker may mind it
    let order = place.keys(&["apply_filter", "fill"]);
    if order.is_empty() {
        let hint = "as in { \"#startDate\": \"{start:%Y-%m-%d}\", \"#endDate\": \"{last_day:%Y-%m-%d}\" }";
        place.fault(&["apply_filter", "fill"], "a filter that gets no dates shows all of them", hint);
    }
    for name in &order {
        if let Err(wrong) = value::selector(name) {
            place.fault(&["apply_filter", "fill", name], wrong.message, &wrong.hint.unwrap_or_default());
        }
    }
    let text = |name: &String| Some((selector(name), template(&raw.fill.get(name)?.0)));
    Filter {
        label: raw.label.clone(),
        option: raw.option.clone(),
        fill: order.iter().filter_map(text).collect(),
        enter: raw.enter.unwrap_or(raw.submit.is_none()),
        submit: raw.submit.clone(),
        shown_in: raw.shown_in.as_deref().map(selector),
        shows: raw.shows.iter().map(|text| template(&text.0)).collect(),
    }
}

fn read(mut place: Place<'_>, raw: &raw::Read) -> Read {
    known_columns(&mut place, raw);
    for (name, there) in
        [("response", raw.response.is_some()), ("export", raw.export.is_some()), ("grid", raw.grid.is_some())]
    {
        if there && !raw.lanes.iter().any(|lane| lane.to_string() == name) {
            let hint = format!("add `{name}` to `lanes`, or remove `{name}:`");
            place.fault(&["read", name], format!("`{name}` is described, but no lane of this step"), &hint);
        }
    }
    unused_keys(&mut place, raw);
    if let Some(lane) = raw.response.as_ref().filter(|lane| lane.format == AnswerFormat::Json)
        && lane.cap.is_none()
        && raw.total.is_none()
    {
        let hint = "add `total`, where the page says how many rows there are, or `cap`, how many an answer has at most";
        place.fault(&["read", "response"], "nothing shows whether a json answer is whole", hint);
    }
    let mut lanes = Vec::new();
    for (at, name) in raw.lanes.iter().enumerate() {
        let word = name.to_string();
        if raw.lanes[..at].contains(name) {
            place.fault(
                &["read", "lanes", &at.to_string()],
                format!("lane `{word}` stands there twice"),
                "once",
            );
        }
        match lane(raw, *name) {
            Some(lane) => lanes.push(lane),
            None => {
                let hint = format!("describe it: `{word}: {{ … }}` beside `lanes`, or remove it");
                place.fault(
                    &["read", "lanes", &at.to_string()],
                    format!("nothing says how to read lane `{word}`"),
                    &hint,
                );
            }
        }
    }
    Read {
        lanes,
        columns: raw.columns.clone(),
        allow_empty: raw.allow_empty,
        total: raw.total.as_ref().map(|total| selector(&total.selector)),
        busy: raw.busy.as_deref().map(selector),
        ignore: raw.ignore.clone(),
        settle: time(&raw.settle),
    }
}

/// What has no meaning for a format would be ignored in silence.
fn unused_keys(place: &mut Place<'_>, raw: &raw::Read) {
    let response = raw.response.as_ref().filter(|lane| lane.format == AnswerFormat::Dsr);
    let (csv, xlsx) = (ExportFormat::Csv, ExportFormat::Xlsx);
    let export = |format: ExportFormat| raw.export.as_ref().is_some_and(|lane| lane.format == format);
    for (unused, path, format) in [
        (response.is_some(), ["read", "response", "records"], "dsr"),
        (export(csv), ["read", "export", "sheet"], "csv"),
        (export(xlsx), ["read", "export", "delimiter"], "xlsx"),
    ] {
        if unused && place.has(&path) {
            let message = format!("`{}` means nothing for `format: {format}`", path[2]);
            place.fault(&path, message, "remove it");
        }
    }
}

/// Names and formats must be of columns that are read.
fn known_columns(place: &mut Place<'_>, raw: &raw::Read) {
    let columns: Vec<&str> = raw.columns.iter().map(String::as_str).collect();
    let sections = ["response", "export", "grid"].map(|lane| [lane, "names"]).into_iter();
    let sections = sections.chain(["response", "export", "grid"].map(|lane| [lane, "formats"]));
    let mut paths: Vec<Vec<&str>> = sections.map(|[lane, section]| vec!["read", lane, section]).collect();
    paths.push(vec!["read", "formats"]);
    for path in paths {
        for name in place.keys(&path) {
            if !columns.contains(&name.as_str()) {
                let hint = nearest::hint(&name, "columns", &columns).unwrap_or_default();
                let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
                place.fault(&path, format!("`{name}` is none of the `columns`"), &hint);
            }
        }
    }
}

fn lane(raw: &raw::Read, name: Lane) -> Option<LaneSpec> {
    let (how, names, formats, cap) = match name {
        Lane::Response => {
            let lane = raw.response.as_ref()?;
            let records = lane.records.clone().unwrap_or_default();
            let how = LaneHow::Response { url: lane.url.clone(), format: lane.format, records };
            (how, &lane.names, &lane.formats, lane.cap)
        }
        Lane::Export => {
            let lane = raw.export.as_ref()?;
            let cap = if lane.format == ExportFormat::Csv { CSV_CAP } else { XLSX_CAP };
            let how = LaneHow::Export {
                clicks: lane.clicks.iter().map(|click| selector(&click.0)).collect(),
                format: lane.format,
                delimiter: lane.delimiter,
                sheet: lane.sheet.clone(),
            };
            (how, &lane.names, &lane.formats, lane.cap.or(Some(cap)))
        }
        Lane::Grid => {
            let lane = raw.grid.as_ref()?;
            let by_header = !lane.names.is_empty();
            let how = LaneHow::Grid { selector: selector(&lane.selector), by_header, paginate: None };
            (how, &lane.names, &lane.formats, lane.cap)
        }
    };
    let name_of = |column: &String| names.get(column).unwrap_or(column).clone();
    let format_of = |column: &String| {
        let text = formats.get(column).or_else(|| raw.formats.get(column))?;
        Some((column.clone(), value::cell_format(&text.0).ok()?))
    };
    Some(LaneSpec {
        how,
        names: raw.columns.iter().map(name_of).collect(),
        formats: raw.columns.iter().filter_map(format_of).collect::<BTreeMap<String, CellFormat>>(),
        cap,
    })
}
