import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

/** Imports point one way, and each outside package has its place. Read off esbuild's metafile, so it sees what ships. */

const LAYERS = [
  'errors',
  'task',
  'onnx',
  'ndimage',
  'io',
  'model',
  'worker',
  'embeddings',
  'segmentation',
  'session',
  'training',
  'evaluation',
  'presenter',
  'service',
  'cli',
  'index',
];

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? walk(file) : [file];
  });
}

const sources = [...walk('src'), ...walk('plugin')].filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));

function layerOf(file: string): number {
  const name = file.split(path.sep)[1].replace(/\.ts$/, '');
  return LAYERS.indexOf(name);
}

async function importsOf(): Promise<{ file: string; target: string; external: boolean }[]> {
  const result = await build({
    entryPoints: sources,
    bundle: true,
    write: false,
    outdir: 'dist/architecture',
    metafile: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
    loader: { '.html': 'text', '.css': 'text', '.png': 'dataurl', '.svg': 'text' },
  });
  return Object.entries(result.metafile.inputs).flatMap(([file, input]) =>
    input.imports.map((i) => ({
      file: path.normalize(file),
      target: path.normalize(i.path),
      external: i.external === true,
    })),
  );
}

describe('architecture', () => {
  let imports: Awaited<ReturnType<typeof importsOf>>;
  before(async () => {
    imports = await importsOf();
  });

  it('every folder of src is a known layer', () => {
    for (const file of sources.filter((f) => f.startsWith('src')))
      assert.notEqual(layerOf(file), -1, `${file} is in no known layer`);
  });

  it('a layer imports only itself and layers above it', () => {
    for (const { file, target, external } of imports) {
      if (external || !file.startsWith('src')) continue;
      assert.ok(target.startsWith('src'), `${file} imports ${target}, outside src`);
      assert.ok(layerOf(target) <= layerOf(file), `${file} imports ${target}, a lower layer`);
    }
  });

  it('node: modules appear only where there is a Node process', () => {
    const allowed = [
      /^src.io.stores.fs\.ts$/,
      /^src.io.node-[a-z-]+\.ts$/,
      /^src.worker.hosts.(node|websocket)/,
      /^src.model.node-/,
      /^src.cli./,
    ];
    for (const { file, target } of imports) {
      if (!target.startsWith('node:')) continue;
      assert.ok(
        allowed.some((pattern) => pattern.test(file)),
        `${file} imports ${target}`,
      );
    }
  });

  it('only the worker transports, the service hosts and the plugin know imjoy-rpc and ws', () => {
    for (const { file, target, external } of imports) {
      if (!external || !/^(imjoy-rpc|ws|imjoy-core)(\/|$)/.test(target)) continue;
      assert.ok(/^(src.worker|src.cli|plugin)/.test(file), `${file} imports ${target}`);
    }
  });

  it('only plugin/kaibu says Kaibu in code', () => {
    for (const file of sources.filter((f) => f.startsWith('src'))) {
      // Neither comments nor what is said to people.
      const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$|`[^`]*`|'[^'\n]*'|"[^"\n]*"/gm, '');
      assert.doesNotMatch(code, /kaibu/i, `${file} says Kaibu`);
    }
  });

  it('no file is longer than 400 lines', () => {
    for (const file of sources) {
      const lines = readFileSync(file, 'utf8').split('\n').length - 1;
      assert.ok(lines <= 400, `${file} has ${lines} lines`);
    }
  });

  it('the top level holds only what belongs there', () => {
    const allowed = [
      'README.md',
      'LICENSE',
      'biome.json',
      'docs',
      'manifest.imjoy.json',
      'package-lock.json',
      'package.json',
      'plugin',
      'src',
      'tests',
      'tsconfig.json',
    ];
    const generated = ['node_modules', 'dist'];
    const present = readdirSync('.').filter((name) => !name.startsWith('.') && !generated.includes(name));
    for (const name of present) assert.ok(allowed.includes(name), `${name} does not belong at the top level`);
    assert.ok(statSync('README.md').isFile());
  });
});
