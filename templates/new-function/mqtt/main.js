// Publishes an alert over MQTT for each temperature above a limit.
'use strict';

const LIMIT = Number(process.env.LIMIT ?? 25);

// Makes an alert of a reading that is too high; it leaves once this has called back, and not if this fails.
exports.handler = (context, event) => {
  const text = event.body.toString();
  const value = Number.parseFloat(text);
  if (!Number.isFinite(value)) {
    context.logger.warnWith('Passed over what is no temperature', { body: text.slice(0, 80) });
    context.callback('no temperature');
  } else if (value <= LIMIT) {
    context.callback('normal');
  } else {
    context.outputs.alerts.send({ value, limit: LIMIT });
    context.logger.warnWith('Alert', { value, limit: LIMIT });
    context.callback('alert');
  }
};
