//! The rules of a source's window and of the parameters around it. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::value;
use crate::config::{
    document::Document,
    raw::api as raw,
    spec::{Auth, Bounds, KeyPlace, Paginator, TimeFormat, Window, WindowBound},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The window, with its rules checked.
pub(crate) fn window(doc: &mut Document, raw: &raw::Window) -> Window {
    let format = value::time_format(&raw.format).unwrap_or(TimeFormat::Date);
    let granularity = raw.granularity.as_ref().map(|text| value::duration(&text.0).unwrap_or_default());
    let granularity = granularity.unwrap_or_default();
    if doc.clean(&["window"]) {
        both_ends(doc, &raw.params);
        granularity_fits(doc, raw.bounds, &format, granularity);
    }
    Window { params: raw.params.clone(), format, bounds: raw.bounds, granularity }
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
    if value::is_whole_day(format) && !whole(DAY) {
        let message = "the window's format says whole days, so its granularity must be whole days too";
        doc.fault(path, message, Some("write `granularity: 1d`".to_owned()));
    } else if *format == TimeFormat::EpochS && !whole(Duration::from_secs(1)) {
        let message = "the window's format says whole seconds, so its granularity must be whole seconds too";
        doc.fault(path, message, Some("write `granularity: 1s`".to_owned()));
    }
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
