//! A cell is what a person sees.

use std::collections::BTreeMap;

use super::{Answer, HTML, Site};

/// What a cell holds, and what a person sees; `None` is nothing.
const CELLS: [(&str, Option<&str>); 34] = [
    ("Mumbai<br>India", Some("Mumbai India")),
    ("<div>New Delhi</div><div>India</div>", Some("New Delhi India")),
    ("Paid<span class=sr-only> (opens details)</span>", Some("Paid")),
    ("<span style=\"display:none\">000012</span>12.50", Some("12.50")),
    ("<span hidden>x</span>y", Some("y")),
    ("<span style=\"visibility:hidden\">x<b style=\"visibility:visible\">y</b></span>", Some("y")),
    ("<span style=\"opacity:0\">x</span>y", Some("y")),
    (
        "<style>.x{color:red}</style><script>1</script><template>t</template><noscript>n</noscript>Open",
        Some("Open"),
    ),
    ("<select><option>A<option selected>B<option>C</select>", Some("B")),
    ("<input value=17>", Some("17")),
    ("<input type=hidden value=x>y", Some("y")),
    ("<textarea>a note</textarea>", Some("a note")),
    ("<input type=checkbox checked>", Some("true")),
    ("<input type=checkbox>", Some("false")),
    (
        "<span role=switch aria-checked=true style=\"display:inline-block;width:9px;height:9px\"></span>",
        Some("true"),
    ),
    (
        "<label><input type=radio name=r> yes</label><label><input type=radio name=r checked> no</label>",
        Some("no"),
    ),
    ("<input type=radio name=q checked> early <input type=radio name=q> late", Some("early")),
    ("<img alt=Paid width=9 height=9>", Some("Paid")),
    ("<img alt=Paid width=9 height=9>Open", Some("Open")),
    ("<span aria-hidden=true>seen</span>", Some("seen")),
    ("a&nbsp;", Some("a\u{a0}")),
    ("\n      padded \n   text\n   ", Some("padded text")),
    ("<span style=\"white-space:pre\"> a  b</span>", Some(" a  b")),
    ("<span class=money>5</span>", Some("₹5")),
    ("<span style=\"text-transform:uppercase\">paid</span>", Some("PAID")),
    ("<span style=\"position:absolute;left:-9999px\">x</span>y", Some("y")),
    ("<div style=\"content-visibility:auto\">far</div>", Some("far")),
    ("<b>1</b><i>2</i>", Some("12")),
    ("<details><summary>short</summary>long</details>", Some("short")),
    ("<span style=\"font-size:0\">x</span>y", Some("y")),
    ("<span style=\"clip-path:inset(50%);position:absolute\">x</span>y", Some("y")),
    ("<div style=\"height:0;overflow:hidden\">x</div>y", Some("y")),
    ("<span style=\"color:transparent\">x</span>y", Some("y")),
    ("&nbsp;", None),
];

fn page(_: &str, _: &BTreeMap<String, String>) -> (&'static str, Vec<u8>) {
    let row = |(at, (cell, _)): (usize, &(&str, Option<&str>))| {
        format!(
            "<tr><td>{}<td>2025-08-01 10:00:00<td style=\"display:none\">no column<td>{cell}</tr>",
            at + 1
        )
    };
    let rows: String = CELLS.iter().enumerate().map(row).collect();
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>Cells</title><style>
.sr-only{{position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0,0,0,0);white-space:nowrap}}
.money::before{{content:\"\\20b9\"}} th::after{{content:\"\\25b2\"}}</style>
<table id=t><thead><tr><th>id<th>at<th style=\"display:none\">hidden<th><div>The</div><div>value</div><span class=sr-only>sort by it</span></thead>
<tbody>{rows}</tbody></table>"
    );
    (HTML, html.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_is_what_a_person_sees() {
    let site = Site::new(page as Answer).await;
    let read = "lanes: [grid], grid: { selector: \"#t\", names: { v: The value } }";
    let (marker, rows) = site.good("/", read, "").await;
    let expected: Vec<String> = CELLS
        .iter()
        .enumerate()
        .map(|(at, (_, seen))| format!("{}={}", at + 1, seen.unwrap_or("NULL")))
        .collect();
    assert_eq!(rows, expected);
    // nothing shows that the table is all there is
    assert!(super::evidence(&marker).contains("single_page"), "{marker:#}");

    let trimmed = read.replace("names:", "trim: true, names:");
    let (_, rows) = site.good("/", &trimmed, "").await;
    assert!(rows.contains(&"21=a".to_owned()), "{rows:?}");

    let missing = read.replace("The value", "hidden");
    site.fails("/", &missing, "", "config", &["no column `hidden`: there are `id`, `at`, `The value`"]).await;
    let formats = read.replace("lanes:", "formats: { at: \"%d/%m/%Y\" }, lanes:");
    let says = "column `at`: the cell `2025-08-01 10:00:00` in row 1 does not fit the format `%d/%m/%Y`";
    site.fails("/", &formats, "", "config", &[says]).await;
}
