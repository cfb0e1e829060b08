// The functions: found as one types, and what can be done from here.

import { confirm, send, toast } from "./app.js";

const rows = () => [...document.querySelectorAll("[data-row]")];
const search = document.querySelector("[data-search]");

/** Show the list as it is now: functions or projects have come or gone. */
const refresh = () => htmx.ajax("GET", "/functions/list", { target: "#functions-list", swap: "morph:innerHTML" });

// --- Search ---------------------------------------------------------------------------------------------------------

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = rows();
  for (const row of all) {
    const text = `${row.dataset.words} ${row.querySelector(".badge").textContent}`.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = words.length > 0 && !group.querySelector("[data-row]:not([hidden])");
  }
  document.querySelector("[data-toolbar]").hidden = !all.length;
  document.querySelector("[data-found]").textContent = words.length ? `${all.filter((row) => !row.hidden).length} of ${all.length}` : "";
}

search.addEventListener("input", filter);
for (const event of ["htmx:sseMessage", "htmx:load"]) document.addEventListener(event, filter);
search.addEventListener("keydown", (event) => {
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
  search.focus();
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
