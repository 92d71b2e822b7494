import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { encode } from 'fast-png';

/** The package as others get it: packed, installed in a project of theirs, compiled, run in Node, bundled for a page. */

const SEGMENT_A_DISC = `
import { createNodeWorker, openEmbeddings, openFile, resolveModel, SamError, segmentFromPoints, toNdarray } from 'micro-sam-imjoy';
import type { ImageSource, Mask, SamWorker } from 'micro-sam-imjoy';

const source: ImageSource = await openFile('disc.png');
const worker: SamWorker = await createNodeWorker();
const model = resolveModel('vit_t');
const embeddings = await openEmbeddings({ source, worker, model });
const context = { worker, model: model.name, embeddings, plane: 0 };
const { mask }: { readonly mask: Mask } = await segmentFromPoints(context, [{ at: [60, 70], positive: true }]);
try {
  resolveModel('no such model');
} catch (error) {
  if (!(error instanceof SamError)) throw error;
  console.log(JSON.stringify({ area: mask.area, code: error.code, ndarray: typeof toNdarray }));
}
await worker.close();
`;

const IN_A_PAGE = `
import { createWebWorker, openImage, opfsStore, resolveModel, type SamWorker } from 'micro-sam-imjoy';

export async function start(file: File, script: string): Promise<readonly [SamWorker, string]> {
  const store = await opfsStore('embeddings');
  const source = await openImage(file);
  return [await createWebWorker(script), [store.name, source.name, resolveModel('vit_t').name].join(' ')];
}
`;

/** As strict as compilers get, and nothing of the package skipped. */
const STRICTEST = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  skipLibCheck: false,
  module: 'NodeNext',
  moduleResolution: 'NodeNext',
  target: 'ES2022',
  outDir: 'out',
};

describe('the package, installed by a consumer', function () {
  this.timeout(600_000);
  let folder: string;
  const npm = (cwd: string, ...args: string[]) =>
    execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const write = (name: string, content: string | object) =>
    writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-consumer-'));
    npm('.', 'run', '--silent', 'prepack');
    const [packed] = JSON.parse(npm('.', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder));
    write('package.json', { name: 'consumer', private: true, type: 'module' });
    npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent', `./${packed.filename}`);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function compile(files: Readonly<Record<string, string>>, options: object): void {
    for (const [name, code] of Object.entries(files)) write(name, code);
    write('tsconfig.json', { compilerOptions: { ...STRICTEST, ...options }, files: Object.keys(files) });
    const tsc = path.resolve('node_modules/typescript/bin/tsc');
    try {
      execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', stdio: 'pipe' });
    } catch (error) {
      assert.fail((error as { stdout: string }).stdout);
    }
  }

  it('compiles under the strictest options and segments in Node', () => {
    compile({ 'segment.ts': SEGMENT_A_DISC }, { lib: ['ES2022', 'DOM'], types: [] });
    const disc = Uint8Array.from({ length: 128 * 128 }, (_, i) =>
      Math.hypot((i >> 7) - 60, (i & 127) - 70) < 25 ? 220 : 40,
    );
    writeFileSync(path.join(folder, 'disc.png'), encode({ width: 128, height: 128, data: disc, channels: 1 }));
    const printed = execFileSync(process.execPath, ['out/segment.js'], { cwd: folder, encoding: 'utf8' });
    const result = JSON.parse(printed.trim().split('\n').at(-1)!);
    assert.equal(result.code, 'model_unavailable');
    assert.equal(result.ndarray, 'function');
    const area = Math.PI * 25 ** 2;
    assert.ok(result.area > 0.9 * area && result.area < 1.1 * area, `${result.area} of ${area}`);
  });

  it('compiles for a page and goes through a bundler without anything of Node', async () => {
    compile(
      { 'page.ts': IN_A_PAGE },
      {
        lib: ['ES2022', 'DOM', 'DOM.AsyncIterable'],
        types: [],
        module: 'ESNext',
        moduleResolution: 'Bundler',
        customConditions: ['browser'],
      },
    );
    const { metafile } = await build({
      entryPoints: [path.join(folder, 'page.ts')],
      absWorkingDir: folder,
      bundle: true,
      platform: 'browser',
      format: 'esm',
      outdir: 'bundle',
      splitting: true,
      metafile: true,
      external: ['fs', 'path'], // Emscripten's code asks for these where it runs in Node
      logLevel: 'error',
    });
    const inputs = Object.keys(metafile.inputs);
    assert.ok(inputs.some((input) => input.endsWith('micro-sam-imjoy/dist/lib/browser.js')));
    assert.ok(!inputs.some((input) => /onnxruntime-node|imjoy-core|\/ol\/|\/ws\//.test(input)));
  });

  it('brings no package of the pages along', () => {
    const { dependencies } = JSON.parse(
      readFileSync(path.join(folder, 'node_modules', 'micro-sam-imjoy', 'package.json'), 'utf8'),
    );
    for (const name of ['ol', 'imjoy-core', 'esbuild']) assert.ok(!(name in dependencies), name);
    mkdirSync(path.join(folder, 'empty'), { recursive: true });
    const version = execFileSync(path.join(folder, 'node_modules', '.bin', 'micro-sam'), ['--version'], {
      cwd: path.join(folder, 'empty'),
      encoding: 'utf8',
    });
    assert.match(version, /^\d+\.\d+\.\d+\n$/);
  });
});
