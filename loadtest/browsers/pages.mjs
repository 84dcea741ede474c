// Names that would act if a page let them: as flag keys, values, applications, SDKs and versions, through real ingest, on every page of ours.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Papa from 'papaparse';
import { launch, listen } from './chromium.mjs';
import { caughtUp, get, send, until, url } from './server.mjs';

const PICTURES = process.env.FLAGSTREAM_PICTURES;
const LONG = 'long-'.repeat(51); // 255 bytes; 256 is the most

/** A hostile name, and the cell that a spreadsheet must be given for it: inert, on one line, and nothing lost. */
const NAMES = [
  ['<img src=x onerror=ran(1)>', '<img src=x onerror=ran(1)>'],
  ['"><script>ran(2)</script>', '"><script>ran(2)</script>'],
  ["' autofocus onfocus=ran(3) x='", "' autofocus onfocus=ran(3) x='"],
  ['</title></textarea></style><svg onload=ran(4)>', '</title></textarea></style><svg onload=ran(4)>'],
  ['javascript:ran(5)', 'javascript:ran(5)'],
  ['=HYPERLINK("http://x.example","pay")', '\'=HYPERLINK("http://x.example","pay")'],
  ['+1+cmd|x', "'+1+cmd|x"],
  ['-2', "'-2"],
  ['@SUM(A1:A9)', "'@SUM(A1:A9)"],
  ['\t=1+1', "'\\u{9}=1+1"],
  ['abc\u202Efdp.exe', 'abc\\u{202e}fdp.exe'],
  ['two\nlines,\r\n"quoted"', 'two\\u{a}lines,\\u{d}\\u{a}"quoted"'],
  ['zero\u200Bwidth\u0007bell', 'zero\\u{200b}width\\u{7}bell'],
  ['{{constructor.constructor("ran(6)")()}}${ran(7)}', '{{constructor.constructor("ran(6)")()}}${ran(7)}'],
  ['../../../etc/passwd?x=1&y=2#z%2e%00', '../../../etc/passwd?x=1&y=2#z%2e%00'],
  ['`|*_[x](javascript:ran(8))\\', '`|*_[x](javascript:ran(8))\\'],
  ['שלום-مرحبا-日本-👩‍👩‍👧', null],
  ['__proto__', '__proto__'],
  [LONG, LONG],
  ['checkout', 'checkout'],
];
/** Some of the names are also flags that are stale: made 90 days ago, and never asked for, or always served one value. */
const OLD = NAMES.filter((_, place) => [0, 1, 2, 3, 5, 10, 11, 15].includes(place));
const STALE = OLD.flatMap(([key, cell]) => [' never', ' always'].map((end) => [key + end, cell + end]));
const KEYS = NAMES.map(([key]) => key);
const ALL = [...KEYS, ...STALE.map(([key]) => key)];

