/*
 * Outputs in a test of Node.js: those of the function.yaml beside it, which send nothing and keep what they were given.
 */
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { ASKED, encodeMessage, toTexts } = require('./nodejs_values.cjs');

// Tidegate's Python, which reads YAML; functions/node_modules/tidegate names it.
const PYTHON = 'TIDEGATE_PYTHON';
const READ = `
import json, sys, yaml
spec = (yaml.safe_load(open(sys.argv[1])) or {}).get("spec") or {}
print(json.dumps({"outputs": spec.get("outputs") or {}, "onSuccess": spec.get("onSuccess")}))
`;
const PLACEHOLDER = /\{(\w+)\}/g;

/* Return what the function.yaml of a folder says of outputs; null where there is none, and so outputs of every name. */
function readOutputs(folder) {
  const file = path.join(folder, 'function.yaml');
  if (!process.env[PYTHON] || !fs.existsSync(file)) return null;
  return JSON.parse(execFileSync(process.env[PYTHON], ['-c', READ, file], { encoding: 'utf8' }));
}

/* Fail for a name that is no output's. */
function checkName(known, name) {
  if (!known || typeof name !== 'string' || name in known.outputs) return;
  const names = Object.keys(known.outputs).join(', ') || 'none';
  throw new TypeError(`function.yaml has no output '${name}' in spec.outputs; it has ${names}`);
}

/* Return a message as it was given to an output, with its `address`: the routing key or the topic, filled in. */
function buildMessage(known, output, body, options = {}) {
  const { key = null, headers = null, correlationId = null, now = false, ...values } = options;
  const { content, form } = encodeMessage(`output ${output}`, body);
  const sent = form === 'json' ? JSON.parse(content) : form === 'bytes' ? Buffer.from(content) : content;
  const address = known ? fillAddress(known.outputs[output], key, values) : (key ?? '');
  return { output, body: sent, address, key, headers: toTexts(headers) ?? {}, correlationId, now, values };
}

function fillAddress({ exchange, routingKey, topic }, key, values) {
  const template = topic ?? routingKey ?? '';
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name);
  const unknown = Object.keys(values).find((name) => !names.includes(name));
  if (unknown) throw new TypeError(`send() got ${unknown}, which is no placeholder of the output`);
  if (key !== null && !exchange) {
    throw new TypeError('send() got a key, which only a rabbit-mq output with an exchange takes');
  }
  if (key !== null) return String(key);
  const missing = names.find((name) => !(name in values));
  if (missing) throw new TypeError(`send() needs ${missing}, for {${missing}} of ${template}`);
  return template.replace(PLACEHOLDER, (_all, name) => String(values[name]));
}

/* Return an object that has every output as a property: those of `there`, and else what `open` makes of a name. */
function openNames(known, there, open) {
  return new Proxy(there, {
    get(target, name) {
      const isAsked = ASKED.includes(name) && !known?.outputs[name];
      if (name in target || typeof name !== 'string' || isAsked) return target[name];
      checkName(known, name);
      return open(name);
    },
  });
}

/* Messages that were sent, by output: their bodies, with the whole messages beside them. */
class SentMessages {
  constructor() {
    this.byOutput = {};
  }

  add(message) {
    this.byOutput[message.output] ??= openList();
    this.byOutput[message.output].push(message.body);
    this.byOutput[message.output].messages.push(message);
  }

  /* Forget what an event that failed would have sent once it was over. */
  discard() {
    const left = Object.values(this.byOutput).flatMap(({ messages }) => messages.filter(({ now }) => now));
    for (const name of Object.keys(this.byOutput)) delete this.byOutput[name];
    for (const message of left) this.add(message);
  }
}

function openList() {
  return Object.defineProperty([], 'messages', { value: [] });
}

module.exports = { SentMessages, buildMessage, openList, openNames, readOutputs };
