/*
 * What nodejs.cjs makes of events, of answers and of errors, and where it finds a module: all that has no state.
 */
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { inspect } = require('node:util');
const { isAnyArrayBuffer, isPromise } = require('node:util/types');

const TEXT = 'text/plain';
const JSON_TYPE = 'application/json';
// What those ask for who show or await an object.
const ASKED = ['toJSON', 'then'];
// Of what an error came of, how much is told.
const MOST_CAUSES = 10;
// How long a module may take to be loaded once more, in milliseconds.
const PATIENCE = 5000;
// What the paths of these files begin with.
const OWN = path.join(__dirname, 'nodejs');

function makeEvent(head, body) {
  return {
    body,
    'content-type': head[4],
    content_type: head[4],
    fields: head[2],
    headers: head[3],
    id: head[0],
    method: head[5],
    num_shards: 0,
    offset: 0,
    path: head[6],
    shard_id: -1,
    size: head[1],
    timestamp: new Date(head[7]),
    topic: head[8],
    trigger: { kind: head[9], name: head[10] },
    type: head[11],
    type_version: head[12],
    url: head[13],
    version: head[14],
  };
}

class Response {
  constructor(body = null, headers = null, contentType = TEXT, statusCode = 200, bodyEncoding = 'text') {
    const isText = typeof body === 'string';
    this.body = isText ? body : JSON.stringify(body);
    this.headers = headers;
    this.content_type = isText ? contentType : JSON_TYPE;
    this.status_code = statusCode;
    this.body_encoding = bodyEncoding;
  }
}

/* Return what is logged with a message as an object; errors, of which JSON has nothing, as their stacks. */
function toFields(fields) {
  if (fields instanceof Error) return { error: describe(fields).stack };
  const isObject = fields !== null && typeof fields === 'object' && !Array.isArray(fields);
  if (!isObject || typeof fields.toJSON === 'function') return { value: fields };
  const isError = (value) => value instanceof Error && typeof value.toJSON !== 'function';
  if (!Object.values(fields).some(isError)) return fields;
  const show = (value) => (isError(value) ? describe(value).stack : value);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, show(value)]));
}

function encode(value) {
  if (value instanceof Response) return encodeResponse(value);
  if (Array.isArray(value) && value.length === 2 && typeof value[0] === 'number') return encodePlain(...value);
  return encodePlain(200, value);
}

function encodePlain(status, value) {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return { head: [status, TEXT, null], body: value };
  return { head: [status, JSON_TYPE, null], body: JSON.stringify(value) ?? '' };
}

function encodeResponse({ body, headers, content_type, status_code, body_encoding }) {
  const head = [status_code, content_type, toTexts(headers)];
  if (typeof body === 'string') return { head, body: body_encoding === 'base64' ? Buffer.from(body, 'base64') : body };
  return { head, body: Buffer.isBuffer(body) ? body : (JSON.stringify(body) ?? '') };
}

/* Return what is sent, and in what form: bytes and texts as they are, all else as JSON. */
function encodeMessage(where, body) {
  if (typeof body === 'string') return { content: body, form: 'text' };
  if (ArrayBuffer.isView(body) || isAnyArrayBuffer(body)) return { content: copyBytes(body), form: 'bytes' };
  // JSON would have {} in its place.
  if (isPromise(body)) throw new TypeError(`${where}: got a promise; send what it comes to, by await`);
  const content = JSON.stringify(body);
  if (content === undefined) throw new TypeError(`${where}: JSON has no ${typeof body}`);
  return { content, form: 'json' };
}

/* Return the bytes of a Buffer, of another array or view, or of a memory that such have. */
function copyBytes(body) {
  const { buffer = body, byteOffset = 0, byteLength } = body;
  return Buffer.from(Buffer.from(buffer, byteOffset, byteLength));
}

function toTexts(headers) {
  // A Map, and the Headers of fetch, have their entries in a method.
  const all = typeof headers?.entries === 'function' ? [...headers.entries()] : Object.entries(headers ?? {});
  const entries = all.filter(([, value]) => value !== undefined && value !== null);
  const text = (value) => (typeof value === 'object' && !Array.isArray(value) ? JSON.stringify(value) : String(value));
  return entries.length ? Object.fromEntries(entries.map(([name, value]) => [name, text(value)])) : null;
}

