// The reference for events over AMQP: amqplib; each message is counted and acknowledged.
// Arguments: the broker's URL, the queue, how many messages may wait here.
const amqp = require('amqplib');

const { openCount } = require('./counter.js');

async function main(url, queue, prefetch) {
  const count = openCount();
  const channel = await (await amqp.connect(url)).createChannel();
  await channel.prefetch(Number(prefetch));
  await channel.consume(queue, (message) => {
    count();
    channel.ack(message);
  });
}

main(...process.argv.slice(2));
