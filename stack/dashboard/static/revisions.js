// Revisions: the folder gets the files of one back; a deploy that ends makes a new one.

import { confirm, send, toast } from "./app.js";

const { function: name } = document.querySelector("[data-function]").dataset;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-restore]");
  if (!button) return;
  const number = button.dataset.restore;
  const question = `Give functions/${name} the files of revision ${number}? What differs now is lost unless git has it. What runs goes on.`;
  if (!(await confirm(question, { yes: "Restore", danger: true }))) return;
  try {
    await send("POST", `/functions/${name}/revisions/${number}/restore`);
    location.assign(`/functions/${name}/code`);
  } catch (error) {
    toast(error.message, "error");
  }
});

document.addEventListener("deployed", async () => {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const own = document.querySelector("[aria-labelledby=revisions-title]");
  own.replaceWith(fresh.querySelector("[aria-labelledby=revisions-title]"));
  document.dispatchEvent(new Event("htmx:load"));
});
