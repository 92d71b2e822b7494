import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { docCode, linesOf } from '../support/doc-code.js';
import { checkVolumeLabels, writeVolume } from '../support/small-volume.js';
import { buildOnce } from '../support/start-server.js';

/** The script of docs/scripting.md, as a user runs it, with the real model. */
describe('a whole annotation in Node', function () {
  this.timeout(600_000);
  // Below the package, so that it finds itself by its name.
  const folder = path.resolve('dist', 'tests', `script-${process.pid}`);
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('opens, prompts, follows through the slices, commits and writes labels, in under 20 lines', async () => {
    const [code] = docCode('docs/scripting.md', 'A whole annotation', 'js');
    assert.ok(linesOf(code) < 20);
    await buildOnce();
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'annotate.mjs'), code);
    await writeVolume(path.join(folder, 'stack.tif'));
    const printed = execFileSync(process.execPath, ['annotate.mjs'], { cwd: folder, encoding: 'utf8' });
    assert.equal(printed, '');
    const written = readdirSync(folder).filter((file) => !['annotate.mjs', 'stack.tif'].includes(file));
    assert.equal(written.length, 1, written.join());
    await checkVolumeLabels(path.join(folder, written[0]));
  });
});
