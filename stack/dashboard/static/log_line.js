// A line of a log, as the pages show it.

import { clock } from "./app.js";

/** Make the element of a record {time (seconds since 1970), level, text, container}; its container is shown if `origin` is. */
export function logLine({ time, level, text, container }, { origin = false } = {}) {
  const line = document.createElement("span");
  line.className = "log-line";
  line.dataset.level = level;
  const date = new Date(time * 1000);
  const when = part("time", clock(date, true));
  when.dateTime = when.title = date.toISOString();
  line.append(when, part("span", level, "level"));
  if (origin) line.append(part("span", container, "origin"));
  line.append(part("span", text, "text"), "\n");
  return line;
}

function part(tag, text, name = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}
