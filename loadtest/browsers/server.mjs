// The server under test, asked as programs ask it.
import assert from 'node:assert/strict';

export const url = process.env.FLAGSTREAM_URL;
export const sdkKey = process.env.FLAGSTREAM_SDK_KEY;
export const clientSideId = process.env.FLAGSTREAM_CLIENT_SIDE_ID;

export async function get(path) {
  const answer = await fetch(url + path);
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

/** Sends analytics events as a server SDK does. */
export async function send(events, headers = {}) {
  const answer = await fetch(`${url}/bulk`, {
    method: 'POST',
    headers: { 'Authorization': sdkKey, 'Content-Type': 'application/json', 'X-LaunchDarkly-Event-Schema': '4', ...headers },
    body: JSON.stringify(events),
  });
  assert.equal(answer.status, 202, await answer.text());
}

/** Asks until `done` says so; the answer. */
export async function until(what, ask, done, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    assert.ok(Date.now() < deadline, `${what}: not within ${seconds} s: ${JSON.stringify(answer)}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

export const caughtUp = () => until('the lag', () => get('/v1/pipeline/health'), (health) => health.lag.records === 0);
