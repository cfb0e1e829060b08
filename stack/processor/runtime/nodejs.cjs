/*
 * The process of a Node.js handler: takes events from its worker over a socket, and gives the outcome of each.
 *
 * A frame is the length of its head, that of its body and the number of the event that it is about, four bytes each, a
 * letter, the head as JSON, and the body as it is. Events wait here for their turn; one is handled at a time, and their
 * outcomes go back in the same order, each before the next event begins: what has no outcome when this process dies is
 * what it died of.
 */
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const net = require('node:net');
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { inspect } = require('node:util');

const { openDevices } = require('./nodejs_devices.cjs');
const { awaitSilence, watchIntervals } = require('./nodejs_end.cjs');
const { build, readFrames } = require('./nodejs_frames.cjs');
const { CALL, Platform, openOutputs, openRequests } = require('./nodejs_outgoing.cjs');
const values = require('./nodejs_values.cjs');

const { Response, describe, encode, isModule, locate, makeEvent, resolve, tell, toFields } = values;

const DESCRIPTOR = Number(process.argv[2]);
// How long an export may take to be there, and how often it is looked for, in milliseconds.
const EXPORT_PATIENCE = 10000;
const EXPORT_LOOK = 20;
// How long a handler that has returned may take to answer before that is told, in milliseconds.
const ANSWER_PATIENCE = 5000;
// Events that are begun before the author's own sockets and timers get their turn.
const AT_ONCE = 32;

const socket = new net.Socket({ fd: DESCRIPTOR, readable: true, writable: true });

// Writing: at once, unless the worker does not read.

let backlog = false;

function send(letter, head, body) {
  write(build(letter, head, body));
}

function write(frame) {
  let written = 0;
  while (!backlog && written < frame.length) {
    try {
      written += fs.writeSync(DESCRIPTOR, frame, written);
    } catch (error) {
      if (error.code !== 'EAGAIN') process.exit(1);
      backlog = true;
    }
  }
  if (written < frame.length) {
    socket.write(frame.subarray(written), () => {
      backlog = socket.writableLength > 0;
      pump();
    });
  }
}

function exitWhenSent(code) {
  if (backlog) socket.end(() => process.exit(code));
  else process.exit(code);
}

// Reading.

readFrames(socket, receive, () => pump());

// The worker is gone, and with it those who wait for an outcome.
socket.on('close', () => process.exit(isStopping ? 0 : 1));
socket.on('error', () => process.exit(1));

function receive(letter, head, body, number) {
  // A copy, as what is read holds other events too: an author may give the memory of a body away, or write into it, or
  // read numbers from it, which have to be at a multiple of their size.
  if (letter === 'E') waiting.push({ number, event: makeEvent(head, Buffer.from(body)) });
  else if (letter === 'H') load(head);
  else if (letter === 'I') initialise(head);
  else if (letter === 'A') requests.settle(head, body);
  else if (letter === 'C') recall(new Set(head));
  else if (letter === 'S') stop();
}

// What an author sees.

function log(level, message, fields = {}) {
  const text = typeof message === 'string' ? message : inspect(message);
  try {
    send('L', [level, text, toFields(fields)]);
  } catch {
    send('L', [level, text, { value: inspect(fields) }]);
  }
}

const logger = {};
for (const [name, level] of [['error', 'error'], ['warn', 'warning'], ['info', 'info'], ['debug', 'debug']]) {
  logger[name] = logger[`${name}With`] = (message, fields) => log(level, message, fields);
}

// All events have one context, but for its callback, which is bound to the event that it was given with.
let userData = {};
const shared = {
  Response,
  logger,
  callback: (value) => answer(current, value),
  get userData() {
    return userData;
  },
  set userData(value) {
    userData = value;
  },
};

let outputNames = [];
const requests = openRequests(send);
shared.request = requests.request;
shared.devices = openDevices(async (topic, document, timeout) => {
  const { body } = await requests.request(topic, document, { timeout });
  return body;
});

Object.defineProperty(shared, 'outputs', {
  enumerable: true,
  get() {
    const call = this[CALL];
    return openOutputs(outputNames, () => isLate(call), send, requests);
  },
});

/* Return whether an output is used outside of events: that it was taken from, which may be over, and any other. */
function isLate(call) {
  return [call, calls.getStore()].every((one) => !one || one.isDone);
}

/* What an author puts into it is there for every event, whenever that is done; but for a callback of the author's own. */
function openContext(call) {
  let callback = (value) => answer(call, value);
  return new Proxy(shared, {
    get(target, name, self) {
      if (name === 'callback') return callback;
      return name === CALL ? call : Reflect.get(target, name, self);
    },
    set(target, name, value) {
      if (name === 'callback') callback = value;
      else target[name] = value;
      return true;
    },
  });
}

// Loading.

let exported = () => undefined;
let exportName = 'handler';
let handler = null;

function load({ folder, file, name }) {
  watchIntervals();
  // Node.js keeps what it has compiled where NODE_COMPILE_CACHE says, or below its folder for temporary files.
  enableCompileCache?.();
  exportName = name;
  loadModule(path.join(folder, file)).then(awaitExport).catch(giveUp);
}

async function loadModule(stem) {
  const file = resolve(stem);
  try {
    await importModule(file);
  } catch (error) {
    throw locate(error, file);
  }
  return file;
}

