//! Clock and language are the source's: in pages, frames, workers and tabs, whatever the worker's host has.

use super::{pages::Pages, text};

/// Draws an instant and a number as its browser does: one row by the page, one by a frame of another origin, one by a
/// worker, after it has loaded itself again.
const CLOCK: &str = r##"<table id=t><thead><tr><th>Timestamp<th>Metric<th>Value<th>Status</thead><tbody></tbody></table>
<iframe src="http://localhost:PORT/inner" hidden></iframe>
<script>
const say = (self) => {
  const at = new Date(Date.UTC(2025, 7, 1, 6, 30));
  return [at.getHours() + ':' + at.getMinutes(), self.navigator.language, (1234.5).toLocaleString(), at.toLocaleDateString()].join('|');
};
const row = (hour, what) => {
  const line = document.querySelector('#t tbody').insertRow();
  for (const text of [`2025-08-01T${hour}:00:00`, what, '1', 'ok']) line.insertCell().textContent = text;
};
if (!sessionStorage.again) {
  sessionStorage.again = 1;
  location.reload();
} else {
  row('01', say(window));
  addEventListener('message', ({ data }) => row('02', data));
  const script = `const say = ${say}; postMessage(say(self))`;
  new Worker(URL.createObjectURL(new Blob([script]))).onmessage = ({ data }) => row('03', data);
}
</script>"##;
const INNER: &str = r"<script>
const at = new Date(Date.UTC(2025, 7, 1, 6, 30));
parent.postMessage([at.getHours() + ':' + at.getMinutes(), navigator.language, (1234.5).toLocaleString(), at.toLocaleDateString()].join('|'), '*');
</script>";

#[tokio::test(flavor = "multi_thread")]
async fn clock_and_language_are_the_sources_own_in_pages_frames_workers_and_tabs() {
    let host =
        [("TZ", "America/New_York"), ("LANG", "fr_FR.UTF-8"), ("LANGUAGE", "fr"), ("LC_ALL", "fr_FR.UTF-8")];
    let pages = Pages::new(&host).await;
    pages.page("/clock", CLOCK);
    pages.page("/inner", INNER);
    pages.page("/link", "<a id=go href=/clock target=_blank>open</a>");
    pages.page("/script", r#"<button id=go onclick="window.open('/clock')">open</button>"#);
    let third = "wait_for: \"#t tbody tr:nth-child(3)\"";
    // 6:30 UTC is 12:00 in India and 15:30 in Japan
    let ours = ["12:0|en-US|1,234.5|8/1/2025"; 3];
    let theirs = ["15:30|de-DE|1.234,5|1.8.2025"; 3];
    let tokyo = "browser: { timezone: Asia/Tokyo, locale: de-DE }";
    for (settings, facts, zone, locale) in
        [("", ours, "Asia/Kolkata", "en-US"), (tokyo, theirs, "Asia/Tokyo", "de-DE")]
    {
        for (path, steps) in [
            ("/clock", &[third][..]),
            ("/link", &["click: \"#go\"", third]),
            ("/script", &["click: \"#go\"", third]),
        ] {
            let marker = pages.good(path, settings, steps).await;
            assert_eq!(pages.table("metric").await, facts, "{path} {settings}");
            assert_eq!(text(&marker, "/outcome/browser/timezone"), zone, "{marker:#}");
            assert_eq!(text(&marker, "/outcome/browser/locale"), locale, "{marker:#}");
            let asked = pages.language("/clock").unwrap();
            assert!(asked.starts_with(locale), "{path}: {asked}");
        }
    }
}
