//! The rules of a dashboard's source file. Pure.

use chrono_tz::Tz;

use super::{
    lanes,
    source::{NamedSecret, time},
    value,
};
use crate::config::{
    document::Document,
    raw::browser as raw,
    spec::{
        SecretRef,
        browser::{
            Act, BrowserClock, BrowserSpec, FillText, Filter, LaneHow, Login, LoginFlow, Paginate, Selector,
            Step,
        },
    },
    template::Template,
};

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

pub(super) fn selector(text: &str) -> Selector {
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
pub(super) struct Place<'a> {
    doc: &'a mut Document,
    index: String,
}

impl Place<'_> {
    pub(super) fn fault(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        let path: Vec<&str> = ["steps", &self.index].into_iter().chain(path.iter().copied()).collect();
        self.doc.fault(&path, message, (!hint.is_empty()).then(|| hint.to_owned()));
    }

    pub(super) fn keys(&self, path: &[&str]) -> Vec<String> {
        self.doc.keys(&self.path(path))
    }

    pub(super) fn has(&self, path: &[&str]) -> bool {
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
        Act::Read(Box::new(lanes::read(place, read)))
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
