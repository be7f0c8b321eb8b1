// kafkajs, driven from outside: the commands are those of client.py.

const readline = require('node:readline');
const kafkajs = require('kafkajs');
const lz4 = require('lz4-napi');
const { ZstdCodec } = require('zstd-codec');
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes } = kafkajs;

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
const zstd = new Promise((loaded) => {
  ZstdCodec.run((found) => loaded(new found.Simple()));
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from((await zstd).decompress(buffer)),
});
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

function tell(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function parse(words) {
  const options = {};
  const records = [];
  for (const word of words) {
    const at = word.indexOf('=');
    const [name, value] = [word.slice(0, at), word.slice(at + 1)];
    if (name === 'record') records.push(value);
    else options[name] = value;
  }
  return [options, records];
}

const [address, command, ...given] = process.argv.slice(2);
const kafka = new kafkajs.Kafka({
  brokers: [address],
  logLevel: kafkajs.logLevel.ERROR, // on standard error; what is less would be on standard output
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 },
});

const numbers = (count) => [...Array(Number(count)).keys()];

const operations = (admin) => ({
  create: async ({ topic, partitions }) => {
    const topics = [{ topic, numPartitions: Number(partitions), replicationFactor: 1 }];
    await admin.createTopics({ topics, waitForLeaders: true });
  },
  topics: () => admin.listTopics(),
  partitions: async ({ topic }) => {
    const found = await admin.fetchTopicMetadata({ topics: [topic] });
    return found.topics[0].partitions.length;
  },
  grow: async ({ topic, partitions }) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: Number(partitions) }] });
  },
  delete_topic: async ({ topic }) => { await admin.deleteTopics({ topics: [topic] }); },
  committed: async ({ group, topic }) => {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    const offsets = {};
    for (const { partition, offset } of found.partitions) {
      if (offset !== '-1') offsets[partition] = Number(offset);
    }
    return offsets;
  },
  groups: async () => (await admin.listGroups()).groups.map(({ groupId }) => groupId),
  group: async ({ group }) => {
    const { groups: [found] } = await admin.describeGroups([group]);
    return [found.state, found.members.length];
  },
  delete_group: async ({ group }) => { await admin.deleteGroups([group]); },
  set_offset: async ({ group, topic, partition, offset }) => {
    const partitions = [{ partition: Number(partition), offset }];
    await admin.setOffsets({ groupId: group, topic, partitions });
  },
  config: async ({ topic, name }) => {
    const found = await admin.describeConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [name] }],
    });
    return found.resources[0].configEntries[0].configValue;
  },
  set_config: async ({ topic, name, value }) => {
    await admin.alterConfigs({
      resources: [{
        type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }],
      }],
    });
  },
  delete_records: async ({ topic, partition, before }) => {
    await admin.fetchTopicOffsets(topic); // else it knows no leader of a topic's partition
    const partitions = [{ partition: Number(partition), offset: before }];
    await admin.deleteTopicRecords({ topic, partitions });
  },
});

async function admin() {
  const client = kafka.admin();
  await client.connect();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [operation, ...words] = line.split(' ');
    try {
      const answer = await operations(client)[operation](parse(words)[0]);
      tell({ answer: answer === undefined ? null : answer });
    } catch (error) {
      tell({ refused: String(error) });
    }
  }
}

async function connected(codec) {
  // Else it is neither idempotent nor in order.
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return async (topic, messages) => {
    const sent = await producer.send({ topic, acks: -1, compression: CODECS[codec], messages });
    const next = {};
    for (const { partition, baseOffset } of sent) next[partition] = Number(baseOffset);
    for (const { partition, value } of messages) {
      tell({ acknowledged: [partition, next[partition], value] });
      next[partition] += 1;
    }
  };
}

async function produce({ topic, partitions, from, to, codec }) {
  const send = await connected(codec);
  const messages = [];
  for (let number = Number(from); number < Number(to); number += 1) {
    const partition = number % Number(partitions);
    messages.push({ partition, value: `${partition}-${number}` });
  }
  await send(topic, messages);
  tell({ flushed: true });
}

