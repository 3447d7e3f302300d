//! Which sources say nothing that proves the end of their data, as far as their description tells. Pure.

use super::spec::{
    ExtractSpec, Paginator, SourceSpec,
    browser::{Act, AnswerFormat, BrowserSpec, LaneHow, LaneSpec, Read},
};

/// What would prove that the source's chunks are complete, when nothing in its description does; `None` when
/// something may. Sources that page by number, offset or cursor read until an empty page or the end of the list.
pub fn evidence_gap(spec: &SourceSpec) -> Option<String> {
    match &spec.extract {
        ExtractSpec::Api(api) => matches!(api.paginator, Paginator::None { total_path: None, has_more_path: None }).then(|| {
            "name `total_path` or `has_more_path` under `paginator`, where the answer counts its records or says \
             that more follow; or describe the pages with another `type`"
                .to_owned()
        }),
        ExtractSpec::Browser(browser) => reads(browser).find_map(read_gap),
    }
}

fn reads(browser: &BrowserSpec) -> impl Iterator<Item = &Read> {
    browser.steps.iter().filter_map(|step| match &step.act {
        Act::Read(read) => Some(&**read),
        _ => None,
    })
}

/// The first lane decides: the later ones are read only when it fails.
fn read_gap(read: &Read) -> Option<String> {
    let lane = read.lanes.first()?;
    if read.total.is_some() || lane.cap.is_some() || may_prove(lane) {
        return None;
    }
    Some(format!(
        "name `total`, the element that says how many rows there are, or the `cap` of the lane `{}`: the most rows \
         that it can hold",
        lane.how.lane()
    ))
}

/// Whether what the lane reads may say by itself that it is complete.
fn may_prove(lane: &LaneSpec) -> bool {
    match &lane.how {
        LaneHow::Response { format, .. } => *format == AnswerFormat::Dsr,
        LaneHow::Export { .. } => false,
        // a grid may have a pager, count its rows or have an end to scroll to: only its page tells
        LaneHow::Grid { .. } => true,
    }
}
