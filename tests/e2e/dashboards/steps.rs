//! Steps on pages of all kinds: what they do to the page, where they lead, and what is said of those that fail.

use super::pages::{Pages, rows};

const GO: &str = "click: \"#go\"";

#[tokio::test(flavor = "multi_thread")]
async fn mouse_and_keys_are_real_so_menus_open_and_handlers_that_ignore_scripts_work() {
    let pages = Pages::new(&[]).await;
    let menu = |show: &str, value: u32| {
        format!(
            "<style>#m {{ position: relative; width: 200px; height: 30px }} #sub {{ display: none; position: absolute; top: 30px }} \
             #m:hover #sub {{ display: block }}</style><div id=m>Menu<div id=sub><a id=item href='#'>Show</a></div></div><div id=o></div>\
             <script>item.{show} = (event) => {{ event.preventDefault(); if (event.isTrusted) o.innerHTML = `{}`; }}</script>",
            rows(value)
        )
    };
    // drawn by the style alone
    pages.page("/style", &menu("onclick", 1));
    // opened by a script that takes real events alone, and chosen by the press and not by the click
    let script = format!(
        "<div id=m style='width: 200px'>Menu</div><button id=item hidden>Show</button><div id=o></div><script>\
         m.addEventListener('pointerenter', (event) => {{ if (event.isTrusted) item.hidden = false; }});\
         item.addEventListener('pointerdown', (event) => {{ if (event.isTrusted && event.pointerType === 'mouse') o.innerHTML = `{}`; }});</script>",
        rows(2)
    );
    pages.page("/script", &script);
    // in a frame that lies elsewhere in the page, below what is in view
    pages.page("/inner", &menu("onclick", 3));
    pages.page("/frame", "<div style='height: 1500px'></div><iframe id=f src=http://localhost:PORT/inner style='margin-left: 70px; border: 9px solid; width: 500px; height: 300px; transform: scale(0.8)'></iframe>");
    let chosen = ["hover: \"#m\"", "click: \"#item\""];
    for (path, settings, value) in
        [("/style", "", "1"), ("/script", "", "2"), ("/frame", "frame: \"#f\"", "3")]
    {
        pages.good(path, settings, &chosen).await;
        assert_eq!(pages.table("value::int").await, [value; 2], "{path}");
    }
    // a key, in the field that has the focus
    let field = format!(
        "<input id=q><div id=o></div><script>q.onkeydown = (event) => {{ \
         if (event.isTrusted && event.key === 'Enter' && event.code === 'Enter' && q.value === 'x') o.innerHTML = `{}`; }}</script>",
        rows(4)
    );
    pages.page("/key", &field);
    pages.good("/key", "", &["fill: { selector: \"#q\", text: x }", "press: { key: Enter }"]).await;
    assert_eq!(pages.table("value::int").await, ["4"; 2]);
    // covered for a moment, and for ever
    let covered = |value: u32, script: &str| {
        format!(
            "<button id=go>Go</button><div id=o></div><div id=c style='position: fixed; inset: 0; background: #0003'></div>\
             <script>go.onclick = (event) => {{ o.innerHTML = `{}`; o.title = event.isTrusted; }}; {script}</script>",
            rows(value)
        )
    };
    pages.page("/moment", &covered(5, "setTimeout(() => c.remove(), 900)"));
    pages.page("/ever", &covered(6, ""));
    pages.good("/moment", "", &[GO, "wait_for: \"#o[title=true]\""]).await;
    assert_eq!(pages.table("value::int").await, ["5"; 2]);
    pages.good("/ever", "", &[GO, "wait_for: \"#o[title=false]\""]).await;
    assert_eq!(pages.table("value::int").await, ["6"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_opens_in_a_new_tab_is_followed() {
    let pages = Pages::new(&[]).await;
    let asks = |value: u32| {
        format!(
            "<div id=o></div><script>fetch('/slow').then(() => {{ o.innerHTML = `{}`; }});</script>",
            rows(value)
        )
    };
    let button = |script: &str| format!("<button id=go>Open</button><script>go.onclick = {script}</script>");
    for value in 1..=4 {
        pages.page(&format!("/report{value}"), &asks(value));
    }
    pages.page("/link", "<a id=go href=/report1 target=_blank rel=noopener>Open</a>");
    pages.page(
        "/late",
        &button("async () => { await fetch('/slow'); setTimeout(() => window.open('/report2'), 200); }"),
    );
    pages.page(
        "/blank",
        &button(
            "() => { const tab = window.open(''); setTimeout(() => { tab.location = '/report3'; }, 500); }",
        ),
    );
    pages.page("/form", "<form method=post action=/report4 target=_blank><button id=go>Open</button></form>");
    pages.page("/ad", "Buy!");
    let read_at_once: &[&str] = &[GO];
    let waits: &[&str] = &[GO, "wait_for: \"#t\""];
    for (path, steps, value) in [
        ("/link", read_at_once, "1"),
        ("/late", read_at_once, "2"),
        ("/late", waits, "2"),
        ("/blank", waits, "3"),
        ("/form", waits, "4"),
    ] {
        pages.good(path, "", steps).await;
        assert_eq!(pages.table("value::int").await, [value; 2], "{path}");
    }
    // the next chunk begins in the browser's own tab
    pages.page("/own", &rows(9));
    pages.good("/own", "", &[]).await;
    assert_eq!(pages.table("value::int").await, ["9"; 2]);
    // a failure there says that a tab opened
    pages.page("/wrong", "<a id=go href=/ad target=_blank>Open</a>");
    pages.bad("/wrong", "", waits, &["nothing to be seen at #t", "the page opened a tab", "/ad"]).await;
    pages.page("/down", "<a id=go href=/fails target=_blank>Open</a>");
    pages.bad("/down", "", waits, &["/fails answers 500", "the page opened a tab"]).await;
    pages.page("/gone", "<a id=go href=http://127.0.0.1:1/ target=_blank>Open</a>");
    pages.bad("/gone", "", waits, &["the page opened a tab", "cannot be reached"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_document_that_was_left_and_streams_do_not_count_and_those_after_a_click_do() {
    let pages = Pages::new(&[]).await;
    pages.page(
        "/left",
        "<a id=go href=/next>Next</a><script>fetch('/hang'); fetch('/hang?2').catch(() => null);</script>",
    );
    pages.page("/next", &rows(1));
    pages.good("/left", "", &[GO, "wait_for: \"#t\""]).await;
    assert_eq!(pages.table("value::int").await, ["1"; 2]);
    // a frame that is taken away, with what it asked for
    pages.page(
        "/frame",
        &format!(
            "<iframe id=f src=/hangs></iframe>{}<script>setTimeout(() => f.remove(), 800)</script>",
            rows(2)
        ),
    );
    pages.page("/hangs", "<script>fetch('/hang')</script>");
    pages.good("/frame", "", &["wait_gone: \"#f\""]).await;
    assert_eq!(pages.table("value::int").await, ["2"; 2]);
    pages.page(
        "/streams",
        &format!("{}<script>new EventSource('/events'); fetch('/events');</script>", rows(3)),
    );
    pages.good("/streams", "", &[]).await;
    assert_eq!(pages.table("value::int").await, ["3"; 2]);
    // the rows are there already, and are replaced a while after the click
    let replaced = format!(
        "<button id=go>Go</button><div id=o>{}</div><script>go.onclick = () => setTimeout(async () => {{ await fetch('/slow'); o.innerHTML = `{}`; }}, 500)</script>",
        rows(4),
        rows(5)
    );
    pages.page("/click", &replaced);
    pages.good("/click", "", &[GO]).await;
    assert_eq!(pages.table("value::int").await, ["5"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_source_file_fail_at_the_first_try_and_those_of_the_page_do_not() {
    let pages = Pages::new(&[]).await;
    pages.page("/plain", &format!("<div id=d>text</div><input type=date id=day>{}", rows(1)));
    for (step, said) in [
        ("click: \"#nope\"", "nothing to be seen at #nope"),
        ("fill: { selector: \"#nope\", text: x }", "nothing to be seen at #nope"),
        ("fill: { selector: \"#d\", text: x }", "#d is not a text field, it is <div>"),
        ("fill: { selector: \"#day\", text: \"{start:%d/%m/%Y}\" }", "does not take `01/08/2025`"),
        ("select: { selector: \"#d\", option: x }", "#d is not a select element"),
        ("click: \"#1\"", "not a valid selector"),
        ("click: \"//a[@]\"", "not a valid XPath"),
        ("apply_filter: { label: Day, fill: { \"#nope\": \"{start:%F}\" } }", "no filter labelled Day"),
    ] {
        let attempt = pages.bad("/plain", "", &[step], &["config: step 2", said]).await;
        assert_eq!(attempt, "1", "{step}");
    }
    // a page that is broken may be whole the next time
    let click: &[&str] = &["click: \"#nope\""];
    for (path, html, said) in [
        ("/request", "<script>fetch('/fails')</script>", "/fails was answered with 500"),
        ("/part", "<script src=/fails></script>", "/fails was answered with 500"),
        (
            "/error",
            "<script>nothing.at.all()</script>",
            "its script reported `ReferenceError: nothing is not defined",
        ),
        ("/busy", "<script>fetch('/hang')</script>", "still asks"),
    ] {
        pages.page(path, html);
        let attempt =
            pages.bad(path, "", click, &["transient: step 2", "the page was reached, but", said]).await;
        assert_eq!(attempt, "2", "{path}");
    }
    // rows that do not come may come the next day; and that is not a page that cannot be reached
    pages.page("/empty", "no rows today");
    let waits: &[&str] = &["wait_for: \"#t\""];
    let attempt = pages
        .bad("/empty", "", waits, &["nothing to be seen at #t; the page was reached and is at rest"])
        .await;
    assert_eq!(attempt, "2");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let exit = pages.run_with("/", "", waits, &dead).await;
    assert_eq!(exit.code, Some(1), "{}", exit.stdout);
    for said in [&*dead, "the page cannot be reached: net::ERR_CONNECTION_REFUSED"] {
        assert!(exit.stdout.contains(said), "{said}: {}", exit.stdout);
    }
    assert!(!exit.stdout.contains("was reached"), "{}", exit.stdout);
}
