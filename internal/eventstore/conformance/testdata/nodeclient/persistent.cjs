const { describe, it } = require("node:test");
const {
  persistentSubscriptionToAllSettingsFromDefaults, persistentSubscriptionToStreamSettingsFromDefaults, streamNameFilter,
  PersistentSubscriptionDoesNotExistError, PersistentSubscriptionDroppedError, PersistentSubscriptionExistsError,
  PersistentSubscriptionFailedError, PersistentSubscriptionMaximumSubscribersReachedError,
} = require("@eventstore/db-client");
const { assert, client, event, events, next, revisions, stream, told, types, until, write } = require("./common.cjs");

const group = "workers";
const settings = (change) =>
  persistentSubscriptionToStreamSettingsFromDefaults({
    startFrom: "start", maxRetryCount: 2, checkPointLowerBound: 1, checkPointUpperBound: 1, ...change,
  });
const create = (name, change) => client.createPersistentSubscriptionToStream(name, group, settings(change));
const info = (name) => client.getPersistentSubscriptionToStreamInfo(name, group);
const remove = (name) => client.deletePersistentSubscriptionToStream(name, group);

// connect gives a consumer of the group, and how it takes its events.
async function connect(name, bufferSize = 10) {
  const s = client.subscribeToPersistentSubscriptionToStream(name, group, { bufferSize });
  const take = next(s);
  await told(s, "confirmation");
  s.on("error", (err) => (s.failure = err));
  return { s, take };
}

const is = (type, name) => (err) => {
  assert.ok(err instanceof type, String(err));
  assert.deepEqual([err.streamName, err.groupName], [name, group]);
  return true;
};

describe("a group", () => {
  it("is created, told about, changed and deleted", async () => {
    const name = stream();
    await create(name, { startFrom: 5n, maxSubscriberCount: 1, messageTimeout: 12_345, consumerStrategyName: "Pinned" });
    await assert.rejects(create(name), is(PersistentSubscriptionExistsError, name));
    const { s, take } = await connect(name);
    const second = client.subscribeToPersistentSubscriptionToStream(name, group);
    await assert.rejects(told(second, "confirmation"), is(PersistentSubscriptionMaximumSubscribersReachedError, name));
    const told1 = await info(name);
    assert.deepEqual(
      [told1.eventSource, told1.groupName, told1.settings.startFrom, told1.settings.messageTimeout, told1.settings.consumerStrategyName, told1.settings.maxSubscriberCount, told1.connections.length],
      [name, group, 5n, 12_345, "Pinned", 1, 1],
    );
    assert.ok(take.idle());
    await client.updatePersistentSubscriptionToStream(name, group, settings({ maxRetryCount: 77 }));
    await until("the consumer to be dropped", () => s.failure);
    assert.ok(s.failure instanceof PersistentSubscriptionDroppedError, String(s.failure));
    assert.equal((await info(name)).settings.maxRetryCount, 77);
    assert.deepEqual((await client.listPersistentSubscriptionsToStream(name)).map((i) => i.groupName), [group]);
    assert.ok((await client.listAllPersistentSubscriptions()).some((i) => i.eventSource === name));
    await remove(name);
    for (const call of [() => remove(name), () => info(name), () => client.updatePersistentSubscriptionToStream(name, group, settings())]) {
      await assert.rejects(call(), is(PersistentSubscriptionDoesNotExistError, name));
    }
    const none = client.subscribeToPersistentSubscriptionToStream(name, group);
    await assert.rejects(told(none, "confirmation"), is(PersistentSubscriptionDoesNotExistError, name));
    await assert.rejects(client.listPersistentSubscriptionsToStream(name), PersistentSubscriptionDoesNotExistError);
    await assert.rejects(client.replayParkedMessagesToStream(name, group), is(PersistentSubscriptionDoesNotExistError, name));
  });

  it("refuses settings that can't be", async () => {
    await assert.rejects(create(stream(), { readBatchSize: 500 }), PersistentSubscriptionFailedError);
  });

  it("gives history and live events, and takes what is settled for done", async () => {
    const name = stream();
    await write(name, ...events(2));
    await create(name);
    const { s, take } = await connect(name);
    const first = [await take(), await take()];
    assert.deepEqual([revisions(first), first.map((e) => e.retryCount)], [[0, 1], [0, 0]]);
    await s.ack(...first);
    await write(name, event());
    await s.ack(await take());
    await until("a checkpoint", async () => (await info(name)).stats.lastCheckpointedEventRevision === 2n);
    await s.unsubscribe();
    await until("the consumer to be gone", async () => (await info(name)).connections.length === 0);
    const again = await connect(name);
    await write(name, event());
    assert.deepEqual(revisions([await again.take()]), [3]);
    await again.s.unsubscribe();
    await remove(name);
  });

  it("counts retries, parks, replays and skips", async () => {
    const name = stream();
    await write(name, ...events(3));
    await create(name);
    const { s, take } = await connect(name, 1);
    for (let retries = 0; retries < 3; retries++) {
      const e = await take();
      assert.deepEqual([revisions([e]), e.retryCount], [[0], retries]);
      await s.nack("retry", "again", e);
    }
    await s.nack("park", "bad", await take());
    await s.nack("skip", "never mind", await take());
    const parked = async (n) => until(`${n} parked`, async () => (await info(name)).stats.parkedMessageCount === BigInt(n));
    await parked(2);
    const links = [];
    for await (const e of client.readStream(`$persistentsubscription-${name}::${group}-parked`, { resolveLinkTos: true })) links.push(e);
    assert.deepEqual([links.map((e) => Number(e.event.revision)), links.map((e) => e.link.metadata.reason)], [[0, 1], ["again", "bad"]]);
    await client.replayParkedMessagesToStream(name, group, { stopAt: 1 });
    const first = await take();
    assert.deepEqual([Number(first.event.revision), first.retryCount, Boolean(first.link)], [0, 0, true]);
    await s.ack(first);
    await parked(1);
    await client.replayParkedMessagesToStream(name, group);
    await s.ack(await take());
    await parked(0);
    await until("nothing in flight", async () => (await info(name)).stats.totalInFlightMessages === 0);
    await s.unsubscribe();
    await remove(name);
  });

  it("gives to another what one holds too long or leaves", async () => {
    const name = stream();
    await write(name, ...events(2));
    await create(name, { messageTimeout: 500, maxRetryCount: 100 });
    const silent = await connect(name, 2);
    const held = [await silent.take(), await silent.take()];
    assert.deepEqual(revisions(held), [0, 1]);
    const back = await silent.take();
    assert.ok(back.retryCount >= 1);
    await silent.s.unsubscribe();
    const { s, take } = await connect(name, 2);
    const got = [await take(), await take()];
    assert.deepEqual(new Set(revisions(got)), new Set([0, 1]));
    assert.ok(got.every((e) => e.retryCount >= 1));
    await s.ack(...got);
    await s.unsubscribe();
    await remove(name);
  });

  it("shares events among its consumers", async () => {
    const name = stream();
    await create(name);
    const seen = new Map();
    const consumers = [];
    for (let i = 0; i < 3; i++) {
      const s = client.subscribeToPersistentSubscriptionToStream(name, group, { bufferSize: 5 });
      s.on("data", (e) => (seen.set(Number(e.event.revision), i), s.ack(e)));
      await told(s, "confirmation");
      consumers.push(s);
    }
    await write(name, ...events(300));
    await until("300 events", () => seen.size === 300);
    assert.equal(new Set(seen.values()).size, 3);
    for (const s of consumers) await s.unsubscribe();
    await remove(name);
  });

  it("holds to the buffer of its consumer", async () => {
    const name = stream();
    await write(name, ...events(5));
    await create(name);
    const { s, take } = await connect(name, 2);
    const [a, b] = [await take(), await take()];
    await until("two in flight", async () => {
      const { connections, stats } = await info(name);
      return stats.totalInFlightMessages === 2 && connections[0].availableSlots === 0;
    });
    assert.ok(take.idle());
    await s.ack(a);
    assert.deepEqual(revisions([await take()]), [2]);
    await s.ack(b);
    await s.unsubscribe();
    await remove(name);
  });
});

