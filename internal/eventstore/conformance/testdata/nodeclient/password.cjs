// Against a server with TLS and a password: NODECLIENT_URL has the right one.
const { describe, it } = require("node:test");
const { AccessDeniedError, EventStoreDBClient } = require("@eventstore/db-client");
const { assert, client, collect, event, stream, told, url } = require("./common.cjs");

describe("a password", () => {
  it("lets in, by TLS", async () => {
    const name = stream();
    await client.appendToStream(name, event());
    assert.equal((await collect(client.readStream(name))).length, 1);
    await told(client.subscribeToAll(), "confirmation");
  });

  for (const [what, instead] of [["a wrong one", "://daybook:wrong@"], ["another user", "://other:secret@"], ["none", "://"]]) {
    it(`keeps out ${what}`, async () => {
      const stranger = EventStoreDBClient.connectionString(url.replace(/:\/\/[^@]*@/, instead));
      for (const call of [
        () => stranger.appendToStream(stream(), event()),
        () => collect(stranger.readStream(stream())),
        () => told(stranger.subscribeToAll(), "confirmation"),
        () => stranger.listAllPersistentSubscriptions(),
      ]) {
        await assert.rejects(call(), AccessDeniedError);
      }
      assert.ok(await stranger.capabilities);
      await stranger.dispose();
    });
  }

  it("may be given with a call", async () => {
    const stranger = EventStoreDBClient.connectionString(url.replace(/:\/\/[^@]*@/, "://"));
    const { username, password } = new URL(url.replace(/^esdb:/, "http:"));
    await stranger.appendToStream(stream(), event(), { credentials: { username, password } });
    await stranger.dispose();
  });
});
