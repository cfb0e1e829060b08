/*
 * Counts events where the benchmark can see them. Node.js maps no files, so what was counted is written every 2 ms.
 */
const { openSync, writeSync } = require('node:fs');

exports.openCount = () => {
  const file = openSync(process.env.BENCH_COUNTER, 'r+');
  const bytes = Buffer.alloc(8);
  let count = 0;
  let written = 0;
  setInterval(() => {
    if (count === written) return;
    written = count;
    bytes.writeBigUInt64LE(BigInt(count));
    writeSync(file, bytes, 0, 8, 0);
  }, 2);
  return () => {
    count += 1;
  };
};
