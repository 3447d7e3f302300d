// The menu of the visual, and the dialog that exports it.

const config = JSON.parse(document.getElementById("config").textContent);

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

const DIALOG = `
  <div class="shade"><div class="dialog" role="dialog" aria-modal="true" aria-labelledby="exportTitle">
    <h2 id="exportTitle">Which data do you want to export?</h2>
    <label>File format
      <select id="exportFormat"><option value="csv">.csv (at most 30,000 rows)</option
      ><option value="xlsx">.xlsx (at most 150,000 rows)</option></select>
    </label>
    <div class="buttons"><button type="button" class="primary">Export</button><button type="button">Cancel</button></div>
  </div></div>`;

function openDialog(filter) {
  const shade = made(DIALOG.trim());
  const [go, cancel] = shade.querySelectorAll("button");
  go.addEventListener("click", () => {
    const { first, last, status } = filter();
    const query = new URLSearchParams({ format: shade.querySelector("select").value, first, last });
    for (const [name, value] of Object.entries({ status, token: config.token })) {
      if (value) {
        query.set(name, value);
      }
    }
    shade.remove();
    setTimeout(() => location.assign(`/powerbi/export?${query}`), 200);
  });
  cancel.addEventListener("click", () => shade.remove());
  document.body.append(shade);
}

// `filter()` says what is shown just now.
export function mountMenu(button, filter) {
  let menu = null;
  const close = () => {
    menu?.remove();
    menu = null;
  };
  button.addEventListener("click", () => {
    if (menu) {
      close();
      return;
    }
    menu = made('<div class="menu" role="menu"></div>');
    const items = ["Spotlight", ...(config.exports ? ["Export data"] : []), "Sort ascending"];
    for (const text of items) {
      const item = made('<button type="button" role="menuitem"></button>');
      item.textContent = text;
      item.addEventListener("click", () => {
        close();
        if (text === "Export data") {
          setTimeout(() => openDialog(filter), 60);
        }
      });
      menu.append(item);
    }
    button.after(menu);
  });
}
