// The functions: their figures live, found as one types, and what can be done from here.

import { bytes, confirm, count, milliseconds, rate, send, toast } from "./app.js";
import { watch } from "./live.js";

const list = () => document.getElementById("functions-list");
const rows = () => [...document.querySelectorAll("[data-row]")];
const search = document.querySelector("[data-search]");

// --- Figures --------------------------------------------------------------------------------------------------------

let latest = {};

watch("functions", (functions) => {
  latest = functions;
  const known = rows().map((row) => `${row.dataset.row} ${row.closest("[data-group]").dataset.group}`);
  const wanted = Object.entries(functions).map(([name, one]) => `${name} ${one.project}`);
  if (known.toSorted().join() === wanted.toSorted().join()) fill();
  else refresh();
});

function fill() {
  for (const row of rows()) {
    const one = latest[row.dataset.row];
    if (one) fillRow(row, one);
  }
  filter();
}

function fillRow(row, one) {
  const badge = row.querySelector(".badge");
  if (badge.dataset.state !== one.state) badge.dataset.state = badge.textContent = one.state;
  const isDeployed = one.revision > 0;
  const texts = {
    Revision: one.revision || "–",
    Ready: isDeployed ? `${one.ready}/${one.replicas}` : "–",
    Rate: rate(one.rate),
    Failures: count(one.failures),
    p50: milliseconds(one.p50),
    p99: milliseconds(one.p99),
    Memory: bytes(one.memory),
  };
  for (const [name, text] of Object.entries(texts)) {
    const cell = row.querySelector(`[data-label="${name}"]`);
    if (cell.textContent !== String(text)) cell.textContent = text;
  }
  row.querySelector('[data-label="Failures"]').classList.toggle("text-bad", one.failures > 0);
}

/** Read the list anew: functions or projects have come or gone. */
async function refresh() {
  const answer = await fetch("/functions");
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  // The search is there only where there is something to search for.
  if (Boolean(fresh.querySelector("[data-search]")) !== Boolean(search)) return location.reload();
  list().replaceWith(fresh.getElementById("functions-list"));
  fill();
}

// --- Search ---------------------------------------------------------------------------------------------------------

function filter() {
  const words = (search?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const all = rows();
  for (const row of all) {
    const text = `${row.dataset.words} ${row.querySelector(".badge").textContent}`.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-row]:not([hidden])");
  }
  const found = document.querySelector("[data-found]");
  if (found) found.textContent = words.length ? `${all.filter((row) => !row.hidden).length} of ${all.length}` : "";
}

search?.addEventListener("input", filter);
search?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  search.value = "";
  filter();
  search.blur();
});
document.addEventListener("keydown", (event) => {
  if (
    event.key !== "/" ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.closest("input, textarea, select, dialog")
  )
    return;
  event.preventDefault();
  search?.focus();
});

// --- Menus ----------------------------------------------------------------------------------------------------------

// A hundred functions would else bring a hundred menus that nobody opens. The event does not bubble.
document.addEventListener("toggle", (event) => fillMenu(event.target), true);

function fillMenu(menu) {
  const name = menu.dataset.menu;
  const items = menu.querySelector(".menu-items");
  if (!name || items.children.length) return;
  items.append(document.getElementById("function-menu").content.cloneNode(true));
  for (const item of items.children) {
    for (const attribute of item.attributes) attribute.value = attribute.value.replace("NAME", name);
  }
}

// --- What can be done -----------------------------------------------------------------------------------------------

async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
}

const ACTIONS = {
  deploy: async (name) => {
    await send("POST", `/functions/${name}/deploy`, {});
    toast(`Deploying ${name}.`);
  },
  deployAll: async (number) => {
    if (!(await confirm(`Deploy all ${number} functions as their folders are?`, { yes: "Deploy all" }))) return;
    const { names } = await send("POST", "/functions/deploy", {});
    toast(
      `Deploying ${names.length} functions; those that were rolled back, or whose folder has a problem, are left out.`,
    );
  },
  delete: async (name) => {
    const dialog = document.getElementById("delete-dialog");
    const answer = await fetch(`/functions/${name}/delete`);
    if (!answer.ok) throw new Error(`The dashboard answered ${answer.status}.`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.replaceChildren(fresh.querySelector("form"));
    dialog.showModal();
  },
  deleteProject: (name, button) => askForProject(name, button.dataset.functions),
};

document.addEventListener("click", (event) => {
  for (const [key, work] of Object.entries(ACTIONS)) {
    const attribute = `data-${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const button = event.target.closest(`button[${attribute}]`);
    if (button) attempt(() => work(button.getAttribute(attribute), button));
  }
});

function askForProject(name, functions) {
  const dialog = document.getElementById("delete-project");
  const find = (part) => dialog.querySelector(`[data-project-${part}]`);
  dialog.dataset.name = name;
  find("name").textContent = name;
  find("functions").textContent = functions;
  find("full").hidden = !functions;
  find("empty").hidden = Boolean(functions);
  const box = dialog.querySelector("[name=cascading]");
  box.checked = false;
  box.required = Boolean(functions);
  dialog.showModal();
}

const FORMS = {
  "[data-new-project]": (fields) => send("POST", "/projects", Object.fromEntries(fields)),
  '[data-act="delete"]': (fields, form) =>
    send("POST", `/functions/${form.dataset.name}/delete`, { keepFolder: fields.has("keepFolder") }),
  "[data-delete-project-form]": (fields, form) => {
    const headers = { "X-Nuclio-Delete-Project-Strategy": fields.has("cascading") ? "cascading" : "restricted" };
    return send("DELETE", "/api/projects", { metadata: { name: form.closest("dialog").dataset.name } }, headers);
  },
};

document.addEventListener("submit", async (event) => {
  const [, work] = Object.entries(FORMS).find(([selector]) => event.target.matches(selector)) ?? [];
  if (!work) return;
  event.preventDefault();
  const form = event.target;
  const submit = form.querySelector(".dialog-foot .btn:last-child");
  submit.setAttribute("aria-busy", "true");
  const isDone = await attempt(() => work(new FormData(form), form));
  submit.removeAttribute("aria-busy");
  if (!isDone) return;
  form.closest("dialog").close();
  form.reset();
  await refresh();
});
