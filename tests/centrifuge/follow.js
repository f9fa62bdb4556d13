// Runs the published client against a control plane and prints what it hears, a JSON object a line.
//
//   TOKEN=… TOKEN_FILE=… NODE_EXTRA_CA_CERTS=ca.pem node follow.js wss://host:port/connection/websocket CHANNEL…
//
// TOKEN is what it connects with; TOKEN_FILE has what it gets when that is over. It ends when stdout is closed.
'use strict';

const fs = require('fs');
const WebSocket = require('ws');

require('./centrifuge.js');

const say = (event, about) => process.stdout.write(JSON.stringify({ event, ...about }) + '\n');
process.stdout.on('error', () => process.exit(0));

const [url, ...channels] = process.argv.slice(2);

const client = new globalThis.Centrifuge(url, {
  websocket: WebSocket,
  token: process.env.TOKEN,
  getToken: async () => {
    say('token-wanted', {});
    return fs.readFileSync(process.env.TOKEN_FILE, 'utf8').trim();
  },
  // A test does not wait as long as a person does.
  minReconnectDelay: 50,
  maxReconnectDelay: 500,
});

for (const name of ['connecting', 'disconnected']) {
  client.on(name, ({ code, reason }) => say(name, { code, reason }));
}
client.on('connected', () => say('connected', {}));
client.on('error', ({ type, error }) => say('error', { type, code: error.code }));

for (const channel of channels) {
  const subscription = client.newSubscription(channel);
  subscription.on('subscribed', ({ recovered, wasRecovering, streamPosition }) =>
    say('subscribed', { channel, recovered, wasRecovering, streamPosition }));
  subscription.on('publication', ({ offset, data }) => say('publication', { channel, offset, data }));
  subscription.on('unsubscribed', ({ code, reason }) => say('unsubscribed', { channel, code, reason }));
  subscription.subscribe();
}

client.connect();
