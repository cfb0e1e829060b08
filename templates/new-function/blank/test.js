const assert = require('node:assert');
const { test } = require('node:test');

const { invoke } = require('tidegate');
const main = require('./main');

test('the body comes back', async () => {
  const { body } = await invoke(main, { body: 'hello' });
  assert.equal(body.toString(), 'hello');
});