// Errors.

/*
 * Return an error's name, its text, and its stack without the frames of this file and of Node.js, with the stacks of
 * what it came of: of a connection that failed, that alone says why.
 */
function describe(error) {
  if (!(error instanceof Error)) return { name: 'Error', message: toText(error), stack: '' };
  const causes = findCauses(error);
  const message = String(error.message) || causes.map(({ text }) => text).join('; ');
  let stack = shortenStack(error);
  for (const cause of causes) {
    const line = `Caused by: ${cause.stack}`;
    // Some libraries put it into the stack themselves.
    if (!stack.includes(line)) stack += `\n${line}`;
  }
  return { name: String(error.name), message, stack };
}

/* Return the text and the stack of each error that one came of, the nearest first. */
function findCauses(error) {
  const found = [];
  const seen = new Set([error]);
  for (const one of seen) {
    if (one !== error) found.push(one instanceof Error ? describeOne(one) : { text: toText(one), stack: toText(one) });
    const nearer = [one?.cause, ...(one instanceof AggregateError ? one.errors : [])];
    for (const next of nearer) if (next !== undefined && next !== null && seen.size <= MOST_CAUSES) seen.add(next);
  }
  return found;
}

/*
 * Have an error of loading a module say where it is. Of an ECMAScript module that cannot be read only Node.js itself
 * says that, when it ends by the error.
 */
function locate(error, file) {
  if (!(error instanceof SyntaxError) || shortenStack(error).includes('\n')) return error;
  const code = `import(${JSON.stringify(pathToFileURL(file).href)})`;
  // Without a debugger, of which there is one already.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const parameters = ['--no-warnings', '-e', code];
  const { stderr } = spawnSync(process.execPath, parameters, { encoding: 'utf8', env, timeout: PATIENCE });
  const place = /^file:\/\/(.+:\d+\n[^]+?)\n\n/.exec(stderr ?? '');
  if (place) error.stack = `${place[1]}\n${error.stack}`;
  return error;
}

function describeOne(error) {
  return { text: String(error.message), stack: shortenStack(error) };
}

function shortenStack(error) {
  const isOwn = (line) => !/^\s+at /.test(line) || !(line.includes(OWN) || line.includes('node:'));
  return String(error.stack ?? '').split('\n').filter(isOwn).join('\n');
}

function toText(value) {
  return typeof value === 'string' ? value : inspect(value);
}

function tell(error) {
  try {
    const { name, message, stack } = describe(error);
    return [name, message, stack];
  } catch {
    return ['Error', '(it has no text that can be shown)', ''];
  }
}

// Modules.

function resolve(stem) {
  try {
    return require.resolve(stem);
  } catch (error) {
    const found = ['.mjs', '.cjs'].map((suffix) => stem + suffix).find((one) => fs.existsSync(one));
    if (found) return found;
    const folder = path.dirname(stem);
    const names = fs.existsSync(folder) ? fs.readdirSync(folder).filter((one) => /\.[cm]?js$/.test(one)) : [];
    error.message = `there is no ${stem}.js; files there: ${names.join(', ') || 'none'}`;
    error.stack = '';
    throw error;
  }
}

/* Return whether a file is an ECMAScript module: by its suffix, or by the package.json that counts for it. */
function isModule(file) {
  if (!file.endsWith('.js')) return file.endsWith('.mjs');
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const description = path.join(folder, 'package.json');
    if (fs.existsSync(description)) return readJson(description)?.type === 'module';
    if (folder === path.dirname(folder)) return false;
  }
}

/* Return what a file holds; as Node.js does, a byte order mark is passed over. */
function readJson(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8').replace(/^\ufeff/, ''));
}

module.exports = {
  ASKED,
  JSON_TYPE,
  Response,
  TEXT,
  describe,
  encode,
  encodeMessage,
  isModule,
  locate,
  makeEvent,
  resolve,
  tell,
  toFields,
  toTexts,
};
