const { describe, it } = require("node:test");
const { jsonEvent, StreamDeletedError, StreamNotFoundError } = require("@eventstore/db-client");
const { assert, client, collect, event, events, revisions, stream, types, write } = require("./common.cjs");

describe("a stream", () => {
  it("is read in ranges, both ways", async () => {
    const name = stream();
    await write(name, ...events(10));
    for (const [options, want] of [
      [{ maxCount: 3 }, [0, 1, 2]],
      [{ fromRevision: 7n }, [7, 8, 9]],
      [{ fromRevision: 10n }, []],
      [{ direction: "backwards", fromRevision: "end", maxCount: 3 }, [9, 8, 7]],
      [{ direction: "backwards", fromRevision: 2n }, [2, 1, 0]],
      [{ direction: "backwards", fromRevision: 50n, maxCount: 2 }, [9, 8]],
      [{ direction: "backwards", fromRevision: "start" }, [0]],
    ]) {
      assert.deepEqual(revisions(await collect(client.readStream(name, options))), want, JSON.stringify(options, (_, v) => String(v)));
    }
  });

  it("is read whole, in pages", async () => {
    const name = stream();
    await write(name, ...events(1500));
    const all = revisions(await collect(client.readStream(name)));
    assert.deepEqual(all, all.map((_, i) => i));
    assert.equal(all.length, 1500);
  });

  it("is not found, deleted, found again and gone", async () => {
    const name = stream();
    const missing = async () => {
      const err = await collect(client.readStream(name)).then(() => assert.fail("found"), (e) => e);
      assert.ok(err instanceof StreamNotFoundError, String(err));
      assert.equal(err.streamName, name);
    };
    await missing();
    await write(name, event());
    await client.deleteStream(name);
    await missing();
    await write(name, event());
    assert.deepEqual(revisions(await collect(client.readStream(name))), [1]);
    await client.tombstoneStream(name);
    const err = await collect(client.readStream(name)).then(() => assert.fail("found"), (e) => e);
    assert.ok(err instanceof StreamDeletedError, String(err));
    assert.equal(err.streamName, name);
  });

  it("resolves links", async () => {
    const [name, target] = [stream(), stream()];
    await write(target, ...events(2));
    const link = (to) => ({ ...jsonEvent({ type: "$>", data: {} }), contentType: "application/octet-stream", data: Buffer.from(to) });
    await write(name, link(`1@${target}`), link(`5@${target}`), link(`0@${stream()}`), event("plain"));
    const plain = await collect(client.readStream(name));
    assert.deepEqual(types(plain), ["$>", "$>", "$>", "plain"]);
    const got = await collect(client.readStream(name, { resolveLinkTos: true }));
    assert.equal(got[0].event.type, "e1");
    assert.equal(got[0].event.streamId, target);
    assert.equal(got[0].link.streamId, name);
    assert.deepEqual([got[1].event, got[2].event], [undefined, undefined]);
    assert.ok(got[1].link && got[2].link && !got[3].link);
  });

  it("may be left in the middle", async () => {
    const name = stream();
    await write(name, ...events(1000));
    assert.equal((await collect(client.readStream(name), 5)).length, 5);
    assert.equal((await collect(client.readStream(name, { maxCount: 1 }))).length, 1);
  });
});

describe("$all", () => {
  const mine = (name, all) => types(all.filter((e) => e.event?.streamId === name));

  it("begins at a position forwards and before it backwards", async () => {
    const name = stream();
    const at = [];
    for (const type of ["p0", "p1", "p2"]) at.push((await write(name, event(type))).position);
    assert.deepEqual(mine(name, await collect(client.readAll({ fromPosition: at[1] }))), ["p1", "p2"]);
    assert.deepEqual(mine(name, await collect(client.readAll({ fromPosition: at[2], direction: "backwards", maxCount: 2 }))), ["p1", "p0"]);
    const last = mine(name, await collect(client.readAll({ fromPosition: "end", direction: "backwards", maxCount: 1000 })));
    assert.deepEqual(last, ["p2", "p1", "p0"]);
    assert.equal((await collect(client.readAll({ maxCount: 1 }))).length, 1);
    const [one] = await collect(client.readAll({ fromPosition: at[1], maxCount: 1 }));
    assert.deepEqual([one.event.position, one.commitPosition], [at[1], at[1].commit]);
  });

  it("shows metadata, deletions and what was deleted", async () => {
    const name = stream();
    const { position } = await write(name, event("a"));
    await client.setStreamMetadata(name, { maxCount: 1 });
    await client.tombstoneStream(name);
    const all = await collect(client.readAll({ fromPosition: position }));
    assert.deepEqual(types(all.filter((e) => e.event?.streamId.endsWith(name))), ["a", "$metadata", "$streamDeleted"]);
  });
});
