// Publishes an alert when a sensor's average temperature rises above a threshold, and one when it is normal again.
'use strict';

const THRESHOLD = Number(process.env.THRESHOLD ?? 25);
const HYSTERESIS = Number(process.env.HYSTERESIS ?? 0.5);
const WINDOW = Number(process.env.WINDOW ?? 5);

// Begins without any reading; each trigger's worker has a memory of its own.
exports.initContext = (context) => {
  context.userData = new Map();
};

// Takes one reading into its sensor's window, and tells if the sensor's state changes.
exports.handler = async (context, event) => {
  const text = event.body.toString().trim();
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) {
    context.logger.warnWith('Passed over what is no temperature', { body: text.slice(0, 80) });
    context.callback('no temperature');
    return;
  }
  const sensors = context.userData;
  const sensor = event.headers?.sensor ?? event.path;
  const { state: before, window: earlier } = sensors.get(sensor) ?? { state: 'normal', window: [] };
  const window = [...earlier, value].slice(-WINDOW);
  const average = window.reduce((sum, one) => sum + one, 0) / window.length;
  // Between the two limits it stays as it is, so that noise makes no alerts.
  const state = average > THRESHOLD ? 'high' : average <= THRESHOLD - HYSTERESIS ? 'normal' : before;
  if (state !== before) {
    const alert = { sensor, state, average: Math.round(average * 100) / 100, threshold: THRESHOLD };
    await context.outputs.alerts.send({ ...alert, time: new Date().toISOString() }, { now: true });
  }
  // Only now that it has arrived: an event that failed comes again, and must not count twice.
  sensors.set(sensor, { state, window });
  context.callback(state);
};
