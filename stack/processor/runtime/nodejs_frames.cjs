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
  let parts = [];
  let available = 0;
  let needed = PREFIX_BYTES;

  socket.on('data', (chunk) => {
    parts.push(chunk);
    available += chunk.length;
    if (available < needed) return;
    const bytes = parts.length === 1 ? chunk : Buffer.concat(parts);
    let start = 0;
    needed = PREFIX_BYTES;
    while (available - start >= needed) {
      const head = start + PREFIX_BYTES;
      const body = head + bytes.readUInt32BE(start);
      const end = body + bytes.readUInt32BE(start + 4);
      needed = end - start;
      if (end > available) break;
      const letter = String.fromCharCode(bytes[start + 12]);
      receive(letter, JSON.parse(bytes.utf8Slice(head, body)), bytes.subarray(body, end), bytes.readUInt32BE(start + 8));
      start = end;
      needed = PREFIX_BYTES;
    }
    available -= start;
    parts = available ? [bytes.subarray(start)] : [];
    pause();
  });
}

module.exports = { build, readFrames };
