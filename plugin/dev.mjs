/**
 * `npm run dev -- [what npm start takes]`: builds, serves and watches. A changed page reloads; a change of the server, the
 * encoder's process or the command line starts them again. `--inspect` before the other arguments opens a debugger port in
 * the server's process (its encoder's process gets the next one).
 */
import { spawn } from 'node:child_process';
import { existsSync, rmSync, watch } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { context } from 'esbuild';
import { copyAssets } from './assets.mjs';
import { COMMAND_LINE, JOBS, PAGES } from './bundles.mjs';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const args = process.argv.slice(2);
const inspect = args[0] === '--inspect' ? args.splice(0, 1) : [];

/** Pages that are open, each waiting for the word to reload. */
const open = new Set();
const bell = http.createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Access-Control-Allow-Origin': '*' });
  response.write('retry: 500\n\n');
  open.add(response);
  response.on('close', () => open.delete(response));
});
await new Promise((resolve) => bell.listen(0, '127.0.0.1', resolve));
function reload() {
  for (const response of open) response.write('data: reload\n\n');
}

// Only the outermost window listens: the frames inside are loaded anew with it.
const listening = `if (typeof document !== 'undefined' && self === top && !self.reloads)
  (self.reloads = new EventSource('http://127.0.0.1:${bell.address().port}/')).onmessage = () => location.reload();`;

const pages = { ...PAGES, minify: false, banner: { js: listening }, plugins: [...PAGES.plugins, whenBuilt(reload)] };
const jobs = { ...JOBS, minify: false };
const commandLine = { ...COMMAND_LINE, plugins: [whenBuilt(restart)] };

rmSync('dist/.build', { force: true }); // what follows is not what `npm run build` makes
copyAssets();
for (const options of [pages, jobs, commandLine]) await (await context(options)).watch();
watch('plugin', { recursive: true }, (_, file) => {
  if (!/\.(html|css)$/.test(file ?? '') || /panel\.css$|styles\.css$/.test(file)) return; // esbuild watches its own
  copyAssets();
  reload();
});

let server;
function restart() {
  if (!existsSync('dist/host/host.js')) return void setTimeout(restart, 50); // the pages' first build is still going on
  const before = server;
  const start = () => {
    const port = args.includes('--port') ? [] : ['--port', '8765'];
    const browser = before ? ['--no-open'] : [];
    const run = [...inspect, 'dist/cli/micro-sam.js', 'annotator_2d', ...args, ...port, ...browser];
    server = spawn(process.execPath, run, { stdio: 'inherit' });
  };
  if (!before || before.exitCode !== null) return start();
  before.once('exit', start);
  before.kill('SIGTERM');
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    server?.kill(signal);
    process.exit();
  });

function whenBuilt(then) {
  return {
    name: 'when built',
    setup: (build) => build.onEnd(({ errors }) => (errors.length === 0 ? then() : undefined)),
  };
}
