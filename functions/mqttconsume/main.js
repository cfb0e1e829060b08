// Answers each temperature that arrives over MQTT with a line in the queue iot/logs.
'use strict';

// The line leaves when this has called back, and an error has the event delivered again.
exports.handler = (context, event) => {
  const data = event.body.toString();
  // A user property of MQTT 5; older devices send none.
  const correlationId = event.headers?.reading ?? '';
  context.outputs.logs.send(`Invoked Function mqttconsume on ${data}`, { correlationId });
  context.callback(`feedback ${data}`);
};
