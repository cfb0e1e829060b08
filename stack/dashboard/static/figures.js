// Figures in words, as figures.py writes them, for what scripts draw.

/** Say how many, with thin spaces between thousands. */
export function count(value) {
  return value == null ? "–" : String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

/** Say how many a second. */
export function rate(value) {
  if (value == null) return "–";
  if (value === 0) return "0/s";
  return value < 0.1 ? "<0.1/s" : `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
}

/** Say how many bytes. */
export function bytes(value) {
  if (value == null) return "–";
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), 3);
  const rest = value / 1000 ** power;
  return `${rest < 10 && power ? rest.toFixed(1) : Math.round(rest)} ${["B", "kB", "MB", "GB"][power]}`;
}

/** Say how many milliseconds. */
export function milliseconds(value) {
  if (value == null) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
