/*
 * A handler of Node.js called as its worker calls it, without sockets, for the tests of a function's author:
 *
 *   const { invoke } = require('tidegate');
 *   const result = await invoke(require('./main'), { body: { degrees: 31 } });
 *   assert.deepEqual(result.outputs.alerts, [{ degrees: 31 }]);
 */
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomUUID } = require('node:crypto');
const path = require('node:path');

const { prepareDevices } = require('./nodejs_devices.cjs');
const { Platform } = require('./nodejs_outgoing.cjs');
const { SentMessages, buildMessage, openList, openNames, readOutputs } = require('./nodejs_test_outputs.cjs');
const { Response, describe, encode, encodeMessage, makeEvent, toFields } = require('./nodejs_values.cjs');

const JSON_TYPE = 'application/json';
const FAILED = 500;
const PATIENCE = 10000;
const LOST = 'answered: what it was given is lost';
// The fields of an event, and what they are where a test does not say; those below make the rest of it.
const DEFAULTS = {
  id: '',
  method: '',
  path: '/',
  timestamp: null,
  topic: '',
  trigger: { kind: 'http', name: 'default-http' },
  type: '',
  type_version: '',
  url: '',
  version: '',
};

const FIELDS = ['body', 'content_type', 'fields', 'headers', ...Object.keys(DEFAULTS)];
const STATE = Symbol('state');

const contexts = new WeakMap();
// What is collected of the event that code is of, whichever context it has its outputs and logger from.
const collecting = new AsyncLocalStorage();
let known;

/**
 * Call a handler with an event, and return what came of it: `status_code`, `content_type`, `headers`, `body`, `logs`
 * and `outputs`. The body is the parsed object where it is JSON, else a text or a Buffer.
 *
 * `main` is the module of a function, whose `initContext` is called before its first event, or a handler alone. An
 * error of the handler's is the answer of status 500, or is thrown where `raises` is true. `context.request` gets the
 * response that is in `responses` for its topic: a body, a whole `Response`, or what is called with the request's body.
 * `devices` has those of `context.devices`, each with answers by method, as in `{ 'pump-7': { open: { is: 'open' } } }`,
 * and a `twin` with `desired` and `reported`, which is changed by what the handler sets.
 */
async function invoke(main, event = {}, options = {}) {
  const { handler = 'handler', context, raises = false, responses = {}, devices = {}, timeout = PATIENCE } = options;
  const call = typeof main === 'function' ? main : main[handler];
  if (typeof call !== 'function') throw new TypeError(`the module has no function ${handler}; it has ${list(main)}`);
  const shared = context ?? (await prepare(main));
  if (!shared[STATE]) throw new TypeError('context should be one of openContext()');
  const collected = { sent: new SentMessages(), logs: [] };
  const bound = bind(shared, { ...openTools(collected, responses, devices), callback: null });
  const { value, error, hasFailed } = await collecting.run(collected, run, call, bound, buildEvent(event), timeout);
  if (hasFailed && raises) throw error;
  return describeResult(hasFailed ? fail(error) : answer(value), collected);
}

/** Return a context like a worker's, with `userData` for what stands in for connections. */
function openContext(userData = {}) {
  const tools = openTools({ sent: new SentMessages(), logs: [] }, {});
  return { userData, platform: new Platform('nuclio'), Response, ...tools, callback: () => undefined, [STATE]: true };
}

/* Return what of a context belongs to one event. */
function openTools(own, responses, devices = {}) {
  const outputs = findOutputs();
  const logger = {};
  for (const [name, level] of [['error', 'error'], ['warn', 'warning'], ['info', 'info'], ['debug', 'debug']]) {
    logger[name] = logger[`${name}With`] = (message, fields = {}) =>
      (collecting.getStore() ?? own).logs.push({ level, message: String(message), ...toFields(fields) });
  }
  const send = (name) => (body, options) => {
    (collecting.getStore() ?? own).sent.add(buildMessage(outputs, name, body, options));
    return options?.now ? Promise.resolve() : undefined;
  };
  const request = async (topic, body = '') => respond(responses, topic, buildMessage(null, '', body).body);
  const named = openNames(outputs, {}, (name) => ({ send: send(name) }));
  return { logger, outputs: named, request, devices: prepareDevices(devices) };
}

/* The function.yaml that counts is that beside the test, which is the program that runs. */
function findOutputs() {
  known ??= [readOutputs(path.dirname(process.argv[1] ?? ''))];
  return known[0];
}

