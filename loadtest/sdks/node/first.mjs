// The smallest program that is counted: one flag, asked for three times. It needs no account, for the flag is made here.
import { init } from '@launchdarkly/node-server-sdk';
import { TestData } from '@launchdarkly/node-server-sdk/integrations';

const url = process.env.FLAGSTREAM_URL ?? 'http://127.0.0.1:8080';
const key = process.env.FLAGSTREAM_SDK_KEY;
if (!key) {
  console.error('set FLAGSTREAM_SDK_KEY to a server key: it stands in keys.toml in the data directory of `flagstream up`');
  process.exit(1);
}

const flags = new TestData();
flags.update(flags.flag('my-first-flag').booleanFlag().variationForAll(true));

const client = init(key, {
  baseUri: 'https://sdk.launchdarkly.com', // these two stay the vendor's; with test data neither is asked
  streamUri: 'https://stream.launchdarkly.com',
  eventsUri: url, // this one is ours
  updateProcessor: flags.getFactory(),
  logger: { error: console.error, warn: console.error, info() {}, debug() {} },
});
await client.waitForInitialization({ timeout: 10 });

for (const name of ['ada', 'ben', 'ada']) {
  console.log(name, await client.boolVariation('my-first-flag', { kind: 'user', key: name }, false));
}

client.flush((error) => { // what is not flushed before the end is lost
  client.close();
  if (error) console.error(`not sent to ${url}: ${error.message}`);
  else console.log(`sent; look at ${url}/ or run: flagstream evaluations --server ${url}`);
  process.exit(error ? 1 : 0);
});
