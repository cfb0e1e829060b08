// Publishes a temperature over AMQP for each HTTP request: the body's number, or a random one.
'use strict';

const amqp = require('amqplib');

const EXCHANGE = 'iot/sensors';
const KEY = 'temperature';
let opening = null;

exports.handler = async (context, event) => {
  const value = readTemperature(event.body.toString().trim());
  if (value === null) {
    context.callback([400, 'the body should be a number such as 21.5']);
    return;
  }
  const channel = await openChannel();
  channel.publish(EXCHANGE, KEY, Buffer.from(value));
  await channel.waitForConfirms();
  context.callback(`send ${value}`);
};

// Connects once for each worker, and again when the connection was lost.
function openChannel() {
  opening ??= connect().catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

async function connect() {
  const connection = await amqp.connect(process.env.BROKER_URL);
  connection.on('error', () => {});
  connection.on('close', () => {
    opening = null;
  });
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EXCHANGE, 'topic', { durable: false });
  return channel;
}

function readTemperature(text) {
  if (text === '') {
    return (15 + Math.random() * 15).toFixed(1);
  }
  return Number.isFinite(Number(text)) ? text : null;
}
