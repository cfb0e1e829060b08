// Answers each temperature that arrives over AMQP with a line in the queue iot/logs.
'use strict';

// The line leaves when this has called back, and an error has the event delivered again.
exports.handler = (context, event) => {
  const data = event.body.toString();
  const correlationId = event.headers?.reading ?? event.id;
  context.outputs.logs.send(`Invoked Function amqpconsume on ${data}`, { correlationId });
  context.callback(`feedback ${data}`);
};
