/*
 * A handler of Node.js called as its worker calls it, without sockets, for the tests of a function's author:
 *
 *   const { invoke } = require('tidegate');
 *   const result = await invoke(require('./main'), { body: { degrees: 31 } });
 *   assert.deepEqual(result.outputs.alerts, [{ degrees: 31 }]);
 */
'use strict';

const { randomUUID } = require('node:crypto');
const { Platform } = require('./nodejs_outgoing.cjs');
const { Response, describe, encode, encodeMessage, makeEvent, toFields, toTexts } = require('./nodejs_values.cjs');

const JSON_TYPE = 'application/json';
const FAILED = 500;
const PATIENCE = 10000;
// The fields of an event, and what they are where a test does not say; body and content type are seen to apart.
const DEFAULTS = {
  fields: {},
  headers: {},
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

const contexts = new WeakMap();

/**
 * Call a handler with an event, and return what came of it: `status_code`, `content_type`, `headers`, `body`, `logs`
 * and `outputs`. The body is the parsed object where it is JSON, else a text or a Buffer.
 *
 * `main` is the module of a function, whose `initContext` is called before its first event, or a handler alone. An
 * error of the handler's is the answer of status 500, or is thrown where `raises` is true. `context.request` gets the
 * response that is in `responses` for its topic: a body, a whole `Response`, or what is called with the request's body.
 */
async function invoke(main, event = {}, options = {}) {
  const { handler = 'handler', context, raises = false, responses = {}, timeout = PATIENCE } = options;
  const call = typeof main === 'function' ? main : main[handler];
  if (typeof call !== 'function') throw new TypeError(`the module has no function ${handler}; it has ${list(main)}`);
  const state = (context ?? (await prepare(main)))[STATE];
  if (!state) throw new TypeError('context should be one of openContext()');
  const collected = { messages: [], logs: [] };
  Object.assign(state, { collected, responses });
  const { value, error, hasFailed } = await run(call, state, buildEvent(event), timeout);
  if (hasFailed && raises) throw error;
  return describeResult(hasFailed ? fail(error) : answer(value), collected);
}

/** Return a context like a worker's, with `userData` for what stands in for connections. */
function openContext(userData = {}) {
  const state = { collected: { messages: [], logs: [] }, responses: {} };
  const logger = {};
  for (const [name, level] of [['error', 'error'], ['warn', 'warning'], ['info', 'info'], ['debug', 'debug']]) {
    logger[name] = logger[`${name}With`] = (message, fields = {}) =>
      state.collected.logs.push({ level, message: String(message), ...toFields(fields) });
  }
  const outputs = new Proxy({}, {
    get: (_target, name) => ({ send: (body, options) => state.collected.messages.push(record(name, body, options)) }),
  });
  const request = async (topic, body = '') => respond(state.responses, topic, record('', body).body);
  const own = { request, platform: new Platform('nuclio'), Response, callback: () => undefined, [STATE]: state };
  state.context = { userData, logger, outputs, ...own };
  return state.context;
}

const STATE = Symbol('state');

async function prepare(main) {
  let context = contexts.get(main);
  if (!context) {
    context = openContext();
    contexts.set(main, context);
    if (typeof main !== 'function') await main.initContext?.(context);
  }
  return context;
}

function run(call, state, event, timeout) {
  return new Promise((resolve) => {
    const late = new Error(`the handler did not call context.callback within ${timeout} ms`);
    const timer = setTimeout(() => resolve({ error: late, hasFailed: true }), timeout);
    const settle = (outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    // Only the first callback counts.
    state.context.callback = (value) => settle({ value });
    try {
      Promise.resolve(call(state.context, event)).catch((error) => settle({ error, hasFailed: true }));
    } catch (error) {
      settle({ error, hasFailed: true });
    }
  });
}

function buildEvent({ body = '', content_type: contentType, ...given }) {
  const unknown = Object.keys(given).filter((name) => !(name in DEFAULTS));
  if (unknown.length) {
    const known = ['body', 'content_type', ...Object.keys(DEFAULTS)].join(', ');
    throw new TypeError(`an event has no ${unknown.join(', ')}; it has ${known}`);
  }
  const isBytes = typeof body === 'string' || body instanceof Uint8Array;
  const bytes = Buffer.from(isBytes ? body : JSON.stringify(body));
  const one = { ...DEFAULTS, ...given };
  const type = contentType ?? one.headers?.['Content-Type'] ?? (isBytes ? '' : JSON_TYPE);
  const method = one.method || (bytes.length ? 'POST' : 'GET');
  const head = [one.id || randomUUID(), bytes.length, one.fields, one.headers, type, method, one.path];
  const time = one.timestamp ?? Date.now();
  const { kind, name } = one.trigger;
  return makeEvent([...head, time, one.topic, kind, name, one.type, one.type_version, one.url, one.version], bytes);
}

function record(output, body, { key = null, headers = null, correlationId = null, ...values } = {}) {
  const { content, form } = encodeMessage(`output ${output}`, body);
  const sent = form === 'json' ? JSON.parse(content) : form === 'bytes' ? Buffer.from(content) : content;
  return { output, body: sent, key, headers: toTexts(headers) ?? {}, correlationId, values };
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
  const answered = type === JSON_TYPE ? JSON.parse(content) : Buffer.from(content);
  return { body: answered, content_type: type, headers: (isWhole && given.headers) || {}, status_code: 200 };
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

function describeResult({ head, body }, { messages, logs }) {
  const [status, contentType, headers] = head;
  // As with a worker: an event that failed sends nothing.
  if (status >= FAILED) messages.length = 0;
  return {
    status_code: status,
    content_type: contentType,
    headers: headers ?? {},
    body: contentType === JSON_TYPE && body.length ? JSON.parse(body) : body,
    logs,
    outputs: new Proxy({}, { get: (_target, name) => listSent(messages, name) }),
  };
}

/* Return the bodies that were sent to one output; the messages, with key, headers and values, are beside them. */
function listSent(messages, name) {
  const sent = messages.filter((message) => message.output === name);
  const bodies = sent.map((message) => message.body);
  return Object.defineProperty(bodies, 'messages', { value: sent });
}

function list(main) {
  const names = Object.entries(main ?? {}).filter(([, value]) => typeof value === 'function');
  return names.map(([name]) => name).join(', ') || 'none';
}

module.exports = { invoke, openContext };
