/** Starts the annotator with `npm start`, as the README says, loads what the printed address leads to, and stops it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-smoke-'));
const child = spawn('npm', ['start', '--silent', '--', '--no-open', '--port', '0', '--autosave-dir', folder], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = new Promise((resolve) => child.on('exit', resolve));
try {
  const address = await new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const lines = output.trim().split('\n');
      if (output.endsWith('\n') && lines.at(-1).startsWith('http://127.0.0.1:')) resolve(lines.at(-1));
    });
    ended.then((code) => reject(new Error(`npm start ended with ${code} before it printed an address.`)));
    setTimeout(() => reject(new Error('No address within two minutes.')), 120_000).unref();
  });
  const { origin, searchParams } = new URL(address);
  for (const file of ['/', '/host/host.js', '/plugin/index.html', '/plugin/main.js', '/plugin/viewer/index.html']) {
    const response = await fetch(origin + file);
    assert.equal(response.status, 200, file);
    assert.ok((await response.text()).length > 100, file);
  }
  const authorization = `Bearer ${searchParams.get('token')}`;
  const settings = await (await fetch(`${origin}/settings.json`, { headers: { authorization } })).json();
  assert.match(settings.viewer, /^http:\/\/127\.0\.0\.1:/);
  console.log(`${address} answers.`);
  child.kill('SIGTERM');
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('It did not stop.')), 15_000).unref());
  await Promise.race([ended, late]);
  const answers = () =>
    fetch(origin).then(
      () => true,
      () => false,
    );
  for (let attempt = 0; attempt < 50 && (await answers()); attempt++) await new Promise((r) => setTimeout(r, 100));
  assert.ok(!(await answers()), 'The server still answers after npm was stopped.');
} finally {
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
