// What the suites share: a client of the server under test and streams of their own.
const { after } = require("node:test");
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { EventStoreDBClient, jsonEvent } = require("@eventstore/db-client");

const url = process.env.NODECLIENT_URL;
const client = EventStoreDBClient.connectionString(url);
after(() => client.dispose());

// credentials given with a call make the client use Append in place of BatchAppend.
function credentials() {
  const { username, password } = new URL(url.replace(/^esdb(\+discover)?:/, "http:"));
  return { username: username || "admin", password: password || "changeit" };
}

const stream = () => `nodeclient-${randomUUID()}`;
const event = (type = "happened") => jsonEvent({ type, data: { some: "data" }, metadata: { by: "test" } });
const events = (n) => Array.from({ length: n }, (_, i) => event(`e${i}`));
const write = (name, ...all) => client.appendToStream(name, all);

// collect reads to the end, or as many as limit.
async function collect(reading, limit = Infinity) {
  const all = [];
  for await (const e of reading) {
    all.push(e);
    if (all.length >= limit) break;
  }
  return all;
}

const revisions = (all) => all.map((e) => Number((e.link ?? e.event).revision));
const types = (all) => all.map((e) => e.event.type);

// told waits for an event of an emitter, and fails with its error.
function told(emitter, name) {
  return new Promise((resolve, reject) => {
    emitter.once(name, resolve);
    emitter.once("error", reject);
  });
}

// next gives a subscription's events one by one, each within the time.
function next(subscription) {
  const waiting = [];
  const come = [];
  subscription.on("data", (e) => (waiting.length ? waiting.shift()(e) : come.push(e)));
  const take = () =>
    come.length
      ? Promise.resolve(come.shift())
      : new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error("no event came")), 10_000);
          waiting.push((e) => (clearTimeout(timer), resolve(e)));
        });
  take.idle = () => come.length === 0;
  return take;
}

// until asks until the answer satisfies.
async function until(what, ask) {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`waited in vain for ${what}`);
}

module.exports = {
  assert, client, collect, credentials, event, events, next, revisions, stream, told, types, until, url, write,
};
