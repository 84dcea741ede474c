// The smallest program that is counted: one flag, asked for three times. It needs no account, for the flag is made here.
import { init } from '@launchdarkly/node-server-sdk';
import { TestData } from '@launchdarkly/node-server-sdk/integrations';

const url = process.env.FLAGSTREAM_URL ?? 'http://127.0.0.1:8080';
const key = process.env.FLAGSTREAM_SDK_KEY;
if (!key) throw new Error('set FLAGSTREAM_SDK_KEY to the SDK key that `flagstream up` prints');

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

await client.flush(); // what is not flushed before the end is lost
client.close();
console.log(`sent; look at ${url}/ or run: flagstream evaluations --server ${url}`);
