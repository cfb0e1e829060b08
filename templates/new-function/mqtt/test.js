const assert = require('node:assert');
const { test } = require('node:test');

const { invoke } = require('tidegate');
const main = require('./main');

test('what is above the limit makes an alert', async () => {
  const { body, outputs } = await invoke(main, { body: '26' });
  assert.equal(body, 'alert');
  assert.deepEqual(outputs.alerts, [{ value: 26, limit: 25 }]);
});

test('what is not makes none', async () => {
  for (const body of ['25', '-3', 'warm', '']) {
    const result = await invoke(main, { body });
    assert.equal(result.status_code, 200);
    assert.deepEqual(result.outputs.alerts, []);
  }
});
