// What a Node client does with a server: `scenarios.js ADDRESS SCENARIO`, one function a scenario.
'use strict';

const assert = require('node:assert/strict');
const { call, client, details, grpc, refused, simple } = require('./client.js');

const ID = '018f9ee2-9300-7000-8000-000000000001';

/** Appends are answered, once for ever, and their errors carry details in a trailer. */
async function append(address) {
  const log = client('EventLogService', address);
  const request = { events: [simple('s', 'Zyrtar në Tiranë', { id: ID }), simple('s', 'two')] };
  const answer = await call(log, 'AppendEvents', { events: [request.events[0]] });
  assert.deepEqual([answer.first_position, answer.last_position, answer.replayed], ['1', '1', false]);
  const again = await call(log, 'AppendEvents', { events: [request.events[0]] });
  assert.deepEqual(again, { ...answer, replayed: true });
  const { event } = await call(log, 'GetEvent', { event_id: ID });
  assert.equal(event.title, 'Zyrtar në Tiranë');
  assert.equal(event.payload, 'custom');

  const partial = await refused(call(log, 'AppendEvents', request));
  assert.equal(partial.code, grpc.status.ALREADY_EXISTS);
  const { reason, domain, metadata } = partial.ErrorInfo;
  assert.deepEqual([reason, domain], ['PARTIAL_REPLAY', 'annals.v1']);
  assert.deepEqual({ ...metadata }, { recorded: '1', missing: '1', event_id: ID });

  const bad = { events: [simple('s', 'fine'), simple('a//b', '', { valid_time: { edtf: 'yesterday' } })] };
  const invalid = await refused(call(log, 'AppendEvents', bad));
  assert.equal(invalid.code, grpc.status.INVALID_ARGUMENT);
  assert.equal(invalid.ErrorInfo.reason, 'FIELD_INVALID');
  const fields = invalid.BadRequest.field_violations.map((violation) => violation.field);
  assert.deepEqual(fields, ['events[1].stream', 'events[1].title', 'events[1].valid_time.edtf']);
}

/** A read is read to its End. */
async function read(address) {
  const log = client('EventLogService', address);
  const events = Array.from({ length: 500 }, (_, n) => simple(`s/${n % 2}`, `${n}`));
  await call(log, 'AppendEvents', { events });
  const positions = [];
  let last;
  for await (const part of log.ReadEvents({ filter: { streams: ['s/1'] }, direction: 'BACKWARD', limit: 200 })) {
    assert.equal(last, undefined, 'nothing comes after the end');
    if (part.content === 'end') last = part.end;
    else positions.push(...part.events.events.map((event) => Number(event.position)));
  }
  assert.deepEqual(positions, Array.from({ length: 200 }, (_, n) => 500 - 2 * n));
  const { chain_hash } = await call(log, 'GetHead', {});
  assert.deepEqual(last, { head: '500', more: true, chain_hash });
}

/** A subscription goes on with new events until it is cancelled. */
async function subscribe(address) {
  const log = client('EventLogService', address);
  await call(log, 'AppendEvents', { events: [simple('s', 'one')] });
  const stream = log.SubscribeEvents({ filter: { stream_prefixes: ['s'] }, from_start: true });
  const titles = [];
  let code;
  try {
    for await (const message of stream) {
      if (message.content === 'events') titles.push(...message.events.events.map((event) => event.title));
      if (message.content === 'caught_up') await call(log, 'AppendEvents', { events: [simple('s', 'two')] });
      if (titles.length === 2) stream.cancel();
    }
  } catch (error) {
    code = error.code;
  }
  assert.equal(code, grpc.status.CANCELLED);
  assert.deepEqual(titles, ['one', 'two']);
  assert.equal((await call(log, 'GetHead', {})).position, '2');
}

/** A deadline ends a stream, whichever side notices it first. */
async function deadline(address) {
  const log = client('EventLogService', address);
  const kinds = [];
  let code;
  try {
    const options = { deadline: Date.now() + 1000 };
    for await (const message of log.SubscribeEvents({}, options)) kinds.push(message.content);
  } catch (error) {
    code = error.code;
  }
  assert.equal(code, grpc.status.DEADLINE_EXCEEDED);
  assert.deepEqual(kinds, ['started', 'caught_up']);
}

/** A deadline that only the server knows is told with its reason. */
async function serverDeadline(address) {
  const log = client('EventLogService', address);
  const metadata = new grpc.Metadata();
  metadata.set('grpc-timeout', '300m');
  const error = await new Promise((resolve) => {
    log.SubscribeEvents({}, metadata).on('data', () => {}).on('error', resolve);
  });
  assert.equal(error.code, grpc.status.DEADLINE_EXCEEDED);
  assert.equal(details(error).ErrorInfo.reason, 'DEADLINE_PASSED');
}

/** Pages of a timeline follow each other. */
async function pages(address) {
  const timeline = client('TimelineService', address);
  const question = { filter: { all_entity_ids: ['country:GB', 'country:AL'] }, order: 'RECORDED', page_size: 4 };
  const positions = [];
  let page_token = '';
  do {
    const page = await call(timeline, 'ListEntries', { ...question, page_token });
    positions.push(...page.entries.map((entry) => Number(entry.event.position)));
    page_token = page.next_page_token;
  } while (page_token);
  const whole = await call(timeline, 'ListEntries', { ...question, page_size: 0 });
  assert.deepEqual(positions, whole.entries.map((entry) => Number(entry.event.position)));
  assert.ok(positions.length > 8, `${positions}`);
}

const scenarios = { append, deadline, pages, read, serverDeadline, subscribe };
setTimeout(() => {
  console.error('no end after 120 s');
  process.exit(1);
}, 120_000);
const [address, scenario] = process.argv.slice(2);
scenarios[scenario](address).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