async function importModule(file) {
  if (isModule(file)) {
    const namespace = await import(pathToFileURL(file).href);
    exported = () => ({ ...namespace.default, ...namespace });
  } else {
    require(file);
    exported = () => require(file);
  }
}

async function awaitExport(file) {
  const deadline = Date.now() + EXPORT_PATIENCE;
  while (exported()?.[exportName] === undefined) {
    if (Date.now() > deadline) {
      const names = Object.entries(exported() ?? {}).filter(([, value]) => typeof value === 'function');
      const there = names.map(([name]) => name).join(', ') || 'none';
      throw new Error(`${file} has no export ${inspect(exportName)}; functions there: ${there}`);
    }
    await new Promise((done) => setTimeout(done, EXPORT_LOOK));
  }
  handler = exported()[exportName];
  if (typeof handler !== 'function') {
    throw new Error(`${file}: the export ${inspect(exportName)} should be a function`);
  }
  send('R', null);
}

async function initialise({ outputs, namespace }) {
  outputNames = outputs;
  shared.platform = new Platform(namespace);
  try {
    await exported()?.initContext?.(shared);
    isReady = true;
    latestEnd = Date.now();
    send('R', null);
  } catch (error) {
    giveUp(error);
  }
}

function giveUp(error) {
  send('X', tell(error));
  exitWhenSent(1);
}

// Handling.

// Of which event code is, also after it has waited.
const calls = new AsyncLocalStorage();
const waiting = [];
let current = null;
let isPumping = false;
let isPlanned = false;
let isReady = false;
let isStopping = false;
let isQuitting = false;
let isLeaving = false;
let hasWarned = false;
let latestEnd = 0;
let begun = 0;

function pump() {
  if (isPumping || isPlanned || isQuitting) return;
  isPumping = true;
  while (waiting.length && !current && !backlog) {
    if (begun >= AT_ONCE) {
      plan();
      break;
    }
    begun += 1;
    handle(waiting.shift());
  }
  isPumping = false;
  if (isStopping) leaveWhenDone();
}

/* Drop those of some events that are not begun: their broker delivers them again. */
function recall(numbers) {
  const all = waiting.splice(0);
  waiting.push(...all.filter(({ number }) => !numbers.has(number)));
  send('C', all.map(({ number }) => number).filter((number) => numbers.has(number)));
}

/* Go on after the author's own sockets and timers. */
function plan() {
  isPlanned = true;
  setImmediate(() => {
    isPlanned = false;
    begun = 0;
    pump();
  });
}

function handle({ number, event }) {
  const call = { number, id: event.id, isDone: false };
  current = call;
  try {
    const result = calls.run(call, handler, openContext(call), event);
    if (typeof result?.then === 'function') result.then(() => expect(call), (error) => fail(call, error));
  } catch (error) {
    fail(call, error);
  }
}

/* Say once that what a handler returns is no answer, if one that has returned gives none. */
function expect(call) {
  if (call.isDone || hasWarned) return;
  setTimeout(() => {
    if (call.isDone || hasWarned) return;
    hasWarned = true;
    const what = 'its handler has returned, and only context.callback(…) answers an event';
    log('warning', `event ${call.id} is not answered: ${what}`);
  }, ANSWER_PATIENCE).unref();
}

function answer(call, value) {
  if (!call || call.isDone) {
    const which = call ? `event ${call.id}, which has been answered` : 'no event';
    log('warning', `context.callback was called for ${which}: what it was given is lost`);
    return;
  }
  let frame;
  try {
    const { head, body } = encode(value);
    frame = build('D', head, body, call.number);
  } catch (error) {
    fail(call, error);
    return;
  }
  end(call);
  write(frame);
}

function fail(call, error) {
  if (call.isDone) {
    log('error', `failed after event ${call.id} was answered`, { traceback: describe(error).stack });
    return;
  }
  end(call);
  write(build('X', tell(error), '', call.number));
}

function end(call) {
  call.isDone = true;
  current = null;
  latestEnd = Date.now();
  // The handler may be at work still: its turn ends first.
  if (!isPumping) queueMicrotask(pump);
}

// Errors that nothing catches.

process.on('unhandledRejection', (error) => {
  const call = calls.getStore();
  if (!isReady) giveUp(error);
  else if (call && !call.isDone) fail(call, error);
  else log('error', 'a promise was rejected, and nothing handles that', { traceback: describe(error).stack });
});

process.on('uncaughtException', (error) => {
  const { name, message, stack } = describe(error);
  if (!isReady) {
    giveUp(error);
    return;
  }
  log('error', 'an error that nothing catches ends the process', { exc: `${name}: ${message}`, traceback: stack });
  // Where it cannot be known whose error it is, it counts as that of the event that is being handled.
  const call = calls.getStore() ?? current;
  quit(call);
  if (call && !call.isDone) fail(call, error);
  exitWhenSent(1);
});

process.on('exit', () => quit(calls.getStore() ?? current));

/* Begin no other event; the worker is told it, which one is being handled, and whether that is what ends the process. */
function quit(call) {
  if (isQuitting || !isReady) return;
  isQuitting = true;
  send('Q', [current !== null && call === current, current?.number ?? 0]);
}

// The end: no event comes any more, and what the author has under way may end by itself.

function stop() {
  isStopping = true;
}

function leaveWhenDone() {
  if (waiting.length || current || isLeaving) return;
  isLeaving = true;
  socket.unref();
  awaitSilence(latestEnd, () => exitWhenSent(0));
}
