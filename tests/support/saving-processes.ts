import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { folderStore } from '../../src/io/stores/fs.js';
import { bundleForNode } from './node-bundle.js';
import { type Losses, lostInRace, type Raced } from './saving-trials.js';
import { WALK_IMAGE } from './session-walk.js';
import { startServer } from './start-server.js';

/**
 * Two real processes save the same images at once: in one folder, or through two servers of it.
 *
 * @param folders where each of them finds the folder, and where what they saved is looked for; default: one that is made
 */
export async function processRaces(
  trials: number,
  through: 'folder' | 'servers',
  folders?: readonly [here: string, there: string, shared: string],
): Promise<Losses> {
  const made = folders ? undefined : await mkdtemp(path.join(os.tmpdir(), 'micro-sam-races-'));
  const [here, there, shared] = folders ?? [made as string, made as string, made as string];
  const script = path.resolve('dist', 'tests', `race-child-${process.pid}.mjs`);
  await bundleForNode({ file: 'tests/support/race-child.ts' }, script);
  const servers =
    through === 'servers'
      ? await Promise.all(
          [here, there].map((autosaveDir) => startServer(['--port', '0', '--no-worker'], { autosaveDir })),
        )
      : [];
  const places = servers.map(({ origin, token }) => [`${origin}/autosave/`, token]);
  const writers = [0, 1].map((n) => new Writer([script, ...(places[n] ?? [n === 0 ? here : there])]));
  try {
    const losses: string[] = [];
    for (let trial = 0; trial < trials; trial++) {
      const image = `race-${trial}`;
      const windows = await Promise.all(writers.map((writer, n) => writer.save(`${image} ${trial * 2 + n}`)));
      const lost = await lostInRace(folderStore(shared), { ...WALK_IMAGE, signature: image }, windows);
      losses.push(...lost.map((what) => `${image}: ${what}`));
    }
    return { trials, losses };
  } finally {
    for (const writer of writers) writer.end();
    await Promise.all(servers.map((server) => server.stop()));
    await rm(script, { force: true });
    if (made) await rm(made, { recursive: true, force: true });
  }
}

class Writer {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: ReturnType<typeof createInterface>;

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, args);
    this.child.stderr.pipe(process.stderr);
    this.lines = createInterface({ input: this.child.stdout });
  }

  async save(line: string): Promise<Raced> {
    const answer = once(this.lines, 'line');
    this.child.stdin.write(`${line}\n`);
    return JSON.parse((await answer)[0] as string);
  }

  end(): void {
    this.child.stdin.end();
  }
}
