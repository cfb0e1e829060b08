const assert = require('node:assert');
const { test } = require('node:test');

const { invoke } = require('tidegate');
const main = require('./main');

test('Celsius becomes Fahrenheit', async () => {
  const { body } = await invoke(main, { body: '21.5' });
  assert.deepEqual(body, { celsius: 21.5, fahrenheit: 70.7 });
});

test('what is no number is refused', async () => {
  const { status_code: status } = await invoke(main, { body: 'warm' });
  assert.equal(status, 400);
});
