#!/usr/bin/env node
/**
 * Firefox for playwright-core, which drives it by WebDriver BiDi and asks for commands that only newer versions know:
 * those that merely set the taste of pages are answered here, everything else is passed on both ways.
 *
 *   FIREFOX=/usr/bin/firefox-esr firefox-relay.mjs ARGUMENTS OF FIREFOX
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { WebSocket, WebSocketServer } from 'ws';

const MATTERS_NOT = new Set(['emulation.setMediaFeaturesOverride']);

const firefox = spawn(process.env.FIREFOX, process.argv.slice(2), { stdio: ['ignore', 'inherit', 'pipe'] });
firefox.on('exit', (code) => process.exit(code ?? 1));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => firefox.kill(signal));

createInterface({ input: firefox.stderr }).on('line', (line) => {
  const [, address] = /^WebDriver BiDi listening on (ws:\/\/\S+)$/.exec(line) ?? [];
  if (address) relay(address);
  else console.error(line);
});

function relay(address) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('listening', () => console.error(`WebDriver BiDi listening on ws://127.0.0.1:${server.address().port}`));
  server.on('connection', (driver, { url }) => {
    const browser = new WebSocket(`${address}${url}`, { perMessageDeflate: false });
    const opened = new Promise((resolve) => browser.once('open', resolve));
    driver.on('message', async (data) => {
      const { id, method } = JSON.parse(data.toString());
      if (MATTERS_NOT.has(method)) return driver.send(JSON.stringify({ type: 'success', id, result: {} }));
      await opened;
      browser.send(data.toString());
    });
    browser.on('message', (data) => driver.send(data.toString()));
    browser.on('close', () => driver.close());
    browser.on('error', () => driver.close());
    driver.on('close', () => browser.close());
  });
}
