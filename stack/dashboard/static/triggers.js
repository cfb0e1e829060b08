// Triggers: what is typed is judged by the server's own model as soon as a field is left; nothing is lost unasked.

import { deploy } from "./function.js";

const form = () => document.getElementById("triggers");
let typed = false;
let editor = null;
let asked = 0;

const isDirty = () => form()?.dataset.changed === "yes" || typed;

if (form()) start();

function start() {
  prepare();
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "triggers" && !document.querySelector("#triggers [data-editor]:empty")) return;
    typed = false;
    prepare();
  });
  // Before htmx reads the form, the editor's text goes where it looks.
  document.addEventListener("htmx:configRequest", (event) => {
    if (editor && event.detail.elt.closest("#triggers")) event.detail.parameters.text = editor.text();
  });
  document.addEventListener("input", (event) => event.target.closest("#triggers") && noteChange());
  document.addEventListener("change", (event) => event.target.closest("#triggers") && judge());
  document.addEventListener("click", (event) => event.target.closest("[data-save-deploy]") && deploy());
  document.addEventListener("before-deploy", (event) => isDirty() && event.detail.push(save()));
  window.addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
}

function noteChange() {
  typed = true;
  form().querySelector("[data-dirty]").hidden = false;
}

/** Save; resolves to whether it went well. */
async function save() {
  await htmx.ajax("POST", form().getAttribute("action"), {
    source: form(),
    target: form(),
    swap: "outerHTML",
    values: { action: "save" },
  });
  return form().dataset.changed === "no";
}

// --- The editor -----------------------------------------------------------------------------------------------------

async function prepare() {
  editor = null;
  const host = form().querySelector("[data-editor]");
  if (!host) return;
  const area = form().querySelector("textarea[name=text]");
  const { openEditor } = await import("./editor.js");
  area.hidden = true;
  host.hidden = false;
  editor = openEditor(host, {
    text: area.value,
    language: "yaml",
    label: "function.yaml",
    onChange: () => {
      noteChange();
      clearTimeout(asked);
      asked = setTimeout(judge, 600);
    },
    onSave: save,
  });
  editor.setProblems(JSON.parse(host.dataset.marks));
}

// --- What is wrong --------------------------------------------------------------------------------------------------

/** Ask the server what is wrong, and say it beside each field. */
async function judge() {
  const data = new FormData(form());
  if (editor) data.set("text", editor.text());
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const response = await fetch(form().dataset.check, {
    method: "POST",
    headers: { "X-CSRF-Token": token, Accept: "application/json" },
    body: new URLSearchParams(data),
  });
  if (response.ok) show(await response.json());
}

function show({ fields, cards, rest, marks }) {
  editor?.setProblems(marks);
  for (const field of form().querySelectorAll("[data-field]")) {
    const text = fields[field.dataset.field] ?? "";
    field.classList.toggle("has-error", Boolean(text));
    field.querySelector(".error").textContent = text;
    for (const input of field.querySelectorAll("input, select, textarea")) {
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    if (text && field.closest("details")) field.closest("details").open = true;
  }
  for (const card of form().querySelectorAll("[data-card]"))
    fill(card.querySelector("[data-card-errors]"), cards[card.dataset.card] ?? []);
  fill(form().querySelector("[data-rest-list]"), rest);
  form().querySelector("[data-rest]").hidden = !rest.length;
}

function fill(list, texts) {
  list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  list.hidden = !texts.length;
}
