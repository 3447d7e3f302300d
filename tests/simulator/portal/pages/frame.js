// The report in its frame: slicers, a visual that refreshes, a menu.

import { mountMenu } from "/powerbi/assets/export.js";
import { Grid } from "/powerbi/assets/grid.js";
import { query, SignedOut } from "/powerbi/assets/query.js";
import { mountSlicers } from "/powerbi/assets/slicers.js";
import { Table } from "/powerbi/assets/table.js";

const config = JSON.parse(document.getElementById("config").textContent);
const pause = (millis) => new Promise((done) => setTimeout(done, millis));
const failure = document.querySelector(".visualError");

const filter = { first: config.first, last: config.last, status: null };
let visual = null;
let slicers = null;
// restart tokens of an answer that was cut
let tokens = null;
// a refresh that was overtaken by another one is dropped
let latest = 0;
const behaviour = new Set();

const busy = (is) => visual.element.setAttribute("aria-busy", String(is));

// How the simulation shall behave next; what it says about the visual holds until the page is loaded again.
async function behave(applied, { first, last }) {
  const answer = await fetch(`/powerbi/behaviour?${new URLSearchParams({ applied, first, last })}`);
  const kinds = answer.ok ? await answer.json() : [];
  kinds.filter((kind) => kind.endsWith("rowcount")).forEach((kind) => behaviour.add(kind));
  return new Set(kinds);
}

function loopForEver() {
  for (;;) {
    latest += 0;
  }
}

// Big arrays until the script's heap, some GB, is full: the quickest way to lose a tab.
function eatMemory() {
  const eaten = [];
  for (;;) {
    eaten.push(new Array(1 << 22).fill(0.5));
  }
}

async function refresh(kinds) {
  latest += 1;
  const mine = latest;
  busy(true);
  try {
    let answer = await query(filter, { total: kinds.has("several_queries") });
    let { rows } = answer;
    while (config.visual === "table" && answer.tokens) {
      answer = await query(filter, { tokens: answer.tokens });
      rows = rows.concat(answer.rows);
    }
    if (mine === latest) {
      present(rows, answer);
    }
  } catch (error) {
    if (mine === latest) {
      fail(error);
    }
  }
  if (mine === latest) {
    busy(false);
  }
}

function present(rows, answer) {
  failure.hidden = true;
  tokens = answer.tokens;
  document.getElementById("cardTotal").textContent =
    answer.total === null ? "" : `${answer.total.toLocaleString("en-US")} figures in all`;
  visual.show(rows, { grows: behaviour.has("growing_rowcount"), uncounted: behaviour.has("wrong_rowcount") });
}

function fail(error) {
  if (error instanceof SignedOut) {
    parent.postMessage({ portal: "signed_out" }, "*");
    return;
  }
  tokens = null;
  visual.show([], {});
  failure.textContent = error.message;
  failure.hidden = false;
}

// The rest of an answer that was cut, once somebody has scrolled to its end.
async function more() {
  if (!tokens) {
    return;
  }
  const [mine, from] = [latest, tokens];
  tokens = null;
  try {
    const answer = await query(filter, { tokens: from });
    if (mine === latest) {
      tokens = answer.tokens;
      visual.append(answer.rows);
    }
  } catch (error) {
    fail(error);
  }
}

async function applyDays(first, last, text) {
  busy(true);
  const kinds = await behave(true, { first, last });
  if (kinds.has("hang")) {
    loopForEver();
  }
  if (kinds.has("oom")) {
    eatMemory();
  }
  if (kinds.has("filter_lost")) {
    busy(false);
    return;
  }
  Object.assign(filter, { first, last });
  slicers.sayDays(text);
  await refresh(kinds);
}

async function applyStatus(status) {
  busy(true);
  filter.status = status;
  await refresh(await behave(false, filter));
}

async function start() {
  fetch("/powerbi/conceptualschema");
  await pause(120);
  slicers = mountSlicers(document.getElementById("slicers"), {
    shown: { first: config.first, last: config.last },
    statuses: config.statuses,
    swapped: config.swapped,
    onDays: applyDays,
    onStatus: applyStatus,
  });
  const data = document.getElementById("data");
  visual = config.visual === "table" ? new Table(data, config.columns) : new Grid(data, config.columns, more);
  mountMenu(document.querySelector("[aria-label='More options']"), () => filter);
  busy(true);
  await refresh(await behave(false, filter));
}

start();
