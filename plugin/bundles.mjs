/** What is bundled from what: esbuild's options for each part of dist/. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const shared = {
  bundle: true,
  format: 'esm',
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: ROOT,
};

/** What runs in a browser: chunks are shared, and loaded with what needs them. */
const inBrowser = {
  ...shared,
  platform: 'browser',
  target: ['chrome110', 'firefox115', 'safari16.4'],
  minify: true,
  metafile: true,
  splitting: true,
  // ONNX Runtime then loads its wasm from dist/ort instead of carrying it inside the bundle.
  conditions: ['onnxruntime-web-use-extern-wasm'],
  // Emscripten's code asks for these where it runs in Node.
  external: ['fs', 'path'],
  outdir: 'dist',
  chunkNames: 'plugin/chunks/[name]-[hash]',
};

/** What the files called `parts.ts` load on demand, by absolute path. */
function laterParts() {
  return ['src', 'plugin']
    .flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true }).map((file) => path.join(folder, file)),
    )
    .filter((file) => path.basename(file) === 'parts.ts')
    .flatMap((file) =>
      [...readFileSync(path.join(ROOT, file), 'utf8').matchAll(/\bimport\('([^']+)'\)/g)].map(([, name]) =>
        sourceOf(path.join(ROOT, path.dirname(file)), name),
      ),
    );
}

const sourceOf = (folder, name) => path.join(folder, name.replace(/\.js$/, '.ts'));

/**
 * Makes the parts one file: each by itself, they would be cut into many small ones for what they have in common. Their
 * names are all different (tests/parts.test.ts).
 */
const oneLaterPart = {
  name: 'one later part',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\./ }, ({ kind, resolveDir, path: name }) =>
      kind === 'dynamic-import' && laterParts().includes(sourceOf(resolveDir, name))
        ? { path: 'later', namespace: 'later' }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'later' }, () => ({
      contents: laterParts()
        .map((file) => `export * from ${JSON.stringify(file)};`)
        .join('\n'),
      resolveDir: ROOT,
    }));
  },
};

/** The panel's page, the viewer, the web worker and the page of `npm start`. */
export const PAGES = {
  ...inBrowser,
  plugins: [oneLaterPart],
  entryPoints: {
    'plugin/main': 'plugin/main.ts',
    'plugin/panel': 'plugin/panel/panel.css',
    'plugin/viewer/viewer': 'plugin/viewer/main.ts',
    'plugin/worker': 'src/worker/hosts/web-worker.ts',
    'host/host': 'plugin/host/host.ts',
  },
};

/** Workers for now and then. They share nothing with the pages, which would be cut into many small chunks for it. */
export const JOBS = {
  ...inBrowser,
  entryPoints: {
    'plugin/import-worker': 'src/worker/hosts/import-worker.ts',
    'plugin/training-worker': 'src/training/hosts/web-training-worker.ts',
  },
};

/** One file each: packages stay imports, so that whoever installs this has one copy of them. */
const inNode = { ...shared, platform: 'node', target: 'node20', packages: 'external' };

export const COMMAND_LINE = {
  ...inNode,
  entryPoints: ['src/cli/micro-sam.ts'],
  outdir: 'dist/cli',
  banner: { js: '#!/usr/bin/env node' },
};

export const LIBRARY = { ...inNode, entryPoints: ['src/index.ts'], outdir: 'dist/lib' };

export const BROWSER_LIBRARY = {
  ...shared,
  platform: 'browser',
  target: 'es2023',
  packages: 'external',
  entryPoints: ['src/browser.ts'],
  outdir: 'dist/lib',
};
