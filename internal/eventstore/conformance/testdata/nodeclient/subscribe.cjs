const { describe, it } = require("node:test");
const {
  eventTypeFilter, excludeSystemEvents, jsonEvent, streamNameFilter, StreamDeletedError,
} = require("@eventstore/db-client");
const { assert, client, event, events, next, revisions, stream, told, write } = require("./common.cjs");

// caughtUp takes a subscription's events until it says that it has caught up.
async function caughtUp(subscription) {
  const all = [];
  subscription.on("data", (e) => all.push(e));
  await told(subscription, "caughtUp");
  await new Promise(setImmediate); // what came before the note has been read by now
  return all;
}

describe("a stream's subscription", () => {
  it("goes over from history to live events", async () => {
    const name = stream();
    await write(name, ...events(3));
    const s = client.subscribeToStream(name);
    const take = next(s);
    await told(s, "confirmation");
    assert.ok(s.id);
    await told(s, "caughtUp");
    await write(name, ...events(2));
    const got = [];
    for (let i = 0; i < 5; i++) got.push(await take());
    assert.deepEqual(revisions(got), [0, 1, 2, 3, 4]);
    await s.unsubscribe();
  });

  it("begins behind a revision, or at the end, or waits for the stream", async () => {
    const name = stream();
    const early = client.subscribeToStream(name);
    assert.deepEqual(await caughtUp(early), []);
    await write(name, ...events(4));
    const from = client.subscribeToStream(name, { fromRevision: 1n });
    assert.deepEqual(revisions(await caughtUp(from)), [2, 3]);
    const end = client.subscribeToStream(name, { fromRevision: "end" });
    assert.deepEqual(await caughtUp(end), []);
    const takes = [early, from, end].map(next);
    await write(name, event());
    assert.deepEqual(revisions([await takes[1](), await takes[2]()]), [4, 4]);
    for (const s of [early, from, end]) await s.unsubscribe();
  });

  it("resolves links and ends with the stream", async () => {
    const [name, target] = [stream(), stream()];
    await write(target, event("target"));
    const s = client.subscribeToStream(name, { resolveLinkTos: true });
    const take = next(s);
    const failed = new Promise((resolve) => s.once("error", resolve));
    await write(name, { ...jsonEvent({ type: "$>", data: {} }), contentType: "application/octet-stream", data: Buffer.from(`0@${target}`) });
    const e = await take();
    assert.deepEqual([e.event.type, e.link.streamId], ["target", name]);
    await client.tombstoneStream(name);
    const err = await failed;
    assert.ok(err instanceof StreamDeletedError, String(err));
    assert.equal(err.streamName, name);
  });

  it("waits for a slow reader and loses nothing", async () => {
    const name = stream();
    const s = client.subscribeToStream(name, {}, { highWaterMark: 1 });
    await told(s, "confirmation");
    const padded = () => jsonEvent({ type: "big", data: "x".repeat(10_000) });
    for (let i = 0; i < 10; i++) await write(name, ...Array.from({ length: 50 }, padded));
    const got = []; // 5 MB lie ready before the first is taken
    for await (const e of s) {
      got.push(e);
      if (got.length === 500) break;
    }
    assert.deepEqual(revisions(got), got.map((_, i) => i));
  });

  it("has no gap and no duplicate under concurrent writers", async () => {
    const name = stream();
    const count = 2000;
    const writing = Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < count / 80; i++) await write(name, ...events(10));
      }),
    );
    const all = await Promise.all(
      Array.from({ length: 3 }, async (_, i) => {
        if (i === 1) await write(stream(), event());
        const s = client.subscribeToStream(name);
        const got = [];
        for await (const e of s) {
          got.push(e);
          if (got.length === count) break;
        }
        return revisions(got);
      }),
    );
    await writing;
    for (const got of all) assert.deepEqual(got, got.map((_, i) => i));
  });
});

