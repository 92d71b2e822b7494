import { messageOf } from '../errors.js';
import { counted } from '../items.js';
import { type GpuDevice, type OrtModule, ortModule, ortRuntime } from './ort-runtime.js';
import type { OrtRuntime } from './runtime.js';

/**
 * ONNX Runtime in a page or web worker. WebGPU is offered first where the browser has it, but drivers differ, so whoever
 * uses it checks its results (self-test.ts) and goes on to wasm. wasm threads need a cross-origin isolated page.
 */
export interface WebRuntimeOptions {
  /** Folder URL of ONNX Runtime's .wasm and .mjs files, with a trailing slash. */
  readonly ortBase?: string;
  /** Default: the machine's, at most 8 (more does not help these models). */
  readonly threads?: number;
  /** 'hardware' (default): not one that is emulated on the processor, which is far slower than wasm. 'any', or 'off'. */
  readonly webgpu?: WebGpuUse;
}

export const WEBGPU_USES = ['hardware', 'any', 'off'] as const;
export type WebGpuUse = (typeof WEBGPU_USES)[number];

interface Adapter {
  readonly info?: { readonly isFallbackAdapter?: boolean };
  /** Where browsers of 2024 and before have it. */
  readonly isFallbackAdapter?: boolean;
}

/** In order of preference; the last always works. */
export async function createWebRuntimes(options: WebRuntimeOptions = {}): Promise<OrtRuntime[]> {
  const reasons: string[] = [];
  const gpu = options.webgpu === 'off' ? undefined : await webgpuRuntime(options, reasons);
  const wasm = await wasmRuntime(options, reasons);
  return gpu ? [gpu, wasm] : [wasm];
}

async function webgpuRuntime(
  { ortBase, webgpu = 'hardware' }: WebRuntimeOptions,
  reasons: string[],
): Promise<OrtRuntime | undefined> {
  const { gpu } = globalThis.navigator as { readonly gpu?: { requestAdapter(): Promise<Adapter | null> } };
  try {
    const adapter = await gpu?.requestAdapter();
    if (!adapter) {
      reasons.push('this browser offers no WebGPU');
      return undefined;
    }
    if (webgpu === 'hardware' && (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter)) {
      reasons.push('WebGPU is only emulated here, which is slower than wasm');
      return undefined;
    }
    const ort = ortModule(await import('onnxruntime-web/webgpu'));
    if (ortBase !== undefined) ort.env.wasm.wasmPaths = ortBase;
    ort.env.wasm.numThreads = 1;
    const runtime = ortRuntime(ort, {
      name: `onnxruntime-web ${ort.env.versions.web}`,
      provider: 'webgpu',
      ...(webgpu === 'hardware' && { patience: PATIENCE_MS }),
      // Level 3, errors: that shapes are computed on the processor is no warning for people.
      session: { executionProviders: ['webgpu'], logSeverityLevel: 3 },
    });
    return watched(runtime, ort);
  } catch (error) {
    reasons.push(`WebGPU did not start (${messageOf(error)})`);
    return undefined;
  }
}

/** Compiling the programs of a large model takes half of that on the slowest of cards. */
const PATIENCE_MS = 60_000;

/** The same runtime, which tells when its device is lost. */
function watched(runtime: OrtRuntime, ort: OrtModule): OrtRuntime {
  const listeners = new Set<(reason: string) => void>();
  let lost: string | undefined;
  let device: GpuDevice | undefined;
  return {
    ...runtime,
    async createSession(...args) {
      const session = await runtime.createSession(...args);
      if (device === undefined) {
        device = await ort.env.webgpu?.device;
        void device?.lost.then(({ message, reason }) => {
          lost = `the graphics device was lost${message || reason ? ` (${message || reason})` : ''}`;
          quietAfterLoss();
          for (const listener of listeners) listener(lost);
        });
      }
      return session;
    },
    whenLost(listener) {
      if (lost !== undefined) listener(lost);
      else listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * What the runtime still does with a device that is lost, in answers that come too late, fails where nobody waits for it
 * (it destroys buffers that are gone): that is no error of the page's. Everything else is still reported.
 */
function quietAfterLoss(): void {
  const stop = (event: Event) => {
    const { error, reason } = event as Event & { readonly error?: unknown; readonly reason?: unknown };
    const { stack = '' } = ((error ?? reason) as Error | undefined) ?? {};
    if (stack.includes(GPU_RUNTIME_FILE)) event.preventDefault();
  };
  globalThis.addEventListener('error', stop);
  globalThis.addEventListener('unhandledrejection', stop);
}

/** Of ONNX Runtime's files, the one that only WebGPU uses. */
const GPU_RUNTIME_FILE = 'ort-wasm-simd-threaded.asyncify';

async function wasmRuntime({ ortBase, threads }: WebRuntimeOptions, reasons: string[]): Promise<OrtRuntime> {
  const ort = ortModule(await import('onnxruntime-web/wasm'));
  if (ortBase !== undefined) ort.env.wasm.wasmPaths = ortBase;
  const isolated = globalThis.crossOriginIsolated === true;
  if (!isolated)
    reasons.push(
      'the page is not cross-origin isolated, so there is one thread (its server does not send the headers COOP and COEP)',
    );
  const count = isolated ? (threads ?? Math.min(8, globalThis.navigator?.hardwareConcurrency ?? 1)) : 1;
  ort.env.wasm.numThreads = count;
  const note = reasons.join('; ');
  return ortRuntime(ort, {
    name: `onnxruntime-web ${ort.env.versions.web}`,
    provider: `wasm (simd, ${counted(count, 'thread')})`,
    note: note && `${note[0].toUpperCase()}${note.slice(1)}.`,
    session: { executionProviders: ['wasm'] },
    onProcessor: true,
  });
}
