// The reference for HTTP requests: Node.js's own server, which answers with the body. Argument: its port.
const http = require('node:http');

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    response.setHeader('Content-Type', 'text/plain');
    response.end(Buffer.concat(pieces));
  });
});

server.listen(Number(process.argv[2]), '127.0.0.1');
