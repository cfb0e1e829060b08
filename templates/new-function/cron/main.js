// Does a job every ten seconds.
'use strict';

// Begins to count; each container has a memory of its own.
exports.initContext = (context) => {
  context.userData = { runs: 0 };
};

// Does the job that the trigger's event names; a run that fails is logged, and the next comes by the clock.
exports.handler = (context, event) => {
  const { job } = JSON.parse(event.body);
  context.userData.runs += 1;
  context.logger.infoWith('Done', { job, runs: context.userData.runs });
  context.callback(`${job} ${context.userData.runs}`);
};
