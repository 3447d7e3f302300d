//! The rules of a source's window and of the parameters around it. Pure.

use std::{collections::BTreeMap, time::Duration};

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::value;
use crate::{
    config::{
        Fault,
        document::Document,
        raw::api as raw,
        spec::{Auth, Bounds, KeyPlace, Paginator, TimeFormat, Window, WindowBound},
        zone_mark::{self, ZoneMark},
    },
    contract::Contract,
};

const DAY: Duration = Duration::from_secs(86_400);

/// The window, with its rules checked.
pub(crate) fn window(doc: &mut Document, raw: &raw::Window) -> Window {
    let format = value::bound_format(&raw.format).unwrap_or(TimeFormat::Date);
    let granularity = raw.granularity.as_ref().map(|text| value::duration(&text.0).unwrap_or_default());
    let granularity = granularity.unwrap_or_default();
    if doc.clean(&["window"]) {
        both_ends(doc, &raw.params);
        granularity_fits(doc, raw.bounds, &format, granularity);
    }
    Window { params: raw.params.clone(), format, bounds: raw.bounds, granularity, filtered: false }
}

fn both_ends(doc: &mut Document, params: &BTreeMap<String, WindowBound>) {
    for (bound, word) in [(WindowBound::Start, "start"), (WindowBound::End, "end")] {
        if !params.values().any(|found| *found == bound) {
            let message = format!("no parameter carries the {word} of a chunk");
            doc.fault(&["window", "params"], message, Some("as in { from: start, to: end }".to_owned()));
        }
    }
}

fn granularity_fits(doc: &mut Document, bounds: Bounds, format: &TimeFormat, granularity: Duration) {
    let path: &[&str] =
        if doc.has(&["window", "granularity"]) { &["window", "granularity"] } else { &["window", "bounds"] };
    if granularity.is_zero() {
        if bounds != Bounds::HalfOpen {
            let hint = "add the smallest step of the API's bounds: `granularity: 1s`, or `1d` for whole days";
            doc.fault(path, "these bounds need a `granularity` above zero", Some(hint.to_owned()));
        }
        return;
    }
    let whole = |step: Duration| granularity.as_millis().is_multiple_of(step.as_millis());
    if format.is_whole_day() && !whole(DAY) {
        let message = "the window's format says whole days, so its granularity must be whole days too";
        doc.fault(path, message, Some("write `granularity: 1d`".to_owned()));
    } else if *format == TimeFormat::EpochS && !whole(Duration::from_secs(1)) {
        let message = "the window's format says whole seconds, so its granularity must be whole seconds too";
        doc.fault(path, message, Some("write `granularity: 1s`".to_owned()));
    }
}

/// What the window, the source's zone and its mapping mean together; the result is what people should know.
pub(crate) fn with_rows(
    doc: &mut Document,
    window: &mut Window,
    zone: Tz,
    contract: &Contract,
    mapping: &str,
) -> Vec<Fault> {
    window.filtered = contract.range_column.is_some();
    let mark = zone_of(&window.format);
    if let Some(ZoneMark::Abbreviation(word)) = &mark
        && !is_called(zone, word)
    {
        let hint = "write %Z for what it is called at the time, or an offset such as +05:30".to_owned();
        let message = format!("times in {zone} are not called `{word}`, or not all year");
        doc.fault(&["window", "format"], message, Some(hint));
    }
    if window.filtered {
        return vec![];
    }
    let hint = format!("add `range_column` to mappings/{mapping}.yaml: rows outside a chunk are told by it");
    let of_another_zone = match &mark {
        Some(ZoneMark::Offset(offset)) => Some(offset.to_string()),
        Some(ZoneMark::Zone(other)) if *other != zone => Some(other.to_string()),
        _ => None,
    };
    if let Some(other) = of_another_zone.filter(|_| window.format.is_whole_day()) {
        let message =
            format!("days of {other} are not the days of {zone}, so this format needs a range column");
        doc.fault(&["window", "format"], message, Some(hint));
        return vec![];
    }
    let message = match window.bounds {
        Bounds::Unknown => {
            let path = ["window", "bounds"];
            doc.fault(&path, "`bounds: unknown` needs a range column", Some(hint));
            return vec![];
        }
        Bounds::Closed if !window.format.is_whole_day() => {
            "rows in the last step of a chunk may be missing, where they are finer than `granularity`"
        }
        Bounds::Open if !window.format.is_whole_day() => {
            "rows in the step before a chunk may come with it, where they are finer than `granularity`"
        }
        Bounds::Closed | Bounds::Open | Bounds::HalfOpen => return vec![],
    };
    vec![doc.remark(&["window", "bounds"], message.to_owned(), Some(hint))]
}

