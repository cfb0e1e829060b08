// What becomes of events whose handler answers later, twice, or not at all.
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const held = [];
let begun = 0;

/* Connect to a server of our own, in another process, which says something after some seconds. */
function connect(seconds = 1000) {
  const code = `require('net').createServer((one) => setTimeout(() => one.write('x'), ${seconds * 1000}))
    .listen(0, function () { console.log(this.address().port); }); setTimeout(process.exit, 20000)`;
  const server = require('node:child_process').spawn(process.execPath, ['-e', code]);
  server.unref();
  return new Promise((done) => {
    server.stdout.once('data', (port) => {
      server.stdout.destroy();
      server.stderr.destroy();
      const peer = require('node:net').connect(Number(port), '127.0.0.1', () => done(peer));
    });
  });
}

exports.handler = async (context, event) => {
  begun += 1;
  const [what, value] = event.body.toString().split(' ');
  if (what === 'sleep') await sleep(Number(value));
  if (what === 'reject') throw new TypeError('rejected');
  if (what === 'float') Promise.reject(new Error('floating')); // and no answer
  else if (what === 'timer') setTimeout(() => { throw new Error('in a timer'); }, 1);
  else if (what === 'never') return;
  else if (what === 'exit') process.exit(Number(value));
  else if (what === 'float-after') { context.callback('answered'); sleep(0.1).then(() => { throw new Error('floating late'); }); }
  else if (what === 'timer-after') {
    const own = begun;
    context.callback('answered');
    // Once the next event has begun.
    setInterval(() => { if (begun > own) throw new Error('in a late timer'); }, 50);
  }
  else if (what === 'leave') { context.callback('left'); process.exit(Number(value)); }
  else if (what === 'abort') process.kill(process.pid, 'SIGSEGV');
  else if (what === 'busy') for (;;);
  else if (what === 'hold') { held.push(context.callback); context.callback('held'); }
  else if (what === 'release') { held.pop()('late'); context.callback('released'); }
  else if (what === 'connect') { await connect(); setInterval(() => 0, 10000); context.callback('connected'); }
  else if (what === 'fetch') {
    const peer = await connect(Number(value));
    peer.once('data', () => context.logger.info('done afterwards'));
    context.callback('answered');
  }
  else if (what === 'after') { context.callback('answered'); sleep(Number(value)).then(() => context.logger.info('done afterwards')); }
  else { context.callback(`${what} ${process.pid}`); context.callback('twice'); }
};
