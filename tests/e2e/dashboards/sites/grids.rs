//! Grids with pages, with rows that come late, and without rows.

use std::collections::BTreeMap;

use super::{Answer, HTML, JSON, Site, evidence, numbered};

/// Three pages of five rows in one document. A click empties the table until the rows are there; the pager is drawn late.
const PAGED: &str = r##"<!doctype html><title>Pages</title><div id=total></div>
<table id=t><thead><tr><th>id<th>at<th>v</thead><tbody></tbody></table><div id=pager></div><script>
let page = 1;
const body = document.querySelector("tbody");
const show = async () => {
  body.replaceChildren();
  const answer = await fetch(`/api/page?page=${page}&wait=700`);
  const rows = await answer.json();
  for (const n of rows) body.insertAdjacentHTML("beforeend", `<tr><td>${n}<td>2025-08-01 10:00:00<td>v${n}</tr>`);
  total.textContent = `${5 * page - 4}-${5 * page}/15`;
  if (document.querySelector("#next")) document.querySelector("#next").disabled = page === LAST;
};
const LAST = 3;
show();
setTimeout(() => {
  pager.innerHTML = "<button id=next>Next</button>";
  document.querySelector("#next").onclick = () => { page += 1; show(); };
}, 1800);
</script>"##;

/// 120 rows, of which those in view are drawn: first as placeholders, then with their values.
const VIRTUAL: &str = r##"<!doctype html><title>Virtual</title>
<div id=t role=grid aria-rowcount=121 style="height:300px;overflow:auto;position:relative"><div id=canvas style="height:2420px"></div></div>
<script>
const COLUMNS = ["id", "at", "v"];
const line = (index, texts, role) => {
  const row = document.createElement("div");
  row.setAttribute("role", "row"); row.setAttribute("aria-rowindex", index);
  row.style.cssText = `position:absolute;height:20px;top:${(index - 1) * 20}px`;
  row.innerHTML = texts.map((text, at) => `<span role=${role} aria-colindex=${at + 1} style="display:inline-block;width:90px">${text}</span>`).join("");
  return row;
};
const known = new Set(), asked = new Set();
const draw = () => {
  const first = Math.floor(t.scrollTop / 20);
  const rows = [line(1, COLUMNS, "columnheader")];
  for (let n = Math.max(1, first); n <= Math.min(120, first + 18); n += 1) {
    const full = [n, "2025-08-01 10:00:00", n % 9 ? `v${n}` : ""];
    const blank = n % 2 ? ["", "", ""] : ["Loading…", "", ""];
    rows.push(line(n + 1, known.has(n) ? full : blank, "gridcell"));
    if (!known.has(n) && !asked.has(n)) { asked.add(n); setTimeout(() => { known.add(n); draw(); }, 250); }
  }
  canvas.replaceChildren(...rows);
};
t.addEventListener("scroll", draw);
draw();
</script>"##;

/// A list that goes on when one scrolls to its end.
const ENDLESS: &str = r##"<!doctype html><title>List</title>
<div id=box style="height:200px;overflow:auto"><table id=t><thead><tr><th>id<th>at<th>v</thead><tbody></tbody></table></div><script>
const body = document.querySelector("tbody");
let asked = false;
const more = async () => {
  const from = body.rows.length;
  if (asked || from >= 60) return;
  asked = true;
  await fetch("/api/page?page=1&wait=400");
  for (let n = from + 1; n <= from + 20; n += 1) body.insertAdjacentHTML("beforeend", `<tr><td>${n}<td>2025-08-01 10:00:00<td>v${n}</tr>`);
  asked = false;
};
box.addEventListener("scroll", () => { if (box.scrollTop + box.clientHeight >= box.scrollHeight - 5) more(); });
more();
</script>"##;

