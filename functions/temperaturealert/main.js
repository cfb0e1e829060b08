// Publishes an alert when a sensor's average temperature rises above a threshold, and one when it is normal again.
'use strict';

const THRESHOLD = Number(process.env.THRESHOLD ?? 25);
const HYSTERESIS = Number(process.env.HYSTERESIS ?? 0.5);
const WINDOW = Number(process.env.WINDOW ?? 5);

// Begins without any reading; each trigger's worker has a memory of its own.
exports.initContext = (context) => {
  context.userData = { windows: new Map(), states: new Map() };
};

// Takes one reading into its sensor's window, and tells if the sensor's state changes.
exports.handler = (context, event) => {
  const text = event.body.toString().trim();
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) {
    context.logger.warnWith('Passed over what is no temperature', { body: text.slice(0, 80) });
    context.callback('no temperature');
    return;
  }
  const { windows, states } = context.userData;
  const sensor = event.headers?.sensor ?? event.path;
  const window = [...(windows.get(sensor) ?? []), value].slice(-WINDOW);
  const average = window.reduce((sum, one) => sum + one, 0) / window.length;
  const before = states.get(sensor) ?? 'normal';
  const state = judge(before, average);
  windows.set(sensor, window);
  states.set(sensor, state);
  if (state !== before) {
    const rounded = Math.round(average * 100) / 100;
    const time = new Date().toISOString();
    context.outputs.alerts.send({ sensor, state, average: rounded, threshold: THRESHOLD, time });
  }
  context.callback(state);
};

// Between the two limits a state stays as it is, so that noise makes no alerts.
function judge(state, average) {
  if (average > THRESHOLD) {
    return 'high';
  }
  return average <= THRESHOLD - HYSTERESIS ? 'normal' : state;
}
