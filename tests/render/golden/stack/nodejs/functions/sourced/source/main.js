exports.handler = (context) => context.callback(1);
