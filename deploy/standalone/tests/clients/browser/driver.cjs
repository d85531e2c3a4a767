// Drives Chromium for the tests: a line of JSON in is `{id, visitor, code}`, a line out `{id, value}` or `{id, error}`.
// `code` is the body of an async function; `page`, `context` and `cdp` in it are the visitor's.
'use strict';
const { chromium } = require('playwright-core');
const { accessSync, constants } = require('node:fs');
const { join } = require('node:path');
const readline = require('node:readline');

function executable() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of process.env.PATH.split(':')) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // Not here.
      }
    }
  }
  throw new Error('Chromium is missing: `deploy/setup --tests` says how to install it');
}

const visitors = new Map();
// A name for an origin that is not secure, which those of loopback are.
const args = ['--host-resolver-rules=MAP shop.example 127.0.0.1'];
// No sandbox: it needs rights that containers do not have, and all pages are the tests' own.
const browser = chromium.launch({ executablePath: executable(), chromiumSandbox: false, args });
// Whoever asks gets the error.
browser.catch(() => {});

async function run({ visitor, code }) {
  const its = visitors.get(visitor) ?? {};
  visitors.set(visitor, its);
  its.open = async (options) => {
    its.context = await (await browser).newContext(options);
    await its.tab();
  };
  // A new tab; `page` and `cdp` are those of the newest one.
  its.tab = async () => {
    its.page = await its.context.newPage();
    its.cdp = await its.context.newCDPSession(its.page);
    return its.page;
  };
  its.close = async () => {
    visitors.delete(visitor);
    await its.context?.close();
  };
  its.offline = (offline) =>
    its.cdp.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  its.browser = await browser;
  // `with`: a tab that the code opens is its `page` from then on.
  return new Function('its', `return (async () => { with (its) { ${code} } })()`)(its);
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const command = JSON.parse(line);
  const answer = await run(command).then(
    (value) => ({ id: command.id, value: value ?? null }),
    (error) => ({ id: command.id, error: String(error?.stack ?? error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
lines.on('close', async () => {
  await browser.then((it) => it.close(), () => {});
  process.exit(0);
});
