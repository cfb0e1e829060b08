// The example temperaturealert, which lies beside this file while it is run by test_nodejs_testing.py.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { invoke } = require('tidegate');
const main = require('./main');

test('one alert when the average rises, and one when it is normal again', async () => {
  const alerts = [];
  for (const body of ['20', '20', '20', '20', '44', '26', 'warm', '', '26', '26', '26', '10', '10', '10']) {
    const { outputs } = await invoke(main, { body, headers: { sensor: 's' } });
    alerts.push(...outputs.alerts);
  }
  assert.deepEqual(alerts.map(({ sensor, state, average }) => [sensor, state, average]), [
    ['s', 'high', 26],
    ['s', 'normal', 22.8],
  ]);
});