describe("a subscription to $all", () => {
  // coloured writes events that differ in stream and type and tells where they begin.
  async function coloured(name) {
    const { position } = await write(`${name}-begin`, event("begin"));
    for (const [i, suffix] of ["-red-1", "-blue-1", "-red-2"].entries()) {
      await write(name + suffix, event(`${name}-light-${i}`), event(`${name}-dark-${i}`));
    }
    return position;
  }

  for (const [what, filter, want] of [
    ["stream prefixes", (n) => streamNameFilter({ prefixes: ["nothing-", `${n}-red`] }), ["-red-1-light-0", "-red-1-dark-0", "-red-2-light-2", "-red-2-dark-2"]],
    ["type prefixes", (n) => eventTypeFilter({ prefixes: [`${n}-dark`] }), ["-red-1-dark-0", "-blue-1-dark-1", "-red-2-dark-2"]],
    ["a stream pattern", (n) => streamNameFilter({ regex: `${n.slice(12)}-(blue|green)-[0-9]$` }), ["-blue-1-light-1", "-blue-1-dark-1"]],
    ["a type pattern", (n) => eventTypeFilter({ regex: `^${n}.*-2$` }), ["-red-2-light-2", "-red-2-dark-2"]],
  ]) {
    it(`selects by ${what}`, async () => {
      const name = stream();
      const s = client.subscribeToAll({ fromPosition: await coloured(name), filter: filter(name) });
      const got = await caughtUp(s);
      assert.deepEqual(got.map((e) => e.event.streamId.slice(name.length) + e.event.type.slice(name.length)), want);
      await s.unsubscribe();
    });
  }

  it("tells checkpoints from which it can go on", async () => {
    const name = stream();
    const { position } = await write(name, event("begin"));
    const end = (await write(name, ...events(100))).position;
    const told = [];
    const filter = streamNameFilter({
      prefixes: [`${name}-nothing`], maxSearchWindow: 10, checkpointInterval: 2,
      checkpointReached: async (_, at) => told.push(at),
    });
    const s = client.subscribeToAll({ fromPosition: position, filter });
    assert.deepEqual(await caughtUp(s), []);
    await s.unsubscribe();
    assert.ok(told.length >= 5, `${told.length} checkpoints`);
    assert.ok(told.every((at, i) => at.commit >= (told[i - 1] ?? position).commit));
    assert.ok(told.at(-1).commit >= end.commit);
    await write(`${name}-nothing`, event("wanted"));
    const resumed = client.subscribeToAll({ fromPosition: told.at(-1), filter });
    assert.equal((await next(resumed)()).event.type, "wanted");
    await resumed.unsubscribe();
  });

  it("shows everything behind a position, or all but the system's", async () => {
    const name = stream();
    const { position } = await write(name, event("begin"));
    await client.setStreamMetadata(name, { maxCount: 9 });
    await write(name, event("end"));
    for (const [filter, want] of [[undefined, ["$metadata", "end"]], [excludeSystemEvents(), ["end"]]]) {
      const s = client.subscribeToAll({ fromPosition: position, filter });
      const take = next(s);
      const got = [];
      while (got.at(-1) !== "end") {
        const { event: e } = await take();
        if (e.streamId.endsWith(name)) got.push(e.type);
      }
      assert.deepEqual(got, want);
      await s.unsubscribe();
    }
  });

  it("from the end shows only what comes", async () => {
    const name = stream();
    await write(name, event("before"));
    const s = client.subscribeToAll({ fromPosition: "end" });
    const take = next(s);
    await told(s, "caughtUp");
    await write(name, event("after"));
    for (;;) {
      const { event: e } = await take();
      if (e.streamId !== name) continue;
      assert.equal(e.type, "after");
      break;
    }
    await s.unsubscribe();
  });

  it("refuses a pattern that is none", async () => {
    const s = client.subscribeToAll({ filter: streamNameFilter({ regex: "(unclosed" }) });
    await assert.rejects(told(s, "confirmation"));
  });
});
