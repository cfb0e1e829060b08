// Events that a function is tried with, kept under names: chosen, saved, renamed, deleted.

import { confirm, send, toast } from "./app.js";

/**
 * Manage the events of a page; `read` returns what the form says as {triggerName, triggerKind, body, attributes}, or
 * throws an Error that says why it cannot be kept, and `load` fills the form with an event.
 */
export function manageEvents({ events, base, read, load }) {
  const find = (selector) => document.querySelector(selector);
  const kept = new Map(events.map((event) => [event.name, event]));
  const select = find("#test-event");
  const dialog = find("#event-dialog");

  function list(chosen = "") {
    const sorted = [...kept.values()].sort((one, other) => title(one).localeCompare(title(other)));
    select.replaceChildren(
      new Option("Saved events", ""),
      ...sorted.map((event) => new Option(title(event), event.name)),
    );
    select.hidden = !kept.size;
    select.value = chosen;
    find("[data-event-menu]").hidden = !chosen;
  }

  async function keep(name, content, replaces = "") {
    const event = await send("POST", `${base}/events`, { ...content, title: name, replaces });
    kept.set(event.name, event);
    list(event.name);
    toast(`Saved as “${name}”.`, "ok");
  }

  async function ask(heading, value) {
    find("#event-title").textContent = heading;
    find("#event-name").value = value;
    dialog.returnValue = "";
    dialog.showModal();
    find("#event-name").select();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    return dialog.returnValue === "save" ? find("#event-name").value.trim() : "";
  }

  async function save() {
    if (select.value) await keep(title(kept.get(select.value)), read(), select.value);
    else await saveAs("Save this event");
  }

  async function saveAs(heading) {
    const content = read();
    const name = await ask(heading, "");
    if (name) await keep(name, content);
  }

  async function rename() {
    const { name: old, triggerName, triggerKind, body, attributes } = kept.get(select.value);
    const name = await ask("Rename this event", title(kept.get(old)));
    if (name) await keep(name, { triggerName, triggerKind, body, attributes }, old);
  }

  async function remove() {
    const event = kept.get(select.value);
    if (!(await confirm(`Delete the event “${title(event)}”?`, { yes: "Delete", danger: true }))) return;
    await send("DELETE", `${base}/events/${encodeURIComponent(event.name)}`);
    kept.delete(event.name);
    list();
  }

  const actions = { save, "save-as": () => saveAs("Save as another event"), rename, delete: remove };
  for (const [name, action] of Object.entries(actions)) {
    find(`#test-form [data-${name}]`).addEventListener("click", () =>
      action().catch((error) => toast(error.message, "error")),
    );
  }
  select.addEventListener("change", () => {
    find("[data-event-menu]").hidden = !select.value;
    if (select.value) load(kept.get(select.value));
  });
  list();
}

function title(event) {
  return event.displayName || event.name;
}
