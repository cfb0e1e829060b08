// The functions that are measured; each is as empty as its measurement lets it be.
const { openCount } = require('./counter.js');

exports.initContext = (context) => {
  if (process.env.BENCH_COUNTER) context.userData.count = openCount();
};

exports.count = (context) => {
  context.userData.count();
  context.callback('');
};

exports.echo = (context, event) => context.callback(event.body);
