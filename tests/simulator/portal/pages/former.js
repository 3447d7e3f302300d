// The report as it was before it had a frame: the same slicers, and a plain table with pages.

import { mountSlicers } from "/powerbi/assets/slicers.js";

const config = JSON.parse(document.getElementById("config").textContent);
document.getElementById("account").textContent = config.user;

const table = document.querySelector(".pivotTable");
const failure = document.querySelector(".visualError");
const pager = document.getElementById("pager");
const filter = { first: config.first, last: config.last, status: null };
// a refresh that was overtaken by another one is dropped
let latest = 0;

// A table of one page has no pager.
function mountPager(page, pages) {
  pager.replaceChildren();
  if (pages < 2) {
    return;
  }
  pager.className = "pager";
  const place = document.createElement("span");
  place.textContent = `Page ${page} of ${pages}`;
  const next = document.createElement("button");
  next.type = "button";
  next.textContent = "›";
  next.setAttribute("aria-label", "Next page");
  next.disabled = page === pages;
  next.addEventListener("click", () => show(page + 1));
  pager.append(place, next);
}

async function show(page) {
  latest += 1;
  const mine = latest;
  table.setAttribute("aria-busy", "true");
  const { first, last, status } = filter;
  const asked = new URLSearchParams({ first, last, page, ...(status && { status }) });
  const answer = await fetch(`/powerbi/reports/network-obs/rows?${asked}`);
  if (answer.status === 401) {
    const here = location.pathname + location.search;
    location.assign(`/powerbi/login?return=${encodeURIComponent(here)}`);
    return;
  }
  const html = await answer.text();
  if (mine !== latest) {
    return;
  }
  failure.hidden = answer.ok;
  failure.textContent = answer.ok ? "" : "Couldn't load the data for this table.";
  table.tBodies[0].innerHTML = answer.ok ? html : "";
  mountPager(page, answer.ok ? Number(answer.headers.get("x-pages")) : 1);
  table.setAttribute("aria-busy", "false");
}

// What the simulation shall do with the filter that was just applied.
async function isLost({ first, last }) {
  const answer = await fetch(`/powerbi/behaviour?${new URLSearchParams({ applied: true, first, last })}`);
  return answer.ok && (await answer.json()).includes("filter_lost");
}

const slicers = mountSlicers(document.getElementById("slicers"), {
  shown: { first: config.first, last: config.last },
  statuses: config.statuses,
  swapped: false,
  onDays: async (first, last, text) => {
    if (await isLost({ first, last })) {
      return;
    }
    Object.assign(filter, { first, last });
    slicers.sayDays(text);
    await show(1);
  },
  onStatus: async (status) => {
    filter.status = status;
    await show(1);
  },
});
show(1);
