// Publishes a temperature over MQTT for each HTTP request: the body's number, or a random one.
'use strict';

const mqtt = require('mqtt');

const TOPIC = 'iot/sensors/temperature';

// Connects once for each worker; the client connects again by itself when the broker was away.
exports.initContext = async (context) => {
  context.userData.client = await mqtt.connectAsync(process.env.MQTT_URL);
};

exports.handler = async (context, event) => {
  const value = readTemperature(event.body.toString().trim());
  const { client } = context.userData;
  if (value === null) {
    context.callback([400, 'the body should be a number such as 21.5']);
  } else if (!client.connected) {
    context.callback([503, 'the broker is away; try again in a moment']);
  } else {
    await client.publishAsync(TOPIC, value, { qos: 1 });
    context.callback(`send ${value}`);
  }
};

function readTemperature(text) {
  if (text === '') {
    return (15 + Math.random() * 15).toFixed(1);
  }
  return Number.isFinite(Number(text)) ? text : null;
}
