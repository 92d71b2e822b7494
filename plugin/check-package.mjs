/**
 * Packs what would be published and looks at it as its users' tools do: publint and "are the types wrong?"; counts its
 * files, and reads the licences of what comes with it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Beside models and ONNX Runtime. */
const MOST_FILES = 60;

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const run = (command, ...args) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-package-'));
try {
  run('npm', 'run', '--silent', 'prepack');
  const [packed] = JSON.parse(run('npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder));
  const tarball = path.join(folder, packed.filename);
  console.log(run('npx', '--no-install', 'publint', 'run', tarball, '--strict'));
  console.log(run('npx', '--no-install', 'attw', tarball, '--profile', 'esm-only', '--no-emoji', '--format', 'ascii'));
  console.log(run('node', 'plugin/licences.mjs').trim().split('\n').at(-1));
  const own = packed.files.filter(({ path: file }) => !/^dist\/(models|ort)\//.test(file));
  console.log(`${packed.entryCount} files, ${(packed.size / 1e6).toFixed(1)} MB packed.`);
  if (own.length > MOST_FILES)
    throw new Error(`${own.length} files beside models and ONNX Runtime, where at most ${MOST_FILES} are wanted.`);
} finally {
  rmSync(folder, { recursive: true });
}
