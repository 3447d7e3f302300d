// The page around the report: mounts the frame, and goes to the login when the frame says that nobody is signed in.

const config = JSON.parse(document.getElementById("config").textContent);
document.getElementById("account").textContent = config.user;

addEventListener("message", (event) => {
  if (event.data?.portal === "signed_out") {
    const here = location.pathname + location.search;
    location.assign(`/powerbi/login?return=${encodeURIComponent(here)}`);
  }
});

function mount() {
  if (config.frame === null) {
    return;
  }
  const frame = document.createElement("iframe");
  frame.id = "report";
  frame.title = "Report";
  frame.src = config.frame;
  frame.addEventListener("load", () => document.querySelector(".spinner")?.remove());
  document.getElementById("stage").append(frame);
}

setTimeout(mount, 150);
if (config.dialog) {
  setTimeout(() => alert("A newer version of this report is available."), 50);
}
