const assert = require('node:assert');
const { test } = require('node:test');

const { invoke } = require('tidegate');
const main = require('./main');

test('runs are counted', async () => {
  // As the trigger of function.yaml sends it.
  const event = { body: '{"job": "report"}' };
  assert.equal((await invoke(main, event)).body, 'report 1');
  assert.equal((await invoke(main, event)).body, 'report 2');
});
