const { describe, it } = require("node:test");
const { randomUUID } = require("node:crypto");
const {
  binaryEvent, jsonEvent, AccessDeniedError, EventStoreDBClient, MaxAppendSizeExceededError, StreamDeletedError,
  WrongExpectedVersionError,
} = require("@eventstore/db-client");
const { assert, client, collect, credentials, event, events, stream, url, write } = require("./common.cjs");

// The client appends by BatchAppend where the server offers it, and by Append when the
// call has credentials of its own. Both must be the same to the caller.
for (const [way, extra] of [["BatchAppend", {}], ["Append", { credentials: credentials() }]]) {
  const append = (name, expectedRevision, ...all) =>
    client.appendToStream(name, all, { expectedRevision, ...extra });

  describe(way, () => {
    it("numbers events from 0 and positions upwards", async () => {
      const name = stream();
      const first = await append(name, "no_stream", event());
      const second = await append(name, 0n, event(), event());
      assert.equal(first.success, true);
      assert.equal(first.nextExpectedRevision, 0n);
      assert.equal(second.nextExpectedRevision, 2n);
      assert.ok(first.position.commit > 0n && second.position.commit > first.position.commit);
      assert.equal(second.position.prepare, second.position.commit);
    });

    it("keeps what is written", async () => {
      const name = stream();
      const bytes = binaryEvent({ type: "bytes ⊕", data: Uint8Array.of(0, 1, 255), metadata: Buffer.of(7) });
      const json = jsonEvent({ type: "json", data: { ü: [1, null] }, metadata: { by: "test" } });
      await append(name, "no_stream", bytes, json);
      const [b, j] = (await collect(client.readStream(name))).map((e) => e.event);
      assert.deepEqual([b.id, b.type, b.isJson, [...b.data], [...b.metadata]], [bytes.id, "bytes ⊕", false, [0, 1, 255], [7]]);
      assert.deepEqual([j.id, j.type, j.isJson, j.data, j.metadata], [json.id, "json", true, { ü: [1, null] }, { by: "test" }]);
      assert.equal(j.streamId, name);
      assert.ok(Math.abs(j.created.getTime() - Date.now()) < 3_600_000);
    });

    it("refuses every wrong revision and says what it is", async () => {
      const name = stream();
      const absent = stream();
      await append(name, "no_stream", ...events(3));
      for (const [of, expected, actual] of [
        [name, "no_stream", 2n],
        [name, 0n, 2n],
        [name, 1n, 2n],
        [name, 3n, 2n],
        [name, 9_000_000_000n, 2n],
        [absent, 0n, "no_stream"],
        [absent, "stream_exists", "no_stream"],
      ]) {
        const err = await append(of, expected, event()).then(() => assert.fail(`accepted at ${expected}`), (e) => e);
        assert.ok(err instanceof WrongExpectedVersionError, `at ${expected}: ${err}`);
        assert.deepEqual([err.type, err.streamName, err.expectedVersion, err.actualVersion], ["wrong-expected-version", of, expected, actual]);
      }
      assert.equal((await append(name, 2n, event())).nextExpectedRevision, 3n);
      assert.equal((await append(name, "any", event())).nextExpectedRevision, 4n);
      assert.equal((await append(name, "stream_exists", event())).nextExpectedRevision, 5n);
    });

    it("takes a repeated append once", async () => {
      const name = stream();
      const begin = events(3);
      const more = events(2);
      const first = await append(name, "no_stream", ...begin);
      const second = await append(name, 2n, ...more);
      assert.deepEqual(await append(name, "no_stream", ...begin), first);
      assert.deepEqual(await append(name, 2n, ...more), second);
      assert.deepEqual(await append(name, "any", ...more), second);
      assert.deepEqual(await append(name, "stream_exists", ...more), second);
      assert.equal((await append(name, "no_stream", ...begin.slice(0, 2))).nextExpectedRevision, 1n);
      for (const [expected, ...all] of [
        ["no_stream", begin[0], event()],
        ["no_stream", begin[1], begin[0]],
        [2n, ...more, event()],
        ["any", ...more, event()],
      ]) {
        await assert.rejects(append(name, expected, ...all), WrongExpectedVersionError);
      }
      assert.equal((await collect(client.readStream(name))).length, 5);
    });

    it("writes many at once", async () => {
      const name = stream();
      const ids = events(400);
      const results = await Promise.all(ids.map((e) => append(name, "any", e)));
      const got = await collect(client.readStream(name));
      assert.equal(new Set(results.map((r) => r.nextExpectedRevision)).size, 400);
      assert.deepEqual(new Set(got.map((e) => e.event.id)), new Set(ids.map((e) => e.id)));
    });

    it("lets one of many win a revision", async () => {
      const name = stream();
      const tries = await Promise.allSettled(events(20).map((e) => append(name, "no_stream", e)));
      assert.equal(tries.filter((t) => t.status === "fulfilled").length, 1);
      for (const t of tries.filter((t) => t.status === "rejected")) assert.ok(t.reason instanceof WrongExpectedVersionError);
    });

    it("is atomic and bounded in size", async () => {
      const name = stream();
      const big = () => binaryEvent({ type: "big", data: Buffer.alloc(800_000, 120) });
      const err = await append(name, "any", big(), big()).then(() => assert.fail("accepted"), (e) => e);
      assert.ok(err instanceof MaxAppendSizeExceededError, String(err));
      assert.equal(err.maxAppendSize, 1 << 20);
      await append(name, "no_stream", big());
      const [{ event: e }] = await collect(client.readStream(name));
      assert.equal(e.data.length, 800_000);
    });

    it("refuses $all and deleted streams", async () => {
      await assert.rejects(append("$all", "any", event()), AccessDeniedError);
      const name = stream();
      await append(name, "no_stream", event());
      await client.tombstoneStream(name);
      for (const expected of ["any", "no_stream", "stream_exists", 0n]) {
        const err = await append(name, expected, event()).then(() => assert.fail("accepted"), (e) => e);
        assert.ok(err instanceof StreamDeletedError, String(err));
        assert.equal(err.streamName, name);
      }
    });
  });
}

