// A file that is chosen goes into a text field, where it can be read before it is sent.

import { toast } from "./app.js";

document.querySelector("[data-file-into]")?.addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (!file) return;
  if (file.size > 20_000_000) return toast(`${file.name} is larger than 20 MB.`, "error");
  document.getElementById(event.target.dataset.fileInto).value = await file.text();
  event.target.value = "";
});
