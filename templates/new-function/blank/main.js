// Answers each event with its body.
'use strict';

exports.handler = (context, event) => {
  context.logger.info('Called');
  context.callback(event.body);
};
