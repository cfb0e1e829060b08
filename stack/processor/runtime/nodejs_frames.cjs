/*
 * The frames between nodejs.cjs and its worker: built, and found in what is read.
 */
'use strict';

const PREFIX_BYTES = 13;
const NOTHING = Buffer.alloc(0);

function build(letter, head, body = NOTHING, number = 0) {
  const text = JSON.stringify(head);
  const headBytes = Buffer.byteLength(text);
  const isText = typeof body === 'string';
  const bodyBytes = isText ? Buffer.byteLength(body) : body.length;
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + headBytes + bodyBytes);
  frame.writeUInt32BE(headBytes, 0);
  frame.writeUInt32BE(bodyBytes, 4);
  frame.writeUInt32BE(number, 8);
  frame.write(letter, 12, 1, 'latin1');
  frame.write(text, PREFIX_BYTES);
  if (isText) frame.write(body, PREFIX_BYTES + headBytes);
  else body.copy(frame, PREFIX_BYTES + headBytes);
  return frame;
}

/* Call `receive` with what each frame has that comes from a socket, and `pause` when there is no more for now. */
function readFrames(socket, receive, pause) {
  const parts = [];
  let available = 0;
  let prefix = null;

  function take(count) {
    let part = parts[0];
    if (part.length < count) {
      part = Buffer.concat(parts);
      parts.length = 0;
      parts.push(part);
    }
    available -= count;
    if (part.length === count) parts.shift();
    else parts[0] = part.subarray(count);
    return part.subarray(0, count);
  }

  socket.on('data', (chunk) => {
    parts.push(chunk);
    available += chunk.length;
    for (;;) {
      if (!prefix) {
        if (available < PREFIX_BYTES) break;
        const bytes = take(PREFIX_BYTES);
        const [head, body, number] = [0, 4, 8].map((offset) => bytes.readUInt32BE(offset));
        prefix = { head, body, number, letter: bytes.latin1Slice(12, 13) };
      }
      if (available < prefix.head + prefix.body) break;
      const { head, body, number, letter } = prefix;
      prefix = null;
      const text = take(head).utf8Slice();
      receive(letter, JSON.parse(text), body ? take(body) : Buffer.alloc(0), number);
    }
    pause();
  });
}

module.exports = { build, readFrames };