fn answer(path: &str, query: &BTreeMap<String, String>) -> (&'static str, Vec<u8>) {
    let page: usize = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    let plain = |rows: &str| {
        format!(
            "<!doctype html><title>T</title><p id=none>No data</p><table id=t><thead><tr><th>id<th>at<th>v</thead><tbody>{rows}</tbody></table>"
        )
    };
    match path {
        "/api/page" => {
            let rows: Vec<String> = (5 * page - 4..=5 * page).map(|n| n.to_string()).collect();
            (JSON, format!("[{}]", rows.join(",")).into_bytes())
        }
        "/paged" => (HTML, PAGED.into()),
        // the second page's rows never come: the chart stays empty
        "/broken" => (
            HTML,
            PAGED
                .replace(
                    "const rows = await answer.json();",
                    "const rows = page === 2 ? [] : await answer.json();",
                )
                .into(),
        ),
        "/virtual" => (HTML, VIRTUAL.into()),
        "/never" => (HTML, VIRTUAL.replace("known.add(n); draw();", "").into()),
        "/endless" => (HTML, ENDLESS.into()),
        "/empty" => (HTML, plain("").into()),
        "/both" => (HTML, plain("<tr><td>1<td>2025-08-01 10:00:00<td>v1</tr>").into()),
        "/unnamed" => (
            HTML,
            format!(
                "{}<a href=# aria-label=\"Next page\">more</a>",
                plain("<tr><td>1<td>2025-08-01 10:00:00<td>v1</tr>")
            )
            .into(),
        ),
        _ => (HTML, b"<!doctype html>nothing".to_vec()),
    }
}

const GRID: &str = "lanes: [grid], grid: { selector: \"#t\" }";

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_chart_is_not_the_next_page_and_a_pager_that_is_drawn_late_is_not_the_end() {
    let site = Site::new(answer as Answer).await;
    let next = "  - paginate: { next: \"#next\" }\n";
    let total = format!("{GRID}, total: {{ selector: \"#total\" }}");
    let (marker, rows) = site.good("/paged", &total, next).await;
    assert_eq!(rows, numbered(15));
    let shown = evidence(&marker);
    assert!(shown.contains("pager_ended") && shown.contains("total_agreed"), "{shown}");
    site.fails("/broken", GRID, next, "transient", &["page 2 of the grid shows no row"]).await;
    // a selector that meets nothing proves nothing
    let (marker, rows) = site.good("/both", GRID, next).await;
    assert_eq!(rows, numbered(1));
    let shown = evidence(&marker);
    assert!(shown.contains("single_page") && !shown.contains("pager_ended"), "{shown}");
    let (marker, _) = site.good("/unnamed", GRID, "").await;
    assert!(evidence(&marker).contains("single_page"), "{marker:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_still_loading_are_waited_for() {
    let site = Site::new(answer as Answer).await;
    let (marker, rows) = site.good("/virtual", GRID, "").await;
    let value = |n: usize| if n.is_multiple_of(9) { format!("{n}=NULL") } else { format!("{n}=v{n}") };
    assert_eq!(rows, (1..=120).map(value).collect::<Vec<_>>());
    let shown = evidence(&marker);
    assert!(shown.contains("grid_row_count") && shown.contains("scrolled_to_end"), "{shown}");
    site.fails("/never", GRID, "", "transient", &["row ", "of the grid"]).await;
    let (marker, rows) = site.good("/endless", GRID, "").await;
    assert_eq!(rows, numbered(60));
    assert!(evidence(&marker).contains("scrolled_to_end"), "{marker:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_says_that_there_are_no_rows_is_believed_unless_it_shows_some() {
    let site = Site::new(answer as Answer).await;
    let read = format!("{GRID}, empty: \"#none\"");
    let (marker, rows) = site.good("/empty", &read, "").await;
    assert_eq!(rows, [] as [&str; 0]);
    let shown = evidence(&marker);
    assert!(shown.contains("empty_shown") && shown.contains("No data"), "{shown}");
    site.fails("/both", &read, "", "transient", &["the page shows `No data`", "rows in #t as well"]).await;
    site.fails("/empty", GRID, "", "transient", &["no row came", "`empty: SELECTOR`"]).await;
}
