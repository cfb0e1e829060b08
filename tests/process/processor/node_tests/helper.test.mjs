// The helper of tests, as a function's author has it; run by test_nodejs_testing.py.

import assert from 'node:assert';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { invoke, openContext } from 'tidegate';
import * as main from './main.mjs';

test('what is answered is as its receiver reads it', async () => {
  const call = async (value) => (await invoke((context) => context.callback(value))).body;
  assert.equal(await call('text'), 'text');
  assert.deepEqual(await call({ a: [1] }), { a: [1] });
  assert.deepEqual(await call(Buffer.from('bytes')), Buffer.from('bytes'));
  const result = await invoke((context) => context.callback(new context.Response('x', { h: 1 }, 'text/css', 201)));
  const { status_code, content_type, headers, body } = result;
  assert.deepEqual({ status_code, content_type, headers, body }, {
    status_code: 201, content_type: 'text/css', headers: { h: '1' }, body: 'x',
  });
});

test('an event is as Nuclio has it', async () => {
  let event;
  const keep = (context, one) => context.callback((event = one) && '');
  await invoke(keep, { body: { degrees: 31 }, headers: { 'X-Sensor': '7' }, trigger: { kind: 'mqtt', name: 'm' } });
  assert.equal(event.body.toString(), '{"degrees":31}');
  assert.equal(event.content_type, 'application/json');
  assert.equal(event.headers['X-Sensor'], '7');
  assert.deepEqual([event.method, event.path, event.trigger.kind], ['POST', '/', 'mqtt']);
  assert.ok(event.timestamp instanceof Date && event.id);
  await assert.rejects(invoke(keep, { paht: '/' }), /an event has no paht; it has body/);
});

test('initContext is called once for a module', async () => {
  assert.equal((await invoke(main, { body: 'a' })).body, '1 a');
  assert.equal((await invoke(main, { body: 'b' })).body, '2 b');
  const context = openContext({ calls: 7 });
  assert.equal((await invoke(main, { body: 'c' }, { context })).body, '8 c');
  await assert.rejects(invoke(main, {}, { handler: 'run' }), /no function run; it has handler, initContext/);
});

test('what is sent to outputs, and logged, is in the result', async () => {
  const { outputs, logs } = await invoke((context) => {
    context.outputs.alerts.send({ degrees: 31 }, { key: 'high', headers: { n: 1 } });
    context.outputs.alerts.send('text');
    context.outputs.command.send(Buffer.from([1]), { id: 'window-3' });
    context.logger.warnWith('Alert', { degrees: 31 });
    context.callback('');
  });
  assert.deepEqual(outputs.alerts, [{ degrees: 31 }, 'text']);
  assert.deepEqual(outputs.command, [Buffer.from([1])]);
  assert.throws(() => outputs.other, /no output 'other' in spec.outputs; it has alerts, command, answers/);
  assert.deepEqual([outputs.alerts.messages[1].address, outputs.command.messages[0].address], ['low', 'w/window-3']);
  assert.deepEqual([outputs.alerts.messages[0].key, outputs.alerts.messages[0].headers], ['high', { n: '1' }]);
  assert.deepEqual(outputs.command.messages[0].values, { id: 'window-3' });
  assert.deepEqual(logs, [{ level: 'warning', message: 'Alert', degrees: 31 }]);
});

test('bodies are sent as what they are', async () => {
  const { buffer } = new Uint8Array([1, 2, 3, 4]);
  const { outputs } = await invoke((context) => {
    for (const body of [buffer, new DataView(buffer, 1, 2), new Uint16Array(buffer), Buffer.from(buffer, 3)]) {
      context.outputs.alerts.send(body);
    }
    context.callback('');
  });
  assert.deepEqual(outputs.alerts.map((one) => [...one]), [[1, 2, 3, 4], [2, 3], [1, 2, 3, 4], [4]]);
  const promise = invoke(async (context) => context.outputs.alerts.send(Promise.resolve(1)), {}, { raises: true });
  await assert.rejects(promise, /output alerts: got a promise; send what it comes to, by await/);
});

test('what no output takes is an error, as in a worker', async () => {
  const send = (name, ...given) => invoke((context) => context.outputs[name].send(...given), {}, { raises: true });
  await assert.rejects(send('alertz', 1), /function.yaml has no output 'alertz' in spec.outputs; it has alerts/);
  await assert.rejects(send('alerts', 1, { nope: 1 }), /send\(\) got nope, which is no placeholder/);
  await assert.rejects(send('command', 1), /send\(\) needs id, for \{id\} of w\/\{id\}/);
  await assert.rejects(send('command', 1, { key: 'a', id: 1 }), /got a key, which only a rabbit-mq output/);
});

test('the answer goes where onSuccess says', async () => {
  assert.deepEqual((await invoke((context) => context.callback({ a: 1 }))).outputs.answers, [{ a: 1 }]);
  assert.deepEqual((await invoke((context) => context.callback(''))).outputs.answers, []);
  assert.deepEqual((await invoke((context) => context.callback([500, 'x']))).outputs.answers, []);
});

