const { describe, it } = require("node:test");
const { jsonEvent, StreamDeletedError, WrongExpectedVersionError } = require("@eventstore/db-client");
const { assert, client, collect, event, events, revisions, stream, write } = require("./common.cjs");

for (const [what, remove] of [
  ["delete", (...a) => client.deleteStream(...a)],
  ["tombstone", (...a) => client.tombstoneStream(...a)],
]) {
  describe(what, () => {
    it("checks the revision", async () => {
      const name = stream();
      await write(name, ...events(2));
      for (const [expectedRevision, number] of [[0n, 0n], [5n, 5n], ["no_stream", -1n]]) {
        const err = await remove(name, { expectedRevision }).then(() => assert.fail("accepted"), (e) => e);
        assert.ok(err instanceof WrongExpectedVersionError, String(err));
        assert.deepEqual([err.streamName, err.expectedVersion, err.actualVersion], [name, number, 1n]);
      }
      const done = await remove(name, { expectedRevision: 1n });
      assert.ok(done.position.commit > 0n);
    });
  });
}

describe("delete", () => {
  it("continues the numbering", async () => {
    const name = stream();
    await write(name, ...events(3));
    await client.deleteStream(name);
    await client.deleteStream(name);
    const again = await client.appendToStream(name, event(), { expectedRevision: "no_stream" });
    assert.equal(again.nextExpectedRevision, 3n);
    assert.deepEqual(revisions(await collect(client.readStream(name))), [3]);
    assert.equal((await client.getStreamMetadata(name)).metadata.truncateBefore, 3);
  });

  it("refuses a stream that never was", async () => {
    await assert.rejects(client.deleteStream(stream()), WrongExpectedVersionError);
  });
});

describe("tombstone", () => {
  it("is for good", async () => {
    const name = stream();
    await client.tombstoneStream(name);
    for (const call of [
      () => client.appendToStream(name, event()),
      () => client.deleteStream(name),
      () => client.tombstoneStream(name),
      () => client.setStreamMetadata(name, { maxCount: 1 }),
    ]) {
      const err = await call().then(() => assert.fail("accepted"), (e) => e);
      assert.ok(err instanceof StreamDeletedError, String(err));
    }
  });
});

describe("metadata", () => {
  it("comes back as it was set", async () => {
    const name = stream();
    assert.equal((await client.getStreamMetadata(name)).metadata, undefined);
    const metadata = {
      maxCount: 7, maxAge: 3600, truncateBefore: 1, cacheControl: 60, owner: "us",
      acl: { readRoles: ["a", "b"], writeRoles: "a", deleteRoles: [], metaReadRoles: "$all", metaWriteRoles: ["$admins"] },
    };
    await client.setStreamMetadata(name, metadata, { expectedRevision: "no_stream" });
    assert.deepEqual((await client.getStreamMetadata(name)).metadata, metadata);
    await client.setStreamMetadata(name, { acl: "$userStreamAcl" });
    assert.deepEqual((await client.getStreamMetadata(name)).metadata, { acl: "$userStreamAcl" });
    await assert.rejects(client.setStreamMetadata(name, {}, { expectedRevision: "no_stream" }), WrongExpectedVersionError);
  });

  it("truncates by count, revision and age", async () => {
    const name = stream();
    const shown = async () => revisions(await collect(client.readStream(name)));
    await write(name, ...events(6));
    await client.setStreamMetadata(name, { maxCount: 2 });
    assert.deepEqual(await shown(), [4, 5]);
    await client.setStreamMetadata(name, { truncateBefore: 3 });
    assert.deepEqual(await shown(), [3, 4, 5]);
    await client.setStreamMetadata(name, { truncateBefore: 100 });
    assert.deepEqual(await shown(), []);
    await client.setStreamMetadata(name, { maxAge: 3600 });
    assert.deepEqual(await shown(), [0, 1, 2, 3, 4, 5]);
  });

  it("that makes no sense counts as none", async () => {
    const name = stream();
    await write(name, ...events(2));
    for (const data of [{ $maxCount: 0 }, { $maxCount: "two" }, [1], "text"]) {
      await write(`$$${name}`, jsonEvent({ type: "$metadata", data }));
      assert.deepEqual(revisions(await collect(client.readStream(name))), [0, 1]);
    }
  });
});
