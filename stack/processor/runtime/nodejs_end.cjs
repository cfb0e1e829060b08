/*
 * When the process may end that was told to stop: once nothing is under way that the author's code has begun.
 *
 * What is under way keeps Node.js running, and so do connections that are kept open for the next event, such as that to
 * a broker with its heartbeats. So intervals do not count from then on, and connections only while something happens.
 */
'use strict';

const { createHook, executionAsyncId } = require('node:async_hooks');
const { syncBuiltinESMExports } = require('node:module');
const timers = require('node:timers');

// The longest that it may take, how long all has to be silent, and between two looks at that, in milliseconds.
const LINGER = 3000;
const SILENCE = 1000;
const LOOK = 50;
// What is no work by itself. Requests, timers, files and processes have other names.
const CONNECTIONS = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'UDPWrap', 'TTYWrap']);

let intervals = [];
let most = 100;

/* Have intervals known; before the author's code is loaded. */
function watchIntervals() {
  const start = timers.setInterval;
  timers.setInterval = globalThis.setInterval = function setInterval(...parameters) {
    const interval = start(...parameters);
    if (intervals.length >= most) {
      intervals = intervals.filter((one) => one.deref());
      most = 2 * intervals.length + 100;
    }
    intervals.push(new WeakRef(interval));
    return interval;
  };
  syncBuiltinESMExports();
}

/* Call `done` once nothing is under way; `since` is when something happened last. Without anything open, Node.js ends. */
function awaitSilence(since, done) {
  const deadline = Date.now() + LINGER;
  let own = 0;
  const hook = createHook({
    before(id) {
      if (id !== own) since = Date.now();
    },
  });
  const look = setTimeout(() => {
    if (!own) {
      own = executionAsyncId();
      hook.enable();
      look.refresh();
      return;
    }
    const now = Date.now();
    const isBusy = process.getActiveResourcesInfo().some((type) => !CONNECTIONS.has(type));
    if (now > deadline || (now - since > SILENCE && !isBusy)) done();
    else look.refresh();
  }, LOOK).unref();
  for (const interval of intervals) interval.deref()?.unref();
}

module.exports = { awaitSilence, watchIntervals };