test('events share nothing but the context', async () => {
  const event = { headers: { n: '1' } };
  const writes = (context, { headers, fields }) => {
    context.callback(JSON.stringify([headers, fields]));
    headers.x = fields.x = '1';
    context.count = (context.count ?? 0) + 1;
  };
  await invoke(writes, event);
  assert.equal((await invoke(writes, event)).body, '[{"n":"1"},{}]');
  const waits = async (context, { body }) => {
    context.logger.info(body.toString());
    await new Promise((done) => setTimeout(done, 20 - Number(body)));
    context.callback(`${body} ${(context.count = (context.count ?? 0) + 1)}`);
  };
  const [first, second] = await Promise.all([invoke(waits, { body: '1' }), invoke(waits, { body: '15' })]);
  assert.deepEqual([first.body, second.body, first.logs[0].message], ['1 2', '15 1', '1']);
});

test('results can be compared and shown', async () => {
  const { outputs } = await invoke((context) => {
    context.outputs.alerts.send({ degrees: 31 });
    context.callback('');
  });
  assert.deepEqual(outputs, { alerts: [{ degrees: 31 }] });
  assert.notDeepEqual(outputs, {});
  assert.equal(JSON.stringify(outputs), '{"alerts":[{"degrees":31}]}');
  assert.match(inspect(outputs), /alerts: \[ \{ degrees: 31 \} \]/);
  assert.deepEqual((await invoke((context) => context.callback(''))).outputs, {});
  const odd = (context) => context.callback(new context.Response('{', null, 'application/json'));
  assert.equal((await invoke(odd)).body, '{');
});

test('what is sent at once stays sent', async () => {
  const { outputs } = await invoke(async (context) => {
    context.outputs.alerts.send('kept back');
    await context.outputs.alerts.send('sent', { now: true });
    throw new Error('some error');
  });
  assert.deepEqual(outputs, { alerts: ['sent'] });
});

test('outputs and a logger that are kept are those of the event that uses them', async () => {
  const keeps = {
    initContext: (context) => { context.userData = { alerts: context.outputs.alerts, logger: context.logger }; },
    handler: (context, { body }) => {
      context.userData.alerts.send(body.toString());
      context.userData.logger.info(`sent ${body}`);
      context.callback('');
    },
  };
  for (const body of ['a', 'b']) {
    const { logs, outputs } = await invoke(keeps, { body });
    assert.deepEqual([outputs.alerts, logs], [[body], [{ level: 'info', message: `sent ${body}` }]]);
  }
});

test('a second callback is lost, and warned of', async () => {
  const twice = (context, { body }) => {
    context.callback(body.toString());
    setTimeout(() => context.callback('late'), 5);
  };
  const first = await invoke(twice, { body: 'a', id: '1' });
  const second = await invoke(async (context) => {
    await new Promise((done) => setTimeout(done, 20));
    context.callback('b');
  });
  assert.deepEqual([first.body, second.body, second.logs], ['a', 'b', []]);
  assert.match(first.logs[0].message, /was called for event 1, which has been answered: what it was given is lost/);
});

test('initContext that failed is called again', async () => {
  let calls = 0;
  const fails = {
    async initContext() {
      calls += 1;
      if (calls === 1) throw new Error('no broker');
    },
    handler: (context) => context.callback('ready'),
  };
  await assert.rejects(invoke(fails), /no broker/);
  assert.deepEqual((await Promise.all([invoke(fails), invoke(fails)])).map(({ body }) => body), ['ready', 'ready']);
  assert.equal(calls, 2);
});

test('a request gets the response of its topic', async () => {
  const ask = async (context) => {
    const { body, content_type: type } = await context.request('plant/pump/cmd', { open: true });
    context.callback([200, `${type} ${Buffer.isBuffer(body) ? body : JSON.stringify(body)}`]);
  };
  const call = async (response) => (await invoke(ask, {}, { responses: { 'plant/pump/cmd': response } })).body;
  assert.equal(await call('is open'), 'text/plain is open');
  assert.equal(await call({ state: 1 }), 'application/json {"state":1}');
  assert.equal(await call((body) => `open: ${body.open}`), 'text/plain open: true');
  const status = async (context) => context.callback([200, String((await context.request('a')).status_code)]);
  const away = (context) => new context.Response('is away', null, 'text/plain', 404);
  assert.equal((await invoke(status, {}, { responses: { a: away(openContext()) } })).body, '404');
  await assert.rejects(invoke(ask, {}, { raises: true }), { name: 'TimeoutError', message: /plant\/pump\/cmd/ });
});

test('an event that fails is a 500, and sends nothing', async () => {
  const throws = (context) => {
    context.outputs.alerts.send('x');
    throw new TypeError('some error');
  };
  const rejects = async () => Promise.reject(new Error('some error'));
  for (const handler of [throws, rejects]) {
    const { status_code: status, body, outputs } = await invoke(handler);
    assert.equal(status, 500);
    assert.match(body, /^Error in handler: some error\n.*some error\n\s+at .*helper.test.mjs/);
    assert.deepEqual(outputs.alerts, []);
    await assert.rejects(invoke(handler, {}, { raises: true }), /some error/);
  }
  assert.equal((await invoke(() => Promise.reject())).status_code, 500);
  await assert.rejects(invoke(throws, {}, { context: {} }), /openContext/);
  await assert.rejects(invoke(() => undefined, {}, { raises: true, timeout: 10 }), /did not call context.callback/);
});
