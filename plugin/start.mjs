/** `npm start`: builds what changed, then serves it. Whoever stops npm stops the server too. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const build = path.join(path.dirname(fileURLToPath(import.meta.url)), 'build.mjs');
// The build talks on stderr: the last line of stdout is the address.
const { status } = spawnSync(process.execPath, [build, '--quiet'], { stdio: ['ignore', 2, 2] });
if (status !== 0) process.exit(status ?? 1);
// npm stands behind a shell that does not pass signals on: when both are gone, so is this.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
}, 300).unref();
process.argv.splice(2, 0, 'annotator_2d');
await import('../dist/cli/micro-sam.js');
