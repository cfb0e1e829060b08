// Runs before the first paint, so that a page chosen to be dark never flashes white.
"use strict";

(() => {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
})();
