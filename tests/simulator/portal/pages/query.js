// The page's own query: its body as Power BI writes it, its answer decoded into rows.

const config = JSON.parse(document.getElementById("config").textContent);
const COUNT = 30000;
const [AT_LEAST, LESS] = [2, 3];

const column = (property) => ({
  Column: { Expression: { SourceRef: { Source: "n" } }, Property: property },
});

const dayAfter = (day) => new Date(Date.parse(day) + 86400000).toISOString().slice(0, 10);

function compare(kind, day) {
  const literal = { Literal: { Value: `datetime'${day}T00:00:00'` } };
  return { Comparison: { ComparisonKind: kind, Left: column("Timestamp"), Right: literal } };
}

function where({ first, last, status }) {
  const range = { And: { Left: compare(AT_LEAST, first), Right: compare(LESS, dayAfter(last)) } };
  const conditions = [{ Condition: range }];
  if (status) {
    const literal = { Literal: { Value: `'${status}'` } };
    conditions.push({ Condition: { In: { Expressions: [column("Status")], Values: [[literal]] } } });
  }
  return conditions;
}

function command(select, filter, window) {
  const projections = select.map((_, index) => index);
  return {
    Query: {
      Commands: [
        {
          SemanticQueryDataShapeCommand: {
            Query: {
              Version: 2,
              From: [{ Name: "n", Entity: "Network", Type: 0 }],
              Select: select,
              Where: where(filter),
            },
            Binding: {
              Primary: { Groupings: [{ Projections: projections }] },
              DataReduction: { DataVolume: 3, Primary: { Window: window } },
              Version: 1,
            },
          },
        },
      ],
    },
    QueryId: "",
    ApplicationContext: { DatasetId: "network", Sources: [{ ReportId: "network-obs", VisualId: "figures" }] },
  };
}

const ROWS = config.columns.map((name) => ({ ...column(name), Name: `Network.${name}` }));
const TOTAL = [
  { Aggregation: { Expression: column("Metric"), Function: 5 }, Name: "CountNonNull(Network.Metric)" },
];

// Rows of a data set: R repeats the row before, Ø is null, all else comes from C.
function decode(data) {
  const set = data.dsr.DS[0];
  const rows = [];
  let schema = [];
  let before = [];
  for (const row of set.PH[0].DM0) {
    schema = row.S ?? schema;
    const changed = row.C.values();
    before = schema.map(({ DN }, index) => {
      const bit = 2 ** index;
      if (row.R & bit) {
        return before[index];
      }
      if (row["Ø"] & bit) {
        return null;
      }
      const { value } = changed.next();
      return DN !== undefined && Number.isInteger(value) ? set.ValueDicts[DN][value] : value;
    });
    rows.push(before);
  }
  const places = data.descriptor.Select.map(({ Value }) => schema.findIndex(({ N }) => N === Value));
  return { rows: rows.map((row) => places.map((place) => row[place])), tokens: set.RT ?? null };
}

export class SignedOut extends Error {}

// Asks for rows, from `tokens` on where an earlier answer was cut, and for the card's total where `total` says so.
export async function query(filter, { tokens = null, total = false } = {}) {
  const window = tokens ? { Count: COUNT, RestartTokens: tokens } : { Count: COUNT };
  const queries = [command(ROWS, filter, window)];
  if (total) {
    queries.unshift(command(TOTAL, filter, { Count: 1 }));
  }
  const headers = { "content-type": "application/json" };
  if (config.token) {
    headers.authorization = `EmbedToken ${config.token}`;
  }
  const body = JSON.stringify({ version: "1.0.0", queries, cancelQueries: [], modelId: 1 });
  const answer = await fetch("/powerbi/querydata?synchronous=true", { method: "POST", headers, body });
  if (answer.status === 401) {
    throw new SignedOut();
  }
  if (!answer.ok) {
    throw new Error(`Couldn't load the data for this visual (${answer.status}).`);
  }
  const parsed = await answer.json();
  if (parsed["odata.error"]) {
    throw new Error(parsed["odata.error"].message.value);
  }
  const data = parsed.results.map(({ result }) => result.data);
  return { ...decode(data.at(-1)), total: total ? decode(data[0]).rows[0][0] : null };
}

// made once: a formatter costs more than a screen full of texts
const TIME = new Intl.DateTimeFormat("en-US", {
  timeZone: "UTC",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
  second: "2-digit",
});
const NUMBER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 10 });

// As the visual shows it: `8/1/2025 12:15:00 AM`, `1,234.56`, nothing for null.
export function written(name, value) {
  if (value === null) {
    return "";
  }
  if (name === "Timestamp") {
    // newer browsers put a narrow blank before AM
    return TIME.format(value).replace(",", "").replace("\u202f", " ");
  }
  return typeof value === "number" ? NUMBER.format(value) : value;
}
