// Visits of a site whose page reads all flags when it is loaded are bulk reads; a flag that a page asks for by name is in use. Nothing on the page
// flushes: the SDKs send as they do in life, by their own clock, to another origin. (What they hold when a page is left or hidden
// is not sent by these versions in this browser: neither asks us for anything then.)
import assert from 'node:assert/strict';
import { launch, listen } from './chromium.mjs';
import { caughtUp, get, until } from './server.mjs';
import { FLAGS, start } from './site.mjs';

const ENVIRONMENT = '/v1/projects/default/environments/development';
const site = await start();
const browser = await launch();
const context = await browser.newContext();
const wrong = await listen(context);
const sent = []; // requests to the server under test
context.on('request', (request) => sent.push(request));

const evaluations = async () => {
  const answer = await get(`${ENVIRONMENT}/evaluations?groupBy=variation`);
  return Object.fromEntries(answer.items.map((item) => [item.flag, item.count]));
};
const entries = async () => {
  await caughtUp();
  const answer = await get('/v1/projects/default/stale-flags');
  return Object.fromEntries(answer.items.map((item) => [item.key, item]));
};

/** Loads the page, checks what it was answered, and stays. */
async function visit(query, expected) {
  const page = await context.newPage();
  await page.goto(`${site.address}/?${query}`);
  await page.waitForFunction(() => globalThis.answers);
  assert.deepEqual(await page.evaluate(() => globalThis.answers), expected, query);
}

const values = Object.fromEntries(Object.entries(FLAGS).map(([flag, { value }]) => [flag, value]));
const each = (count) => Object.fromEntries(Object.keys(FLAGS).map((flag) => [flag, count]));

// All flags, on page load, by three visitors.
for (const visitor of ['vera', 'willem', 'xenia']) await visit(`sdk=old&user=${visitor}&all`, values);
await until('three visits counted', evaluations, (counts) => Object.keys(FLAGS).every((flag) => counts[flag] === 3));
let seen = await entries();
assert.deepEqual(Object.keys(seen).sort(), Object.keys(FLAGS).sort());
for (const [flag, entry] of Object.entries(seen)) {
  const [place] = entry.environments;
  assert.ok(place.lastBulkRead > 0, `${flag} was read in bulk`);
  assert.equal(entry.lastRequested, null, `${flag} was never asked for by name`);
  assert.equal(entry.lastRequestedBy, null, flag);
  assert.equal(place.status, 'new', flag);
}

// Two flags by name, one with each SDK.
await visit('sdk=old&user=ada&flag=checkout&flag=checkout', { checkout: true });
await visit('sdk=new&user=ben&flag=banner', { banner: 'long' });
const expected = { ...each(3), checkout: 5, banner: 4 };
await until('flags asked for by name', evaluations, (counts) => Object.keys(expected).every((flag) => counts[flag] === expected[flag]));
seen = await entries();
const askers = Object.fromEntries(Object.entries(seen).map(([flag, { lastRequestedBy: by }]) => [flag, by && [by.application, by.applicationVersion, by.variation]]));
assert.deepEqual(askers, { ...each(null), checkout: ['shop', '1.2', 0], banner: ['shop', '2.0', 2] });
assert.match(seen.checkout.lastRequestedBy.sdk, /^JSClient\/3\.9\.5$/);
assert.match(seen.banner.lastRequestedBy.sdk, /4\.10\.3$/);
for (const flag of Object.keys(FLAGS)) {
  assert.ok(seen[flag].environments[0].lastBulkRead > 0, `${flag} is still a bulk read, too`);
  assert.equal(seen[flag].environments[0].status === 'new', !['checkout', 'banner'].includes(flag), flag);
}

// The newer SDK reports nothing of a page that reads all flags, which is no sign of life either.
await visit('sdk=new&user=cleo&all', values);
await visit('sdk=old&user=dora&flag=grid', { grid: { columns: 3 } }); // counted after it would have been
await until('the last visit', evaluations, (counts) => counts.grid === 4);
assert.deepEqual(await evaluations(), { ...expected, grid: 4 });

const toServer = sent.filter((request) => request.url().startsWith(process.env.FLAGSTREAM_URL));
const kinds = {};
for (const request of toServer) {
  const kind = `${request.method()} ${new URL(request.url()).pathname.replace(process.env.FLAGSTREAM_CLIENT_SIDE_ID, '{id}')} (${request.resourceType()})`;
  kinds[kind] = (kinds[kind] ?? 0) + 1;
}
assert.deepEqual(wrong, []);
assert.deepEqual(site.asked.filter((path) => path.startsWith('unknown')), []);
await browser.close();
site.stop();
const bulks = Object.keys(kinds).filter((kind) => kind.includes('/events/bulk/'));
assert.deepEqual(bulks.sort(), ['POST /events/bulk/{id} (fetch)', 'POST /events/bulk/{id} (xhr)'], 'both SDKs sent from a page of another origin');
console.log(JSON.stringify(kinds));
console.log(`7 visits in Chromium ${browser.version()}: allFlags is a bulk read, a flag asked for by name is not`);
