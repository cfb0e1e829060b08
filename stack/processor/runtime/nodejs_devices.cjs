/*
 * `context.devices`: calls of devices and their twins, asked of the service `devices` over `context.request`. What it
 * does is what stack/processor/devices.py does.
 */
'use strict';

const CALL_REQUESTS = 'tidegate/requests/call';
const TWIN_REQUESTS = 'tidegate/requests/twin';
// Seconds: for how long an answer is waited for, the longest, and what the service may take besides.
const WAIT = 10;
const MOST_WAIT = 300;
const SERVICE_SECONDS = 10;
const NAME = /^[A-Za-z0-9_-]{1,63}$/;

class DeviceError extends Error {
  get name() {
    return 'DeviceError';
  }
}

class Device {
  #ask;

  constructor(name, ask) {
    this.name = name;
    this.#ask = ask;
  }

  /* Have the device do something; the promise is of what it answers. */
  async call(method, data = null, { wait = WAIT, expires = '' } = {}) {
    const seconds = Number(wait);
    if (!(seconds >= 0 && seconds <= MOST_WAIT)) {
      throw new RangeError(`wait should be seconds, at most ${MOST_WAIT}, not ${wait}`);
    }
    const lasts = expires || (seconds ? `${Math.max(1, Math.round(seconds * 1000))}ms` : '1h');
    const asked = { device: this.name, method, data, wait: seconds, expires: lasts };
    const made = await this.#request(CALL_REQUESTS, asked, seconds);
    if (made.state === 'refused') throw new DeviceError(`${this.name} refused ${method}: ${made.answer}`);
    if (made.state !== 'answered' && seconds) {
      const rest = expires ? `; it has until ${made.expires}` : '';
      const late = new Error(`${this.name} has not answered ${method} within ${seconds} s${rest}`);
      throw Object.assign(late, { name: 'TimeoutError' });
    }
    return made.answer;
  }

  /* A promise of the twin: `desired`, `reported`, `delta` and the `version` of the desired. */
  get twin() {
    return this.#change({});
  }

  /* Change what the device should be like: null takes a value away, and objects are merged (RFC 7396). */
  set(values, { version = null } = {}) {
    return this.#change({ set: values, version });
  }

  async #change(change) {
    const found = await this.#request(TWIN_REQUESTS, { device: this.name, ...change }, 0);
    return { desired: found.desired, reported: found.reported, delta: found.delta, version: found.desiredVersion };
  }

  async #request(topic, document, wait) {
    const answer = await this.#ask(topic, document, wait + SERVICE_SECONDS);
    if (answer?.error !== undefined) throw new DeviceError(String(answer.error));
    return answer;
  }
}

/* Devices by their names; `ask` gives a promise of what the service answers to a document at a topic. */
function openDevices(ask) {
  return new Proxy({}, {
    get(_target, name) {
      if (typeof name !== 'string') return undefined;
      if (!NAME.test(name)) throw new TypeError(`'${name}' is no name of a device`);
      return new Device(name, ask);
    },
  });
}

/* Devices of a test: each has answers by method, and a `twin` with `desired` and `reported`. */
function prepareDevices(given) {
  return openDevices(async (topic, asked) => {
    const device = given[asked.device];
    if (!device) return { error: `There is no device ${asked.device}; devices has none` };
    return topic === TWIN_REQUESTS ? changeTwin(device, asked) : answerCall(device, asked);
  });
}

async function answerCall(device, { method, data }) {
  if (!(method in device)) return { state: 'queued', answer: null, expires: 'then' };
  const found = device[method];
  const answer = await (typeof found === 'function' ? found(data) : found);
  const isRefused = answer instanceof Error;
  return { state: isRefused ? 'refused' : 'answered', answer: isRefused ? answer.message : answer };
}

function changeTwin(device, { device: name, set, version: expected = null }) {
  const { desired = {}, reported = {}, version = 0 } = device.twin ?? {};
  if (expected !== null && expected !== version) {
    return { error: `What is desired of ${name} has version ${version} by now, and not ${expected}.` };
  }
  const twin = { desired: merge(desired, set ?? {}), reported, version: version + (set ? 1 : 0) };
  device.twin = twin;
  const differs = ([key, value]) => JSON.stringify(reported[key]) !== JSON.stringify(value);
  const delta = Object.fromEntries(Object.entries(twin.desired).filter(differs));
  return { desired: twin.desired, reported, delta, desiredVersion: twin.version };
}

function merge(before, patch) {
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
  if (!isObject(patch)) return patch;
  const known = isObject(before) ? before : {};
  const merged = Object.entries(patch).map(([key, value]) => [key, merge(known[key], value)]);
  const all = Object.entries({ ...known, ...Object.fromEntries(merged) });
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

module.exports = { openDevices, prepareDevices };
