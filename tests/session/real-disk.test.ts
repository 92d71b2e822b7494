import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { folderStore } from '../../src/io/stores/fs.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { openSaved } from '../support/open-saved.js';
import { seededRandom } from '../support/random.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

/** A disk of its own, of one megabyte, where tests may mount one (root on Linux); they are skipped elsewhere. */
describe('autosave on a disk of the system', () => {
  let disk: string;
  let isMounted = false;

  const mount = (...args: string[]) => spawnSync('mount', [...args, disk]).status === 0;
  before(function () {
    disk = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-disk-'));
    isMounted = process.platform === 'linux' && mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs');
    if (!isMounted) this.skip();
  });
  after(() => {
    if (isMounted) spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  /** Works while the disk refuses, and when it does not any more. @returns what was said of it */
  async function workThrough(refuse: () => void, allow: () => void, seed: number): Promise<string> {
    const store = folderStore(path.join(disk, String(seed)));
    const session = new AnnotationSession();
    const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]));
    const random = seededRandom(seed);
    const work = async (steps: number) => {
      for (let step = 0; step < steps; step++) await randomStep(session, random, step);
    };
    await work(10);
    await autosave.flush();
    refuse();
    let said = '';
    session.subscribe(({ message }) => {
      if (message) said += message.text;
    });
    await work(10);
    await assert.rejects(autosave.flush(), { code: 'storage' });
    assert.equal(session.state.autosave, 'failed');
    allow();
    await work(10);
    await autosave.flush();
    await autosave.close();
    const again = new AnnotationSession();
    await (await openSaved(again, store, WALK_IMAGE)).close();
    assert.equal(exportSession(again.state), exportSession(session.state));
    return said;
  }

  it('loses nothing when that is full, and goes on when there is room', async () => {
    const filler = path.join(disk, 'filler');
    const fill = () => assert.throws(() => writeFileSync(filler, new Uint8Array(2_000_000)), { code: 'ENOSPC' });
    assert.match(await workThrough(fill, () => rmSync(filler), 1), /the disk is full; free some space/);
  });

  it('loses nothing when that is read-only for a while', async () => {
    const remount = (mode: string) => () => assert.ok(mount('-o', `remount,${mode}`));
    assert.match(await workThrough(remount('ro'), remount('rw'), 2), /the file system is read-only/);
  });
});
