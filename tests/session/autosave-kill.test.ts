import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { folderStore } from '../../src/io/stores/fs.js';
import { Journal } from '../../src/session/saving/journal.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { bundleForNode } from '../support/node-bundle.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { WALK_IMAGE } from '../support/session-walk.js';

/** 200 in the long run: `MICRO_SAM_KILLS=200 node tests/run.mjs autosave-kill`. */
const KILLS = Number(process.env.MICRO_SAM_KILLS ?? 20);

describe('autosave under kill -9', () => {
  const script = path.resolve('dist', 'tests', `autosave-child-${process.pid}.mjs`);
  let folder = '';

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-kill-'));
    await bundleForNode({ file: 'tests/support/autosave-child.ts' }, script);
  });

  after(async () => {
    await rm(script, { force: true });
    await rm(folder, { recursive: true, force: true });
  });

  it(`loses nothing that was said to be safe, in ${KILLS} kills at random moments`, async function () {
    this.timeout(KILLS * 5_000);
    const random = seededRandom(7);
    let restored: string | undefined;
    let states = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const lines = await annotateAndDie(script, folder, kill, randomInteger(random, 0, 120));
      assert.ok(lines.length > 0, `kill ${kill}: the process said nothing`);
      if (restored !== undefined) assert.equal(lines[0], `safe ${restored}`, `kill ${kill}: what it restored`);
      const lastSafe = lines.findLastIndex((line) => line.startsWith('safe '));
      const allowed = new Set(lines.slice(lastSafe).map((line) => line.split(' ')[1]));
      restored = await digestOf(folder);
      assert.ok(allowed.has(restored), `kill ${kill}: restored a state older than the last that was safe`);
      states += lines.length;
    }
    assert.ok(states > KILLS * 3, 'there was work to lose');
  });
});

/** Runs the process until `delay` ms after it began to work, and kills it. Returns the whole lines that it wrote. */
async function annotateAndDie(script: string, folder: string, seed: number, delay: number): Promise<string[]> {
  const child = spawn(process.execPath, [script, folder, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), delay));
  await new Promise<void>((resolve) => child.once('close', () => resolve()));
  assert.equal(child.signalCode, 'SIGKILL', 'it worked until it was killed');
  return text.slice(0, text.lastIndexOf('\n')).split('\n');
}

async function digestOf(folder: string): Promise<string> {
  const session = new AnnotationSession();
  const { restored, notice } = await Journal.open(folderStore(folder), WALK_IMAGE);
  assert.equal(notice, undefined, 'nothing is damaged');
  session.open(WALK_IMAGE, undefined, restored);
  return createHash('sha1').update(exportSession(session.state)).digest('hex');
}