describe("BatchAppend", () => {
  it("comes in parts", async () => {
    const name = stream();
    const result = await client.appendToStream(name, events(200), { expectedRevision: "no_stream", batchAppendSize: 1000 });
    assert.equal(result.nextExpectedRevision, 199n);
    const got = await collect(client.readStream(name));
    assert.deepEqual(got.map((e) => e.event.type), events(200).map((e) => e.type));
  });

  it("goes on after a refused append", async () => {
    const name = stream();
    await write(name, event());
    const results = await Promise.allSettled([
      client.appendToStream(name, event(), { expectedRevision: 7n }),
      client.appendToStream(name, event(), { expectedRevision: 0n }),
      client.appendToStream("$all", event()),
      client.appendToStream(stream(), event()),
    ]);
    assert.deepEqual(results.map((r) => r.status), ["rejected", "fulfilled", "rejected", "fulfilled"]);
  });
});

describe("a wrong revision without an exception", () => {
  it("is a result", async () => {
    const quiet = EventStoreDBClient.connectionString(`${url}${url.includes("?") ? "&" : "?"}throwOnAppendFailure=false`);
    const name = stream();
    await write(name, event(), event());
    const options = { expectedRevision: 0n, credentials: credentials() };
    assert.deepEqual(await quiet.appendToStream(name, event(), options), {
      success: false, nextExpectedRevision: 1n, position: undefined,
    });
    await quiet.dispose();
  });
});

describe("ids", () => {
  it("may be the same in two streams", async () => {
    const [a, b] = [stream(), stream()];
    const e = jsonEvent({ id: randomUUID(), type: "a", data: {} });
    await write(a, e);
    await write(b, e);
    for (const name of [a, b]) assert.equal((await collect(client.readStream(name)))[0].event.id, e.id);
  });
});