// Each name is a flag; the neighbouring names are its values, and one of them is the application and the SDK that asked.
for (const [place, key] of KEYS.entries()) {
  const [value, fallback, agent] = [1, 2, 3].map((next) => KEYS[(place + next) % KEYS.length]);
  const now = Date.now();
  const counters = [
    { variation: 0, value, version: 3, count: 40 + place },
    { variation: 1, value: fallback, version: 4, count: 7 },
    { unknown: true, value: fallback, count: 1 },
  ];
  const feature = { default: fallback, contextKinds: [agent.slice(0, 40)], counters };
  // Only what a header can carry gets this far as a name of an SDK; the rest is refused by every HTTP library.
  const header = (text) => [...text].filter((c) => c >= ' ' && c <= '~').join('');
  await send([
    { kind: 'summary', startDate: now - 1000, endDate: now, features: JSON.parse(`{${JSON.stringify(key)}: ${JSON.stringify(feature)}}`) },
    { kind: 'custom', key, creationDate: now, context: { kind: 'user', key }, metricValue: 1 },
  ], { 'User-Agent': `${header(agent)}/9.9`, 'X-LaunchDarkly-Tags': `application-id/${header(agent)} application-version/${header(value)}` });
}
for (const [place, [key]] of STALE.entries()) {
  const name = OLD[place >> 1][0];
  const answer = await fetch(`${url}/v1/projects/default/flags/${encodeURIComponent(key)}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ createdAt: Date.now() - 90 * 86_400_000, type: 'release', owner: name, codeReferences: place % 2 }),
  });
  assert.equal(answer.status, 200, await answer.text());
  if (!key.endsWith(' always')) continue;
  const feature = { default: name, contextKinds: ['user'], counters: [{ variation: 1, value: { [name]: name }, count: 3 }] };
  await send([{ kind: 'summary', startDate: Date.now() - 1000, endDate: Date.now(), features: { [key]: feature } }]);
}
await caughtUp();
const flags = await until('all flags', () => get('/v1/projects/default/stale-flags?limit=1000'), (list) => list.totalCount === ALL.length);
assert.deepEqual(flags.items.map((item) => item.key).sort(), [...ALL].sort());
assert.deepEqual(flags.items.filter((item) => item.stale).map((item) => item.key).sort(), STALE.map(([key]) => key).sort());

const browser = await launch();
const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1280, height: 900 } });
await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
const wrong = await listen(context);
const page = await context.newPage();
let looks = 0;

/** Nothing of the page was made of a name: only elements and attributes that we write, no scheme but ours, no more scripts than ours. */
async function look(what) {
  looks += 1;
  const found = await page.evaluate(() => {
    const odd = [];
    for (const element of document.querySelectorAll('*')) {
      if (['IMG', 'IFRAME', 'OBJECT', 'EMBED', 'BASE', 'STYLE'].includes(element.tagName)) odd.push(element.outerHTML.slice(0, 200));
      if (element.tagName === 'SCRIPT' && !/^\/[a-z]+\.js(\?.*)?$/.test(element.getAttribute('src') ?? '')) odd.push(element.outerHTML.slice(0, 200));
      for (const { name, value } of element.attributes) {
        if (name.startsWith('on') || name === 'style' || name === 'autofocus') odd.push(`${element.tagName} ${name}=${value}`);
        if (['href', 'src', 'action', 'formaction'].includes(name)) {
          const target = new URL(value, location.href);
          const noIcon = element.tagName === 'LINK' && value === 'data:,';
          if (target.origin !== location.origin && !noIcon) odd.push(`${element.tagName} ${name}=${value}`);
        }
      }
    }
    // A direction must not leave the name that has it: hidden characters show as their code.
    if (/[\u202A-\u202E\u2066-\u2069\u200B]/u.test(document.body.innerText)) odd.push('a character that changes how others show');
    return odd;
  });
  assert.deepEqual(found, [], what);
  assert.deepEqual(wrong, [], what);
}

async function open(address, what) {
  const answer = await page.goto(url + address);
  assert.equal(answer.status(), 200, `${what}: ${address}`);
  const policy = answer.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'|script-src 'self'/, `${what}: a policy is set: ${policy}`);
  assert.ok(!policy.includes('unsafe'), policy);
  await look(what);
}
const picture = (name) => page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });

await open('/', 'the first page');
await picture('first');

await open('/stale', 'the stale page');
await picture('stale');
assert.deepEqual((await page.locator('#stale tr[data-flag]').evaluateAll((rows) => rows.map((row) => row.dataset.flag))).sort(), [...ALL].sort());
for (const sort of await page.locator('#stale thead a.sort').evaluateAll((links) => links.map((link) => link.getAttribute('href')))) {
  await open(sort, 'sorted');
}

// The CSV as the page's own link gives it, read by a reader of spreadsheets' CSV.
await open('/stale', 'the stale page');
const [download] = await Promise.all([page.waitForEvent('download'), page.click('#csv')]);
const csv = readFileSync(await download.path(), 'utf8');
const read = Papa.parse(csv, { header: true, skipEmptyLines: true, delimiter: ',' });
assert.deepEqual(read.errors, []);
assert.equal(csv.trimEnd().split('\r\n').length, ALL.length + 1, 'a flag is one line');
const cells = read.data.map((row) => row.key).sort();
const known = [...NAMES, ...STALE].filter(([, cell]) => cell !== null).map(([, cell]) => cell);
assert.deepEqual(cells.filter((cell) => known.includes(cell)), known.sort());
assert.equal(cells.length, ALL.length);
for (const row of read.data) for (const [column, cell] of Object.entries(row)) {
  assert.ok(!/^[=+\-@\t\r＝＋－＠]/.test(cell), `${column} of ${row.key} begins a formula: ${cell}`);
}

// Each flag: its evidence, opened as a person does; its ticket, copied; then its own page.
for (const [place, key] of ALL.entries()) {
  const row = page.locator('#stale tr[data-flag]').nth(await page.locator('#stale tr[data-flag]').evaluateAll(
    (rows, key) => rows.findIndex((row) => row.dataset.flag === key), key));
  await row.locator('a.key').click();
  await page.waitForFunction((key) => document.getElementById('evidence')?.dataset.flag === key, key);
  await look(`evidence of ${JSON.stringify(key)}`);
  if ([0, NAMES.length, NAMES.length + 1].includes(place)) await picture(`evidence-${place}`);
  await page.click('#copy-ticket');
  await page.waitForFunction(() => document.getElementById('copy-ticket').textContent === 'Copied');
  const ticket = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(ticket, await page.inputValue('#ticket'), 'what is copied is what is shown');
  assert.ok(ticket.startsWith('## '), ticket);
  assert.ok(!ticket.split('\n').some((line) => /^\s*(<|[`]{3})/.test(line)), `a line of the ticket is HTML: ${ticket}`);
  const self = await page.locator('#evidence section.place h4 a').first().getAttribute('href');
  await open(self, `the page of ${JSON.stringify(key)}`);
  if (place < 2 || key === 'checkout') await picture(`flag-${place}`);
  await page.goto(`${url}/stale`);
}

