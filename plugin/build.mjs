/**
 * Builds everything under dist/: the pages (host, plugin, viewer), the web worker, ONNX Runtime's files, the models, the
 * command line and the library. `--quiet` says nothing; `--force` builds although no source is newer than the last build.
 * `--page URL` is where dist/plugin will be published: the launcher then opens the page there.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { copyAssets } from './assets.mjs';
import { BROWSER_LIBRARY, COMMAND_LINE, JOBS, LIBRARY, PAGES } from './bundles.mjs';
import { writeNotices } from './licences.mjs';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const quiet = process.argv.includes('--quiet');
const STAMP = 'dist/.build';

const started = performance.now();
const stamp = fingerprint();
if (!process.argv.includes('--force') && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) {
  if (!quiet) console.log('dist/ is up to date.');
  process.exit(0);
}
for (const folder of ['plugin', 'host', 'cli', 'lib'])
  rmSync(path.join('dist', folder), { recursive: true, force: true });

const [pages, jobs] = await Promise.all([PAGES, JOBS, COMMAND_LINE, LIBRARY, BROWSER_LIBRARY].map((one) => build(one)));

copyAssets(pageAddress());
writeNotices({ ...pages.metafile.inputs, ...jobs.metafile.inputs });

const entries = ['dist/plugin/main.js', 'dist/plugin/viewer/viewer.js', 'dist/plugin/worker.js', 'dist/host/host.js'];
const styles = ['dist/plugin/panel.css', 'dist/plugin/viewer/viewer.css', 'dist/host/host.css'];
/** What the page loads before anybody asks for more; the bench measures it. */
const initial = [...new Set([...entries.flatMap(closure), ...styles])];
writeFileSync('dist/sizes.json', JSON.stringify({ initial }, null, 2));
writeFileSync(STAMP, stamp);
if (!quiet) report();

/** Changes when any source, any copied file or the set of installed packages does. */
function fingerprint() {
  const hash = createHash('sha1').update(
    process.argv
      .slice(2)
      .filter((a) => a !== '--quiet' && a !== '--force')
      .join(' '),
  );
  for (const file of [...walk('src'), ...walk('plugin'), 'manifest.imjoy.json', 'package.json', 'package-lock.json'])
    hash.update(`${file} ${existsSync(file) ? statSync(file).mtimeMs : 'absent'}\n`);
  return hash.digest('hex');
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? walk(file) : [file];
  });
}

function pageAddress() {
  const given = process.argv.indexOf('--page');
  return given < 0 ? undefined : new URL('index.html', `${process.argv[given + 1].replace(/\/$/, '')}/`).href;
}

function report() {
  for (const entry of entries) {
    const files = closure(entry);
    const bytes = files.map((file) => readFileSync(file));
    const kB = (n) => `${(n / 1000).toFixed(0)} kB`;
    const size = bytes.reduce((sum, b) => sum + b.length, 0);
    const gzipped = bytes.reduce((sum, b) => sum + gzipSync(b).length, 0);
    console.log(
      `${entry.padEnd(30)} ${kB(size).padStart(9)}  ${kB(gzipped).padStart(8)} gzipped  (${files.length} files)`,
    );
  }
  console.log(`Built in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
}

/** The bundle and what it imports at once; chunks that are loaded on demand do not count. */
function closure(entry) {
  const outputs = pages.metafile.outputs;
  const found = new Set();
  const visit = (file) => {
    if (found.has(file) || !outputs[file]) return;
    found.add(file);
    // ONNX Runtime is always loaded, although not at once.
    for (const { kind, path: imported } of outputs[file].imports)
      if (kind === 'import-statement' || path.basename(imported).startsWith('ort.')) visit(imported);
  };
  visit(entry);
  return [...found];
}