/// The zone that a format's pattern names.
fn zone_of(format: &TimeFormat) -> Option<ZoneMark> {
    match format {
        TimeFormat::Strftime(pattern) => zone_mark::of_pattern(pattern).ok().flatten(),
        _ => None,
    }
}

/// Whether the times of a zone have this abbreviation in January and in July.
fn is_called(zone: Tz, word: &str) -> bool {
    let mark = ZoneMark::Abbreviation(word.to_owned());
    let noon = |month| NaiveDate::from_ymd_opt(2025, month, 15).and_then(|day| day.and_hms_opt(12, 0, 0));
    [1, 7].into_iter().all(|month| noon(month).is_some_and(|time| mark.instant(time, zone).is_some()))
}

/// Every query parameter may be set by one hand only.
pub(crate) fn parameters(
    doc: &mut Document,
    window: &Window,
    fixed: &BTreeMap<String, String>,
    paginator: &Paginator,
    auth: &Auth,
) {
    let mut setters: Vec<(&str, Vec<&str>)> = Vec::new();
    setters.extend(fixed.keys().map(|name| (name.as_str(), vec!["request", "params", name])));
    setters.extend(window.params.keys().map(|name| (name.as_str(), vec!["window", "params", name])));
    setters
        .extend(paging_parameters(paginator).into_iter().map(|(key, name)| (name, vec!["paginator", key])));
    if let Auth::ApiKey { place: KeyPlace::Query, name, .. } = auth {
        setters.push((name, vec!["auth", "name"]));
    }
    for (index, (name, path)) in setters.iter().enumerate() {
        let earlier = setters[..index].iter().find(|(other, _)| other == name);
        if name.is_empty() {
            doc.fault_at_key(path, "the name of a parameter is empty", None);
        } else if let Some((_, earlier)) = earlier {
            let (here, there) = (section(path), section(earlier));
            let hint = "a parameter is set once: rename or remove one of the two".to_owned();
            doc.fault_at_key(
                path,
                format!("parameter `{name}` of {here} is set by {there} already"),
                Some(hint),
            );
        }
    }
}

/// `request.params`, `window.params`, `paginator.limit_param`, `auth.name`.
fn section(path: &[&str]) -> String {
    format!("`{}.{}`", path[0], path[1])
}

fn paging_parameters(paginator: &Paginator) -> Vec<(&'static str, &str)> {
    match paginator {
        Paginator::None { .. } => vec![],
        Paginator::PageNumber { page_param, size_param, .. } => {
            let size = size_param.as_deref().map(|name| ("size_param", name));
            [Some(("page_param", page_param.as_str())), size].into_iter().flatten().collect()
        }
        Paginator::Offset { offset_param, limit_param, .. } => {
            vec![("offset_param", offset_param.as_str()), ("limit_param", limit_param.as_str())]
        }
        Paginator::Cursor { param, limit_param, .. } => {
            let limit = limit_param.as_deref().map(|name| ("limit_param", name));
            [Some(("param", param.as_str())), limit].into_iter().flatten().collect()
        }
    }
}
