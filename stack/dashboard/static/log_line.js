// Lines of logs, as the pages show them.

// Nuclio's console: date, level's letter, the logger's name, message; the time and the level are shown before it anyway.
const CONSOLE = /^\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{3} \([DIWE]\)\s+\S+ /;

/** Make the element of a line {time (seconds since 1970), level, text, container}; `container` is shown if `origin` is. */
export function logLine({ time, level, text, container }, { origin = false } = {}) {
  const line = document.createElement("span");
  line.className = "log-line";
  line.dataset.level = level || "";
  line.append(makeTime(time), makePart("level", level || ""));
  if (origin) line.append(makePart("origin", container));
  line.append(`${text}\n`);
  return line;
}

/** Return a line of a container's output as one to show: without what its columns say already. */
export function readLine(entry) {
  return { ...entry, text: readText(entry.text) };
}

function readText(text) {
  if (!text.startsWith("{")) return text.replace(CONSOLE, "");
  try {
    const { message, level, name, time, datetime, ...rest } = JSON.parse(text);
    if (message === undefined || level === undefined) return text;
    return Object.keys(rest).length ? `${message} ${JSON.stringify(rest)}` : String(message);
  } catch {
    return text;
  }
}

/** Return a line of Nuclio's X-Nuclio-Logs as one to show. */
export function readRecord({ time, level, name, message, traceback, worker_id, ...rest }) {
  const fields = Object.keys(rest).length ? ` ${JSON.stringify(rest)}` : "";
  return { time: time / 1000, level, text: `${message}${fields}${traceback ? `\n${traceback.trimEnd()}` : ""}` };
}

/** Return the time of day, with milliseconds. */
export function timeOfDay(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function makeTime(seconds) {
  const made = document.createElement("time");
  made.dateTime = new Date(seconds * 1000).toISOString();
  made.textContent = timeOfDay(seconds);
  made.title = made.dateTime;
  return made;
}

function makePart(name, text) {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}
