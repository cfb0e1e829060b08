// The head of a function's pages: its state, live.

import { watch } from "./live.js";

const head = document.querySelector("[data-function]");

watch("functions", (functions) => {
  const one = functions[head.dataset.function];
  const badge = head.querySelector("[data-state-badge] .badge");
  if (!one || badge.dataset.state === one.state) return;
  badge.dataset.state = badge.textContent = one.state;
});