describe("a group on $all", () => {
  it("filters, goes on and ends", async () => {
    const name = stream();
    await write(`${name}-other`, event());
    await write(`${name}-wanted`, event("first"));
    const mine = `${group}-${name}`;
    const toAll = persistentSubscriptionToAllSettingsFromDefaults({ startFrom: "start", checkPointLowerBound: 1, checkPointUpperBound: 1 });
    await client.createPersistentSubscriptionToAll(mine, toAll, { filter: streamNameFilter({ prefixes: [`${name}-wanted`] }) });
    await assert.rejects(client.createPersistentSubscriptionToAll(mine, toAll), PersistentSubscriptionExistsError);
    const s = client.subscribeToPersistentSubscriptionToAll(mine);
    const dropped = new Promise((resolve) => s.once("error", resolve));
    const take = next(s);
    const first = await take();
    await s.ack(first);
    await write(`${name}-other`, event());
    const { position } = await write(`${name}-wanted`, event("second"));
    const second = await take();
    assert.deepEqual(types([first, second]), ["first", "second"]);
    await s.nack("park", "bad", second);
    await until("a parked event and a checkpoint", async () => {
      const { stats } = await client.getPersistentSubscriptionToAllInfo(mine);
      return stats.parkedMessageCount === 1n && stats.lastCheckpointedEventPosition?.commit >= position.commit;
    });
    await client.replayParkedMessagesToAll(mine);
    await s.ack(await take());
    const { settings: told1, eventSource } = await client.getPersistentSubscriptionToAllInfo(mine);
    assert.deepEqual([told1.startFrom, eventSource], ["start", "$all"]);
    await client.updatePersistentSubscriptionToAll(mine, { ...toAll, startFrom: position });
    assert.ok((await dropped) instanceof PersistentSubscriptionDroppedError);
    assert.deepEqual((await client.getPersistentSubscriptionToAllInfo(mine)).settings.startFrom, position);
    assert.ok((await client.listPersistentSubscriptionsToAll()).some((i) => i.groupName === mine));
    await client.deletePersistentSubscriptionToAll(mine);
    await assert.rejects(client.getPersistentSubscriptionToAllInfo(mine), PersistentSubscriptionDoesNotExistError);
  });
});
