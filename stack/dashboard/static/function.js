// The log of a function's deploys, which is a live part of each of its pages: when it is shown.

const panel = document.getElementById("deploy-panel");
// The deploy whose end is no news: it had ended before the page was opened, or was told of.
let told = panel.dataset.known;

// On a phone the tabs are wider than the screen.
const tab = document.querySelector(".tabs [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;

function open() {
  if (!panel.hidden) return;
  panel.hidden = false;
  panel.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target === panel) open();
});
document.addEventListener("htmx:sseMessage", ({ target }) => {
  if (target !== panel) return;
  const { begun, result } = panel.firstElementChild.dataset;
  if (!begun || begun === told) return;
  // A deploy that somebody else began is shown as well.
  open();
  if (result === "running") return;
  told = begun;
  document.dispatchEvent(new Event("deployed"));
});
panel.addEventListener("click", ({ target }) => {
  if (target.closest("[data-deploy-close]")) panel.hidden = true;
});

// What somebody has written is saved before something is done with the folder as it is; what saves adds a promise.
document.addEventListener("htmx:confirm", async (event) => {
  if (!event.detail.elt.matches("[data-saves-first]")) return;
  const before = [];
  document.dispatchEvent(new CustomEvent("before-deploy", { detail: before }));
  if (!before.length) return;
  event.preventDefault();
  if (!(await Promise.all(before)).includes(false)) event.detail.issueRequest(true);
});
