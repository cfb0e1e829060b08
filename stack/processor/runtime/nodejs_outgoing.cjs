/*
 * What an author sends by the context: messages to outputs and requests, which the worker sends, and calls of other
 * functions.
 */
'use strict';

const http = require('node:http');

const { ASKED, JSON_TYPE, TEXT, encodeMessage, toTexts } = require('./nodejs_values.cjs');

// The port of every function's http trigger on the stack's network.
const PORT = 8080;
const CALL = Symbol('call');
// Requests that are made at a time; others wait for one of them.
const MOST_REQUESTS = 100;
// Headers that are of one connection, or of one body; an author may pass an event's on.
const OWN = ['connection', 'content-length', 'expect', 'host', 'keep-alive', 'te', 'transfer-encoding', 'upgrade'];
// What has a meaning in Python's `send` alone.
const PYTHONS = ['body', 'correlation_id', 'self'];

const TYPES = { bytes: 'application/octet-stream', json: JSON_TYPE, text: TEXT };

/* Return a response's body as an object where it is JSON, else as it came. */
function readBody(type, body) {
  if (type !== JSON_TYPE) return body;
  try {
    return JSON.parse(body.toString());
  } catch {
    return body;
  }
}

class Output {
  #isLate;
  #dispatch;
  #requests;

  constructor(name, isLate, send, requests) {
    this.name = name;
    this.#isLate = isLate;
    this.#dispatch = send;
    this.#requests = requests;
  }

  /* Send a message; with `now` it leaves at once, and the promise that is returned is settled when it has arrived. */
  send(body, { key = null, headers = null, correlationId = null, now = false, ...values } = {}) {
    const foreign = PYTHONS.find((name) => name in values);
    if (foreign) {
      const known = "key, headers, correlationId, now and the output's placeholders";
      throw new TypeError(`output ${this.name}: send has no option ${foreign}; it has ${known}`);
    }
    const { content, form } = encodeMessage(`output ${this.name}`, body);
    const head = [this.#isLate(), this.name, form, key, toTexts(headers), correlationId, values];
    if (now) return this.#requests.make('send', head, content);
    this.#dispatch('O', head, content);
    return undefined;
  }
}

/*
 * Outputs: what is sent goes to the worker before the outcome of its event, and from there when that is no failure.
 * What is sent later, or by no event, which `isLate` says, leaves at once.
 */
function openOutputs(names, isLate, send, requests) {
  const outputs = Object.fromEntries(names.map((name) => [name, new Output(name, isLate, send, requests)]));
  return new Proxy(outputs, {
    get(target, name) {
      if (name in target || typeof name !== 'string' || ASKED.includes(name)) return target[name];
      const known = names.join(', ') || 'none';
      throw new TypeError(`function.yaml has no output '${name}' in spec.outputs; it has ${known}`);
    },
  });
}

/* What the worker does at once, such as requests over MQTT: each promise is settled when it says what came of it. */
function openRequests(send) {
  const asked = new Map();
  const waiting = [];
  let last = 0;

  async function request(topic, body = '', { timeout = 5, responseTopic = '' } = {}) {
    const seconds = Number(timeout);
    if (!Number.isFinite(seconds) || seconds < 0) throw new RangeError(`timeout should be seconds, not ${timeout}`);
    const { content, form } = encodeMessage('request', body);
    return make('request', [form, String(topic), seconds, String(responseTopic)], content);
  }

  function make(what, head, content) {
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject, head: [what, ...head], content });
      sendWaiting();
    });
  }

  function sendWaiting() {
    while (waiting.length && asked.size < MOST_REQUESTS) {
      const { head, content, ...promise } = waiting.shift();
      last += 1;
      asked.set(last, promise);
      send('A', [last, ...head], content);
    }
  }

  function settle([number, name, error, type, headers, status], body) {
    const { resolve, reject } = asked.get(number);
    asked.delete(number);
    sendWaiting();
    if (error !== null) reject(Object.assign(new Error(error), { name }));
    else if (!status) resolve();
    else resolve({ body: readBody(type, body), content_type: type, headers, status_code: status });
  }

  return { make, request, settle };
}

class Platform {
  constructor(namespace) {
    this.kind = 'local';
    this.namespace = namespace;
  }

  /* Return a promise of another function's response; the event's fields are those of an event, the time in seconds. */
  call_function(name, event = {}, { timeout = 0 } = {}) {
    const { body = '', method, path = '/', headers = {} } = event;
    const { content, form } = encodeMessage(`call of ${name}`, body);
    const given = Object.entries(toTexts(headers) ?? {}).filter(([header]) => !OWN.includes(header.toLowerCase()));
    const common = { 'Content-Type': event.content_type ?? TYPES[form], 'X-Nuclio-Target': name };
    return new Promise((resolve, reject) => {
      const request = http.request({
        agent: false,
        headers: { ...common, ...Object.fromEntries(given) },
        host: `nuclio-${this.namespace}-${name}`,
        method: method ?? (content.length ? 'POST' : 'GET'),
        // That of an event is decoded.
        path: path.replace(/[^!-~]+/g, encodeURIComponent),
        port: PORT,
        signal: timeout ? AbortSignal.timeout(timeout * 1000) : undefined,
      });
      const fail = (error) => reject(explain(name, timeout, error));
      request.on('error', fail);
      request.on('response', (response) => collect(response).then(resolve, fail));
      request.end(content);
    });
  }
}

/* Return an error that says which function could not be called, and why. */
function explain(name, timeout, error) {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') {
    const late = new Error(`the function ${name} has not answered within ${timeout} s`, { cause: error });
    return Object.assign(late, { name: 'TimeoutError' });
  }
  const failed = new Error(`the function ${name} cannot be called: ${error.message}`, { cause: error });
  return Object.assign(failed, { code: error.code });
}

async function collect(response) {
  const pieces = [];
  for await (const piece of response) pieces.push(piece);
  const type = response.headers['content-type'] ?? TEXT;
  const body = readBody(type, Buffer.concat(pieces));
  return { body, content_type: type, headers: response.headers, status_code: response.statusCode };
}

module.exports = { CALL, Platform, openOutputs, openRequests };