async function write({ topic }, records) {
  const data = (field) => (field === '~' ? null : field);
  const send = await connected('none');
  await send(topic, records.map((record) => {
    const [key, value, fields] = record.split(';');
    const headers = {};
    for (const field of fields ? fields.split(',') : []) {
      const [name, content] = field.split(':');
      (headers[name] ??= []).push(data(content));
    }
    return { partition: 0, key: data(key), value: data(value), headers };
  }));
  tell({ flushed: true });
}

function tellMessage(partition, message) {
  const text = (buffer) => (buffer === null || buffer === undefined ? null : buffer.toString());
  const headers = Object.entries(message.headers).flatMap(([name, values]) => (
    [values].flat().map((value) => [name, text(value)])
  ));
  const record = [partition, Number(message.offset), text(message.value), text(message.key)];
  tell({ record: [...record, headers] });
}

// A member of a group: what it has read and not yet committed is in `marked`.
async function joined({ group, topic, session }) {
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: Number(session),
    rebalanceTimeout: 10000,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 100,
  });
  const marked = new Map();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const parts = Object.entries(payload.memberAssignment).sort().flatMap(([name, partitions]) => (
      [...partitions].sort((a, b) => a - b).map((partition) => [name, partition])
    ));
    marked.clear();
    tell({ rebalanced: parts });
    tell({ assigned: parts });
  });
  consumer.on(consumer.events.REBALANCING, () => tell({ revoked: [] }));
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      tellMessage(partition, message);
      marked.set(partition, String(Number(message.offset) + 1));
    },
  });
  const commit = async () => {
    const offsets = [...marked].map(([partition, offset]) => ({ topic, partition, offset }));
    try {
      if (offsets.length > 0) await consumer.commitOffsets(offsets);
      return offsets;
    } catch (error) {
      return null; // the group rebalances, so that it is to be tried again later
    }
  };
  return [consumer, commit, marked];
}

const soon = () => new Promise((resolve) => { setTimeout(resolve, 50); });

async function member(options) {
  const [consumer, commit] = await joined(options);
  for await (const order of readline.createInterface({ input: process.stdin })) {
    if (order === 'commit') {
      while (await commit() === null) await soon();
      tell({ committed: true });
    } else if (order === 'close') {
      await consumer.disconnect();
      tell({ closed: true });
      break;
    }
  }
}

async function load(options) {
  const { topic, partitions } = options;
  const [, commit, marked] = await joined({ ...options, session: 6000 });
  (async () => {
    const send = await connected('none');
    for (let number = Date.now(); ; number += 1) {
      await send(topic, numbers(partitions).map((partition) => (
        { partition, value: `${partition}-${number}` }
      )));
    }
  })();
  const read = {};
  for (;;) {
    await soon();
    for (const [partition, offset] of marked) read[partition] = Number(offset);
    tell({ commits: read });
    const offsets = await commit();
    const committed = (offsets ?? []).map(({ partition, offset }) => [partition, Number(offset)]);
    if (committed.length > 0) tell({ committed: Object.fromEntries(committed) });
  }
}

// It reads as a member of a group or not at all: of one that nobody else is in.
async function read({ topic }) {
  const client = kafka.admin();
  await client.connect();
  const rest = new Map();
  for (const { partition, low, high } of await client.fetchTopicOffsets(topic)) {
    if (low !== high) rest.set(partition, Number(high));
  }
  const consumer = kafka.consumer({
    groupId: `reader-of-${topic}-${process.pid}`, maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let done;
  const all = new Promise((resolve) => { done = resolve; });
  if (rest.size === 0) done();
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      tellMessage(partition, message);
      if (Number(message.offset) + 1 >= rest.get(partition)) rest.delete(partition);
      if (rest.size === 0) done();
    },
  });
  await all;
  await consumer.disconnect();
}

const commands = { admin, produce, write, member, load, read };
const [options, records] = parse(given);
commands[command](options, records).then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
