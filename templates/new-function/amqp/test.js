const assert = require('node:assert');
const { test } = require('node:test');

const { invoke } = require('tidegate');
const main = require('./main');

test('the lowest and the highest are noted', async () => {
  let answer;
  for (const body of ['21.5', '18', '20']) answer = await invoke(main, { body });
  assert.equal(answer.body, '18 to 21.5');
});

test('what is no temperature is passed over', async () => {
  const { body } = await invoke(main, { body: 'warm' });
  assert.equal(body, 'no temperature');
});
