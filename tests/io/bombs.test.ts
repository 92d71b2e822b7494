import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { encode as encodePng } from 'fast-png';
import { bombs } from '../support/bombs.js';
import { bundleForNode } from '../support/node-bundle.js';

/** Each of these holds 64 x 64 pixels: whoever reads it may take that twice, and 64 MB. */
const ALLOWED_MB = 64;

/** Opens one file in a process of its own, which tells how it ended and how far its memory rose above a harmless file's. */
const OPENER = `
import { readFileSync } from 'node:fs';
import { unpackChunk } from './src/io/hdf5/filters.ts';
import { openFile } from './src/io/node-open.ts';
const [harmless, file] = process.argv.slice(2);
const read = async (name) => {
  const id = Number(/(\\d+)\\.chunk$/.exec(name)?.[1]);
  if (id) return unpackChunk(readFileSync(name), [{ id, label: '', parameters: [] }], 0, 4096, 1, name);
  return (await openFile(name, name.endsWith('.h5') ? { key: 'raw' } : {})).readRegion({});
};
await read(harmless);
const before = process.resourceUsage().maxRSS;
const outcome = await read(file).then(() => 'read', (error) => error.code ?? String(error));
console.log(JSON.stringify({ outcome, grownMB: (process.resourceUsage().maxRSS - before) / 1024 }));`;

describe('files that would unpack to far more than they say', function () {
  this.timeout(120_000);
  let folder: string;
  let opener: string;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'micro-sam-bombs-'));
    opener = path.resolve('dist', 'tests', `bombs-${process.pid}.mjs`);
    await bundleForNode({ code: OPENER }, opener);
    await writeFile(
      path.join(folder, 'harmless.png'),
      encodePng({ width: 64, height: 64, data: new Uint8Array(4096), channels: 1 }),
    );
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await rm(opener);
  });

  for (const [kind, files] of bombs())
    it(`${kind}: is read or refused in little memory`, async () => {
      const place = await mkdtemp(path.join(folder, 'bomb-'));
      for (const [name, bytes] of files) {
        await mkdir(path.dirname(path.join(place, name)), { recursive: true });
        await writeFile(path.join(place, name), bytes);
      }
      const [first] = [...files.keys()];
      const target = path.join(place, first.split('/')[0]);
      const harmless = path.join(folder, 'harmless.png');
      const { stdout } = await promisify(execFile)(process.execPath, [opener, harmless, target]);
      const { outcome, grownMB } = JSON.parse(stdout);
      assert.match(outcome, /^(read|invalid_image|unsupported)$/);
      assert.ok(grownMB <= ALLOWED_MB, `${grownMB.toFixed(0)} MB more`);
    });
});
