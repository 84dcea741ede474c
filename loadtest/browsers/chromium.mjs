// Headless Chromium, and an ear for everything that must not happen on a page of ours.
import { chromium } from 'playwright-core';

/** Starts the browser that the environment names. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROME_PATH,
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [], // root has no sandbox to enter
  });
}

/** Writes down what goes wrong in all pages of `context`: dialogs, errors, violations of the page's policy, scripts of foreign texts. */
export async function listen(context) {
  const wrong = [];
  await context.exposeBinding('told', (_, what) => wrong.push(what));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      told(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample} at ${location.href}`);
    });
    // What the hostile names below would call.
    globalThis.ran = (where) => told(`a script ran: ${where} at ${location.href}`);
  });
  context.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.push(`console: ${message.text()} at ${message.location().url}`);
  });
  context.on('weberror', (error) => wrong.push(`error: ${error.error()}`));
  context.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // Whoever leaves a page ends what it still asks for; a download ends its navigation.
    if (why !== 'net::ERR_ABORTED') wrong.push(`request: ${request.url()}: ${why}`);
  });
  return wrong;
}
