// Fingers on a chart over time: one moves it along, two draw it out or together. Up and down they scroll the page.

// Pixels between two fingers at least, and that a finger moves before it is more than a tap.
const NARROWEST = 24;
const TAP = 8;

/**
 * Follow fingers on an element of a chart of which `plot()` is the element that has its lines.
 *
 * `span()` says what is shown when the first finger comes, as [start, end] in seconds; `onMove(start, end)` is told what
 * would be shown now, and `onEnd(start, end)` once all are gone; `onCancel()` that nothing is meant.
 */
export function followFingers(host, { plot, span, onMove, onEnd, onCancel }) {
  const fingers = new Map();
  let base = null;
  let moved = false;
  let seen = [0, 1];

  /** Begin with the fingers where they are, and what is shown. */
  function begin() {
    const { left, width } = plot().getBoundingClientRect();
    base = { left, width, start: seen[0], length: seen[1] - seen[0] };
    for (const finger of fingers.values()) finger.from = finger.x;
  }

  /** Return what is shown with the times that were below the fingers below them still. */
  function follow() {
    const { left, width, start, length } = base;
    const time = (x) => start + ((x - left) / width) * length;
    const [one, other] = [...fingers.values()].sort((a, b) => a.from - b.from);
    if (!other) return [start + time(one.from) - time(one.x), start + length + time(one.from) - time(one.x)];
    const apart = Math.max(NARROWEST, other.x - one.x);
    const seconds = (time(Math.max(other.from, one.from + NARROWEST)) - time(one.from)) / apart;
    const begins = time(one.from) - (one.x - left) * seconds;
    return [begins, begins + width * seconds];
  }

  host.addEventListener("pointerdown", ({ pointerType, pointerId, clientX }) => {
    if (pointerType !== "touch") return;
    if (!fingers.size) [seen, moved] = [span(), false];
    fingers.set(pointerId, { x: clientX, from: clientX });
    begin();
  });
  host.addEventListener("pointermove", ({ pointerId, clientX }) => {
    const finger = fingers.get(pointerId);
    if (!finger) return;
    finger.x = clientX;
    moved ||= fingers.size > 1 || Math.abs(finger.x - finger.from) > TAP;
    if (moved) onMove(...(seen = follow()));
  });
  host.addEventListener("pointerup", ({ pointerId }) => {
    if (!fingers.delete(pointerId)) return;
    if (fingers.size) begin();
    else if (moved) onEnd(...seen);
    else onCancel();
  });
  host.addEventListener("pointercancel", ({ pointerId }) => {
    if (fingers.delete(pointerId) && !fingers.size) onCancel();
  });
  return { isOn: () => fingers.size > 0 };
}
