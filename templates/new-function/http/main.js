// Converts degrees Celsius, the body of a request, to degrees Fahrenheit.
'use strict';

// Answers with both numbers; a body that is no number is answered with 400.
exports.handler = (context, event) => {
  const celsius = Number.parseFloat(event.body.toString());
  if (!Number.isFinite(celsius)) {
    context.callback([400, 'the body should be a number such as 21.5']);
    return;
  }
  context.logger.infoWith('Converted', { celsius });
  context.callback({ celsius, fahrenheit: Math.round(celsius * 18 + 320) / 10 });
};