/* Return the context of one event: what an author puts into it stays in the one that all events have. */
function bind(shared, own) {
  return new Proxy(shared, {
    get: (target, name) => (name in own ? own[name] : target[name]),
    set: (target, name, value) => Reflect.set(name in own ? own : target, name, value),
  });
}

function prepare(main) {
  if (!contexts.has(main)) contexts.set(main, initialise(main));
  const context = contexts.get(main);
  // The next event tries it again.
  context.catch(() => contexts.delete(main));
  return context;
}

async function initialise(main) {
  const context = openContext();
  if (typeof main !== 'function') await main.initContext?.(context);
  return context;
}

function run(call, context, event, timeout) {
  return new Promise((resolve) => {
    const late = new Error(`the handler did not call context.callback within ${timeout} ms`);
    const timer = setTimeout(() => resolve({ error: late, hasFailed: true }), timeout);
    let isDone = false;
    const settle = (outcome) => {
      isDone = true;
      clearTimeout(timer);
      resolve(outcome);
    };
    context.callback = (value) => {
      if (isDone) context.logger.warn(`context.callback was called for event ${event.id}, which has been ${LOST}`);
      settle({ value });
    };
    try {
      Promise.resolve(call(context, event)).catch((error) => settle({ error, hasFailed: true }));
    } catch (error) {
      settle({ error, hasFailed: true });
    }
  });
}

function buildEvent({ body = '', content_type: contentType, ...given }) {
  const unknown = Object.keys(given).filter((name) => !FIELDS.includes(name));
  if (unknown.length) throw new TypeError(`an event has no ${unknown.join(', ')}; it has ${FIELDS.join(', ')}`);
  const isBytes = typeof body === 'string' || body instanceof Uint8Array;
  const bytes = Buffer.from(isBytes ? body : JSON.stringify(body));
  // A handler may write into both.
  const headers = given.headers === null ? null : { ...given.headers };
  const one = { ...DEFAULTS, ...given, fields: { ...given.fields }, headers };
  const type = contentType ?? one.headers?.['Content-Type'] ?? (isBytes ? '' : JSON_TYPE);
  const method = one.method || (bytes.length ? 'POST' : 'GET');
  const head = [one.id || randomUUID(), bytes.length, one.fields, one.headers, type, method, one.path];
  const time = one.timestamp ?? Date.now();
  const { kind, name } = one.trigger;
  return makeEvent([...head, time, one.topic, kind, name, one.type, one.type_version, one.url, one.version], bytes);
}

/* Return what a request is answered with. */
function respond(responses, topic, body) {
  if (!(topic in responses)) {
    throw Object.assign(new Error(`there was no response to ${topic}; responses has none`), { name: 'TimeoutError' });
  }
  const prepared = responses[topic];
  const given = typeof prepared === 'function' ? prepared(body) : prepared;
  const isWhole = given instanceof Response;
  const { content, form } = encodeMessage('response', isWhole ? given.body : given);
  const type = isWhole ? given.content_type : form === 'json' ? JSON_TYPE : 'text/plain';
  const answered = type === JSON_TYPE ? readJson(content) : Buffer.from(content);
  const status = isWhole ? given.status_code : 200;
  return { body: answered, content_type: type, headers: (isWhole && given.headers) || {}, status_code: status };
}

function answer(value) {
  try {
    return encode(value);
  } catch (error) {
    return fail(error);
  }
}

function fail(error) {
  const { name, message, stack } = describe(error);
  return { head: [FAILED, 'text/plain', null], body: `Error in handler: ${message}\n${stack || `${name}: ${message}`}` };
}

function describeResult({ head, body }, { sent, logs }) {
  const [status, contentType, headers] = head;
  const read = contentType === JSON_TYPE && body.length ? readJson(body) : body;
  const outputs = findOutputs();
  // As with a worker: an event that failed sends nothing.
  if (status >= FAILED) sent.discard();
  else if (outputs?.onSuccess && body.length) sent.add(buildMessage(null, outputs.onSuccess, read));
  return {
    status_code: status,
    content_type: contentType,
    headers: headers ?? {},
    body: read,
    logs,
    outputs: openNames(outputs, sent.byOutput, openList),
  };
}

/* Return the object that JSON holds; what is none, whatever its type says, as it is. */
function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function list(main) {
  const names = Object.entries(main ?? {}).filter(([, value]) => typeof value === 'function');
  return names.map(([name]) => name).join(', ') || 'none';
}

module.exports = { invoke, openContext };
