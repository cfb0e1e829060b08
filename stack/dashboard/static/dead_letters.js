// New dead letters are told of, and shown when that is asked for, so that no row moves under a hand.

const news = document.querySelector("[data-news]");
let known = null;

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.id !== "letters") return;
  known = null;
  news.hidden = true;
});
document.addEventListener("htmx:sseMessage", ({ target }) => {
  if (target.id !== "dead-count") return;
  const { dead } = target.firstElementChild.dataset;
  if (dead === "") return;
  const count = Number(dead);
  if (known !== null && count > known) news.hidden = false;
  known = count;
});
