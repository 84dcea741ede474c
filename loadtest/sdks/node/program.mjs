// Asks the real SDK for flags a fixed number of times, and prints as its last line what a correct server must have counted.
// Every answer is compared with the variation written here, so the truth does not come from the SDK that is being counted.
import { readFileSync } from 'node:fs';
import { init } from '@launchdarkly/node-server-sdk';
import { TestData } from '@launchdarkly/node-server-sdk/integrations';

const url = process.env.FLAGSTREAM_URL ?? 'http://127.0.0.1:8080';
const flags = new TestData();
const definitions = JSON.parse(readFileSync(new URL('../flags.json', import.meta.url), 'utf8')).flags;
for (const flag of Object.values(definitions)) flags.usePreconfiguredFlag(flag);

const client = init(process.env.FLAGSTREAM_SDK_KEY, {
  eventsUri: url,
  baseUri: url, // never asked: the flags come from the file beside this folder
  streamUri: url,
  updateProcessor: flags.getFactory(),
  enableEventCompression: process.env.FLAGSTREAM_GZIP === '1',
  flushInterval: 3600, // seconds: only the flushes below send
  application: { id: 'sdk-program', version: '1.0.0' },
  logger: { error: console.error, warn: console.error, info() {}, debug() {} },
});
await client.waitForInitialization({ timeout: 10 });

const truth = { sdk: '@launchdarkly/node-server-sdk', flags: {}, custom: {}, identify: 0, notes: [] };

/** One flag's row of the truth. */
function row(key) {
  return (truth.flags[key] ??= { total: 0, by_variation: {} });
}

function served(key, variation, times = 1) {
  const counts = row(key);
  counts.total += times;
  counts.by_variation[variation] = (counts.by_variation[variation] ?? 0) + times;
}

/** Asks for `key` `times` times; `variation` is the index that must be served, or 'default'. */
async function ask(key, context, fallback, variation, times, call = 'variationDetail') {
  for (let n = 0; n < times; n += 1) {
    const detail = await client[call](key, context, fallback);
    const got = detail.variationIndex ?? 'default';
    if (got !== variation) throw new Error(`${key}: served ${got}, expected ${variation}: ${JSON.stringify(detail)}`);
  }
  served(key, variation, times);
}

/** Reports a custom event, with a metric value or without. */
function track(key, context, data, value) {
  client.track(key, context, data, value);
  const event = (truth.custom[key] ??= { count: 0, metric_count: 0, metric_sum: 0 });
  event.count += 1;
  if (value !== undefined) {
    event.metric_count += 1;
    event.metric_sum += value;
  }
}

const paul = { kind: 'user', key: 'paul', country: 'FR', email: 'paul@example.com', _meta: { privateAttributes: ['email'] } };
const rosa = { kind: 'user', key: 'rosa', country: 'PL' };
const guest = { kind: 'user', key: 'guest-1', anonymous: true };
const device = { kind: 'device', key: 'device-ü' };
const pair = { kind: 'multi', user: { key: 'sam', country: 'FR' }, organization: { key: 'org-7' } };

await ask('new-checkout', paul, false, 1, 7);
await ask('new-checkout', rosa, false, 0, 4);
await ask('new-checkout', device, false, 0, 2);
await ask('banner-text', pair, 'none', 1, 3);
await ask('banner-text', guest, 'none', 0, 5);
await ask('banner-text', rosa, 0, 'default', 2, 'numberVariationDetail'); // a string flag asked for a number
await ask('page-size', rosa, 10, 1, 6);
await ask('grid', guest, {}, 1, 2);
await ask('tracked', paul, '', 1, 3);
row('tracked').feature_events = 3;
track('purchase', paul, { currency: 'EUR' }, 19.99);
track('purchase', rosa, undefined, 0.01);
track('purchase', pair, undefined, -5);
await client.flush();

await ask('new-checkout', pair, false, 1, 1);
await ask('switched-off', paul, true, 1, 2);
await ask('off-and-empty', paul, true, 'default', 3);
await ask('no-such-flag', rosa, 'one', 'default', 3);
await ask('no-such-flag', guest, 'two', 'default', 1);
await ask('debugged', rosa, '', 1, 2);
row('debugged').debug_events = 2;
await ask('unsummarized', rosa, 0, 0, 4);
Object.assign(row('unsummarized'), { excluded_from_summaries: 4, feature_events: 4 });
await ask('button-test', paul, '', 1, 2);
await ask('button-test', rosa, '', 0, 1);
await ask('button-test', guest, '', 1, 2);
Object.assign(row('button-test'), { feature_events: 5, in_experiment: 5 });
await ask('needs-base', rosa, '', 0, 2);
served('base', 1, 2); // the prerequisite counts as asked for, too
await ask('odd.key:with/all of%it', rosa, false, 0, 1);
track('clicked', guest);
track('page-load', device, null, 0);
for (const context of [paul, guest]) {
  client.identify(context);
  truth.identify += 1;
}
await client.flush();
client.close();

console.log(JSON.stringify(truth));
