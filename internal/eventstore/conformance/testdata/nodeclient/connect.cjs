const { describe, it } = require("node:test");
const { EventStoreDBClient } = require("@eventstore/db-client");
const { assert, client, collect, event, stream, told, url, write } = require("./common.cjs");

describe("the client", () => {
  it("knows what the server offers", async () => {
    const { serverVersion } = await client.capabilities;
    assert.match(serverVersion, /^\d+\.\d+\.\d+/);
    assert.ok(Number.parseInt(serverVersion) >= 23);
  });

  for (const preference of ["leader", "follower", "random"]) {
    it(`finds the server by gossip, preferring ${preference}`, async () => {
      const found = EventStoreDBClient.connectionString(
        `${url.replace(/^esdb:/, "esdb+discover:")}&nodePreference=${preference}`,
      );
      const name = stream();
      await found.appendToStream(name, event());
      assert.equal((await collect(found.readStream(name))).length, 1);
      await found.dispose();
    });
  }

  it("takes several hosts", async () => {
    const several = EventStoreDBClient.connectionString(url.replace(/(:\/\/(?:[^@/]*@)?)([^/?]+)/, "$1127.0.0.1:9,$2"));
    await several.appendToStream(stream(), event());
    await several.dispose();
  });

  it("may ask for the leader", async () => {
    const name = stream();
    await client.appendToStream(name, event(), { requiresLeader: true });
    assert.equal((await collect(client.readStream(name, { requiresLeader: true }))).length, 1);
  });

  it("stops a subscription without an error", async () => {
    const s = client.subscribeToStream(stream());
    await told(s, "confirmation");
    const ended = new Promise((resolve, reject) => s.once("end", resolve).once("close", resolve).once("error", reject));
    s.resume();
    await s.unsubscribe();
    await ended;
    await write(stream(), event());
  });
});
