// Two slicers: days and status. Each is a button that opens a pop-up.

// What the last human typed into the date fields and left there.
const LEFT_BEHIND = ["2025-07-01", "2025-07-31"];
const LATER = 60;

function element(tag, fields, ...children) {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
}

function slicer(title, text) {
  const button = element("button", { type: "button", className: "slicerButton", textContent: text });
  button.setAttribute("aria-label", title);
  button.setAttribute("aria-expanded", "false");
  const label = element("span", { className: "slicerTitle", textContent: title.replace(" Filter", "") });
  return { button, box: element("div", { className: "slicer" }, label, button), title };
}

function close() {
  document.querySelector(".slicerPopup")?.remove();
  document.querySelectorAll(".slicerButton").forEach((button) => button.setAttribute("aria-expanded", "false"));
}

// Opens a pop-up with one option for each text, or closes it.
function toggle({ button, box, title }, texts, choose) {
  const open = button.getAttribute("aria-expanded") === "true";
  close();
  if (open) {
    return;
  }
  button.setAttribute("aria-expanded", "true");
  setTimeout(() => {
    if (button.getAttribute("aria-expanded") !== "true" || document.querySelector(".slicerPopup")) {
      return;
    }
    const popup = element("div", { className: "slicerPopup" });
    popup.setAttribute("role", "listbox");
    popup.setAttribute("aria-label", `${title} options`);
    for (const text of texts) {
      const option = element("div", { className: "option" }, element("span", { textContent: text }));
      option.setAttribute("role", "option");
      option.addEventListener("click", () => choose(text, popup));
      popup.append(option);
    }
    box.append(popup);
  }, LATER);
}

const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));

// The two date fields. What counts is what their events said: a value set behind their back is not seen.
function range(popup, typed, apply) {
  const fields = [0, 1].map((n) => {
    const name = ["startDate", "endDate"][n];
    const input = element("input", { id: name, type: "text", value: typed[n], autocomplete: "off" });
    const note = () => (typed[n] = input.value);
    input.addEventListener("input", note);
    input.addEventListener("change", note);
    return element("label", { textContent: ["From", "To"][n] }, input);
  });
  const error = element("p", { className: "slicerError", hidden: true });
  error.setAttribute("role", "alert");
  const button = element("button", { type: "button", className: "primary", textContent: "Apply" });
  button.addEventListener("click", () => {
    const [first, last] = typed.map((text) => text.trim());
    if (isDay(first) && isDay(last) && first <= last) {
      close();
      apply(first, last);
    } else {
      error.textContent = "Enter two dates as YYYY-MM-DD, the earlier one first.";
      error.hidden = false;
    }
  });
  popup.querySelector(".customRange")?.remove();
  popup.append(element("div", { className: "customRange" }, ...fields, error, button));
}

// Mounts both into `parent`. `onDays(first, last)` and `onStatus(status or null)` say what was chosen.
export function mountSlicers(parent, { shown, statuses, swapped, onDays, onStatus }) {
  const days = slicer("Date Filter", "Last 7 days");
  const typed = [...LEFT_BEHIND];
  days.button.addEventListener("click", () =>
    toggle(days, ["Last 7 days", "Custom Range"], (text, popup) => {
      if (text === "Custom Range") {
        setTimeout(() => range(popup, typed, (first, last) => onDays(first, last, `${first} – ${last}`)), LATER);
      } else {
        close();
        onDays(shown.first, shown.last, text);
      }
    }),
  );
  const status = slicer("Status Filter", "All");
  status.button.addEventListener("click", () =>
    toggle(status, ["All", ...statuses], (text) => {
      close();
      status.button.textContent = text;
      onStatus(text === "All" ? null : text);
    }),
  );
  const boxes = [days.box, status.box];
  parent.append(...(swapped ? boxes.reverse() : boxes));
  return { sayDays: (text) => (days.button.textContent = text) };
}
