// Lines of logs, as the pages show them.

// Nuclio's console: date, level's letter, the logger's name, message; the time and the level are shown before it anyway.
const CONSOLE = /^\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{3} \([DIWE]\)\s+\S+ /;

/** Make the element of a record {time (seconds since 1970), level, text, container}; its container is shown if `origin` is. */
export function logLine({ time, level, text, container }, { origin = false } = {}) {
  const line = document.createElement("span");
  line.className = "log-line";
  line.dataset.level = level || "";
  line.append(makeTime(time), makePart("level", level || ""));
  if (origin) line.append(makePart("origin", container));
  line.append(makePart("text", text), "\n");
  return line;
}

/** Reads what containers say, line by line, as records; the lines of a traceback belong to the record before them. */
export class RecordReader {
  #last = new Map();

  /** Return the record of a line, and whether it is a new one: else it is one that was returned before, with more text. */
  read({ time, level, text, container }) {
    const last = this.#last.get(container);
    if (last && !level && continues(last, text)) {
      last.isInside = !last.isInside || /^\s/.test(text);
      last.record.text += `\n${text}`;
      return { record: last.record, isNew: false };
    }
    const record = { time, level, text: readText(text), container };
    this.#last.set(container, { record, isInside: false });
    return { record, isNew: true };
  }

  forget() {
    this.#last.clear();
  }
}

/** Tell whether a line is of a traceback: the first, those within, and the one without indent that ends it. */
function continues(last, text) {
  return last.isInside || text.startsWith("Traceback (most recent call last)");
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

/** Return a line of Nuclio's X-Nuclio-Logs as a record. */
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
