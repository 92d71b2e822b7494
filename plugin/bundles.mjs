/** What is bundled from what: esbuild's options for each part of dist/. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const shared = {
  bundle: true,
  format: 'esm',
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'),
};

/** The panel's page, the viewer, the web worker and the page of `npm start`; they share chunks. */
export const PAGES = {
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
  entryPoints: {
    'plugin/main': 'plugin/main.ts',
    'plugin/panel': 'plugin/panel/panel.css',
    'plugin/viewer/viewer': 'plugin/viewer/main.ts',
    'plugin/worker': 'src/worker/hosts/web-worker.ts',
    'plugin/import-worker': 'src/worker/hosts/import-worker.ts',
    'plugin/training-worker': 'src/training/hosts/web-training-worker.ts',
    'host/host': 'plugin/host/host.ts',
  },
  outdir: 'dist',
  chunkNames: 'plugin/chunks/[name]-[hash]',
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
