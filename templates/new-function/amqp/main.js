// Notes the lowest and the highest of the temperatures that arrive over AMQP.
'use strict';

// Begins without any reading; each worker has a memory of its own.
exports.initContext = (context) => {
  context.userData = { lowest: Infinity, highest: -Infinity };
};

// Takes one reading; an error here would have it delivered again.
exports.handler = (context, event) => {
  const text = event.body.toString();
  const value = Number.parseFloat(text);
  if (!Number.isFinite(value)) {
    context.logger.warnWith('Passed over what is no temperature', { body: text.slice(0, 80) });
    context.callback('no temperature');
    return;
  }
  const memory = context.userData;
  memory.lowest = Math.min(memory.lowest, value);
  memory.highest = Math.max(memory.highest, value);
  context.logger.infoWith('Reading', { value, ...memory });
  context.callback(`${memory.lowest} to ${memory.highest}`);
};
