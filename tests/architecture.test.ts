import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Imports point one way, those of types too, and each outside package has its place. */

const LAYERS = [
  'version',
  'errors',
  'items',
  'task',
  'part',
  'ndimage',
  'onnx',
  'io',
  'checkpoints',
  'model',
  'worker',
  'embeddings',
  'segmentation',
  'session',
  'evaluation',
  'training',
  'presenter',
  'service',
  'app',
  'cli',
  'library',
  'index',
  'browser',
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

interface Import {
  readonly file: string;
  readonly target: string;
  readonly external: boolean;
  /** All that the target exports is exported again. */
  readonly all?: boolean;
}

const IMPORT = /^(?:import|export) [^;]*? from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

function importsOf(file: string): Import[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([whole, ...names]) => {
    const name = names.find((one) => one !== undefined) as string;
    const external = !name.startsWith('.');
    const target = external ? name : path.join(path.dirname(file), name.replace(/\.js$/, '.ts'));
    return { file, target, external, all: whole.startsWith('export *') };
  });
}

const DECLARED =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) (\w+)/gm;

const withoutComments = (code: string) => code.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');

/** Those that may use what a file exports, also by way of files that export all of it again. */
function importersOf(file: string, imports: readonly Import[]): string[] {
  const direct = imports.filter(({ target }) => target === file);
  return direct.flatMap((one) => [one.file, ...(one.all ? importersOf(one.file, imports) : [])]);
}

/** Names that files export, and that neither they nor those that import them say again. */
function unusedExports(codes: ReadonlyMap<string, string>, imports: readonly Import[]): string[] {
  const says = (file: string, name: string) => codes.get(file)?.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0;
  return [...codes].flatMap(([file, code]) => {
    const importers = importersOf(file, imports);
    return [...code.matchAll(DECLARED)]
      .filter(([, name]) => says(file, name) < 2 && importers.every((importer) => says(importer, name) === 0))
      .map(([, name]) => `${file}: ${name}`);
  });
}

/** The files of a loop of imports, if there is one. */
function circleIn(imports: readonly Import[]): readonly string[] | undefined {
  const done = new Set<string>();
  const search = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const { target } of imports.filter((one) => one.file === file)) {
      const circle = search(target, [...way, file]);
      if (circle) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const { file } of imports) {
    const circle = search(file, []);
    if (circle) return circle;
  }
  return undefined;
}

describe('architecture', () => {
  const imports = sources.flatMap(importsOf);

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

  it('no file imports itself by way of others', () => {
    assert.equal(circleIn(imports)?.join(' -> '), undefined);
    const [a, b, c] = ['a.ts', 'b.ts', 'c.ts'].map((file, k, all) => ({
      file,
      target: all[(k + 1) % 3],
      external: false,
    }));
    assert.deepEqual(circleIn([b, c, a]), ['b.ts', 'c.ts', 'a.ts', 'b.ts']);
  });

  it('what is exported has a user in the program itself, or is public', () => {
    const codes = new Map(sources.map((file) => [file, withoutComments(readFileSync(file, 'utf8'))]));
    assert.deepEqual(unusedExports(codes, imports), []);
    const made = new Map([
      ['a.ts', 'export const used = 1;\nexport function own() {}\nown();\nexport type Lost = 1;'],
      ['b.ts', "import { used } from './a.js';\nuse(used);"],
      ['c.ts', 'type Lost = 2;'],
    ]);
    assert.deepEqual(unusedExports(made, [{ file: 'b.ts', target: 'a.ts', external: false }]), ['a.ts: Lost']);
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

  it('imjoy-rpc is known only where ImJoy is on the other side, ws only to transports and hosts', () => {
    const known = [/^(src.worker.imjoy-peer|plugin)/, /^(src.worker|src.cli|plugin)/];
    for (const { file, target, external } of imports) {
      if (!external || !/^(imjoy-rpc|ws|imjoy-core)(\/|$)/.test(target)) continue;
      assert.ok(known[target.startsWith('ws') ? 1 : 0].test(file), `${file} imports ${target}`);
    }
  });

  it('only plugin/kaibu says Kaibu in code', () => {
    for (const file of sources.filter((f) => f.startsWith('src'))) {
      // Neither comments nor what is said to people.
      const code = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$|`[^`]*`|'[^'\n]*'|"[^"\n]*"/gm, '');
      assert.doesNotMatch(code, /kaibu/i, `${file} says Kaibu`);
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