// A key is looked for in the form, and snoozed from its evidence.
const [sought] = STALE[2];
await page.fill('#q', sought);
await page.press('#q', 'Enter');
await page.waitForURL(/q=/);
await look('looked for');
assert.equal(await page.locator('#stale tr[data-flag]').count(), 1);
await page.locator('#stale a.key').click();
await page.locator('#evidence #snooze').waitFor();
await Promise.all([page.waitForNavigation(), page.click('#snooze button')]);
await look('snoozed');
const snoozed = await until('a snooze', () => get('/v1/projects/default/stale-flags?limit=1000'),
  (list) => list.items.some((item) => item.conditions.snoozed));
assert.deepEqual(snoozed.items.filter((item) => item.conditions.snoozed).map((item) => [item.key, item.stale]), [[sought, false]]);

// On a telephone, and in the dark.
await page.setViewportSize({ width: 390, height: 844 });
await page.emulateMedia({ colorScheme: 'dark' });
await open('/stale', 'the stale page, small and dark');
await picture('stale-small');
const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
assert.ok(wider <= 0, `the page is ${wider} px wider than a telephone`);

// This listens as it should: what is forbidden is heard.
await page.evaluate(() => { const script = document.createElement('script'); script.textContent = 'ran(0)'; document.body.append(script); });
await until('a violation to be heard', async () => wrong.filter((what) => what.startsWith('policy: script-src')), (heard) => heard.length > 0);
assert.ok(!wrong.some((what) => what.startsWith('a script ran')), 'the policy stops an inline script');

await browser.close();
console.log(`pictures: ${PICTURES}`);
console.log(`${looks} looks at pages with ${ALL.length} hostile names in Chromium ${browser.version()}: none acted`);
