// A site that uses the browser SDKs, and a stand-in of the flag service. Events are none of its business: they go to the server under test,
// which is another origin.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { clientSideId, url } from './server.mjs';

/** What each visitor is served: value, variation, version. */
export const FLAGS = {
  'checkout': { value: true, variation: 0, version: 4 },
  'banner': { value: 'long', variation: 2, version: 7 },
  'page-size': { value: 50, variation: 1, version: 2 },
  'grid': { value: { columns: 3 }, variation: 1, version: 3 },
  'dark-mode': { value: false, variation: 1, version: 9 },
  'odd/key <b>': { value: true, variation: 0, version: 5 },
  'new-search': { value: false, variation: 1, version: 1 },
};

const file = (path) => readFileSync(new URL(path, import.meta.url));
const SCRIPTS = {
  '/old.js': file('node_modules/launchdarkly-js-client-sdk/dist/ldclient.min.js'),
  '/new.js': file('node_modules/@launchdarkly/js-client-sdk/dist/index.js'),
};

/** The page: it does what the address says when it is loaded, and no more. */
function page(site) {
  const application = (version) => `{ id: 'shop', version: '${version}' }`;
  return `<!doctype html><meta charset="utf-8"><title>A site</title><link rel="icon" href="data:,">
<script src="/old.js"></script>
<script type="module">
const asked = new URLSearchParams(location.search);
const context = { kind: 'user', key: asked.get('user') };
let client;
if (asked.get('sdk') === 'old') {
  const addresses = { baseUrl: '${site}', streamUrl: '${site}', eventsUrl: '${url}' };
  client = LDClient.initialize('${clientSideId}', context, { ...addresses, application: ${application('1.2')} });
  await client.waitForInitialization(5);
} else {
  const { createClient } = await import('/new.js');
  const addresses = { baseUri: '${site}', streamUri: '${site}', eventsUri: '${url}' };
  const flushInterval = 2; // seconds, as the older one has
  client = createClient('${clientSideId}', context, { ...addresses, flushInterval, applicationInfo: ${application('2.0')} });
  await client.start({ timeout: 5 });
}
const answers = asked.has('all') ? client.allFlags() : {};
for (const flag of asked.getAll('flag')) answers[flag] = client.variation(flag, null);
globalThis.answers = answers;
</script>`;
}

/** Starts the site on a free port; its address, how often flags were asked for, and how to stop it. */
export async function start() {
  const asked = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://site').pathname;
    const origin = { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-store' };
    const answer = (kind, body) => response.writeHead(200, { 'Content-Type': kind, ...origin }).end(body);
    if (path === '/') return answer('text/html', page(site.address));
    if (SCRIPTS[path]) return answer('text/javascript', SCRIPTS[path]);
    if (path.startsWith('/sdk/evalx/') || path.startsWith('/sdk/goals/')) {
      asked.push(path);
      return answer('application/json', path.startsWith('/sdk/goals/') ? '[]' : JSON.stringify(FLAGS));
    }
    asked.push(`unknown: ${request.method} ${request.url}`);
    return response.writeHead(404, origin).end();
  });
  const site = { asked, stop: () => server.close() };
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  site.address = `http://127.0.0.1:${server.address().port}`;
  return site;
}
