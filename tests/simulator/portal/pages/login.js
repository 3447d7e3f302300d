// The login in steps: one page, one button, which means something else at each step.

const config = JSON.parse(document.getElementById("config").textContent);
const byId = (id) => document.getElementById(id);
const [email, password, next, back] = ["i0116", "i0118", "idSIButton9", "idBtn_Back"].map(byId);

let step = null;
let account = "";
let ticket = null;

const pause = (from, to) => new Promise((done) => setTimeout(done, from + Math.random() * (to - from)));

// A field that is not asked for stays in the document, off the screen, as the real one does for password managers.
function place(field, shown) {
  field.classList.toggle("offscreen", !shown);
  field.tabIndex = shown ? 0 : -1;
  if (shown) {
    field.removeAttribute("aria-hidden");
  } else {
    field.setAttribute("aria-hidden", "true");
  }
}

function say(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

const steps = {
  account: { heading: "Pick an account", tiles: true },
  email: { heading: "Sign in", field: email, button: "Next" },
  password: { heading: "Enter password", field: password, button: "Sign in" },
  stay: {
    heading: "Stay signed in?",
    text: "Do this to reduce the number of times you are asked to sign in.",
    button: "Yes",
    back: "No",
  },
  approve: {
    heading: "Approve sign in request",
    text: "Open your Authenticator app, and enter the number shown to sign in: 42",
  },
  more_information: {
    heading: "More information required",
    text: "Your organization needs more information to keep your account secure.",
    button: "Next",
  },
};

async function show(name) {
  step = null;
  const { heading, field, button, text, tiles } = steps[name];
  next.hidden = true;
  back.hidden = true;
  await pause(50, 150);
  byId("loginHeader").textContent = heading;
  byId("identity").textContent = account;
  byId("identity").hidden = !account || name === "email" || name === "account";
  say("explanation", text ?? "");
  say("usernameError", "");
  say("passwordError", "");
  byId("tiles").hidden = !tiles;
  place(email, field === email);
  place(password, field === password);
  password.value = "";
  next.value = button ?? "";
  next.hidden = !button;
  back.hidden = !steps[name].back;
  step = name;
  field?.focus();
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return answer.json();
}

async function lookUp() {
  const typed = email.value.trim();
  if (!typed.includes("@")) {
    say("usernameError", "Enter a valid email address, phone number, or Skype name.");
    return;
  }
  const { exists } = await post("/powerbi/login/lookup", { loginfmt: typed });
  if (exists) {
    account = typed;
    await show("password");
  } else {
    say("usernameError", "We couldn't find an account with that username. Try another, or get a new account.");
  }
}

async function signIn() {
  if (!password.value) {
    say("passwordError", "Please enter your password.");
    return;
  }
  const answer = await post("/powerbi/login", { loginfmt: account, passwd: password.value });
  if (answer.next === "password") {
    password.value = "";
    say("passwordError", "Your account or password is incorrect. If you don't remember your password, reset it now.");
    return;
  }
  ticket = answer.ticket ?? null;
  await goOn(answer.next);
}

async function answerStay(stay) {
  const answer = await post("/powerbi/login/stay", { ticket, stay });
  await goOn(answer.next);
}

async function goOn(to) {
  if (to === "signed_in") {
    step = null;
    await pause(50, 150);
    location.assign(config.back);
  } else {
    await show(to);
  }
}

// A click while a step is still on its way does nothing, as on the real page.
let busy = false;
async function once(act) {
  if (busy) {
    return;
  }
  busy = true;
  try {
    await act();
  } finally {
    busy = false;
  }
}

byId("i0281").addEventListener("submit", (event) => {
  event.preventDefault();
  const act = { email: lookUp, password: signIn, stay: () => answerStay(true) }[step];
  if (act) {
    once(act);
  }
});
back.addEventListener("click", () => step === "stay" && once(() => answerStay(false)));

function tile(id, name, detail, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tile";
  button.dataset.testId = id;
  for (const text of [name, detail]) {
    const line = document.createElement("div");
    line.textContent = text;
    button.append(line);
  }
  button.addEventListener("click", () => once(act));
  byId("tiles").append(button);
}

for (const known of config.accounts) {
  tile(known, known, "Signed out", async () => {
    account = known;
    email.value = known;
    await show("password");
  });
}
tile("otherTile", "Use another account", "", () => show("email"));

show(config.accounts.length > 0 ? "account" : "email");
