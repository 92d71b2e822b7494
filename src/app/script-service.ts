import { type ImageInput, openImage } from '../io/open.js';
import type { OpenOptions } from '../io/open-options.js';
import type { Store } from '../io/store.js';
import { memoryStore } from '../io/stores/memory.js';
import { adoptModel } from '../model/registry.js';
import type { EngineDeps } from '../service/engine.js';
import { createService, type MicroSamService } from '../service/service.js';
import type { TrainingDeps } from '../service/training.js';
import { forwardWork } from '../worker/forward.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { allAnnotated } from './annotated-images.js';
import { PageSeries } from './series.js';
import { Workspace } from './workspace.js';

/**
 * The annotator of one script, without a window: the functions of docs/scripting.md, with an image of its own, which nobody
 * else sees and which is forgotten when the service is closed.
 *
 * @example
 * const sam = await openService({ worker: await createWebWorker('/micro-sam/plugin/worker.js') });
 * await sam.open_image(file);
 * await sam.add_point_prompts([[120, 84]]);
 * await sam.commit();
 * const labels = await sam.get_layer('committed_objects');
 */
export interface ScriptServiceOptions {
  /** What computes; it is the caller's to close. */
  readonly worker: SamWorker;
}

/** What only some hosts have. */
export interface ScriptHost {
  /** Makes an image of what a script calls one, e.g. of a path. */
  readonly inputOf?: (input: ImageInput) => ImageInput | Promise<ImageInput>;
  readonly nameOf?: (file: string) => string;
  /** The folder of this path, to keep embeddings in. */
  readonly folder?: (path: string) => Store;
  readonly engine?: Pick<EngineDeps, 'importModel' | 'deleteModel'>;
  /** Where models are trained. */
  readonly training?: TrainingDeps['host'];
}

export async function openService({ worker }: ScriptServiceOptions): Promise<MicroSamService> {
  return scriptService(worker);
}

export function scriptService(
  shared: SamWorker,
  { inputOf = (input) => input, nameOf, folder, engine, training }: ScriptHost = {},
): MicroSamService {
  const worker: SamWorker = {
    ...forwardWork((job) => job(shared)),
    info: () => shared.info(),
    load: (...args) => shared.load(...args),
    get atOnce() {
      return shared.atOnce ?? 1;
    },
    close: async () => undefined, // others may use it, too
  };
  const lease = async () => ({ held: true, take: async () => undefined, release: async () => undefined });
  const store = memoryStore();
  const workspace = new Workspace(Promise.resolve({ worker, store, lease }));
  let series: PageSeries | undefined;
  const closeSeries = async () => {
    const open = series;
    series = undefined;
    await open?.close();
  };
  const named = (input: ImageInput, options: OpenOptions): OpenOptions =>
    typeof input === 'string' && options.name === undefined && nameOf ? { ...options, name: nameOf(input) } : options;
  return createService({
    session: workspace.session,
    openImage: async (input, options) => {
      const given = await inputOf(input);
      await closeSeries();
      await workspace.open(given, named(input, options));
    },
    series: () => series?.control,
    async openSeries(images, output) {
      const given = await Promise.all(images.map(async ({ name, input }) => ({ name, input: await inputOf(input) })));
      await closeSeries();
      series = await PageSeries.open(workspace, given, { store, output, download: () => undefined });
      await series.start();
    },
    imageSource: () => workspace.source,
    info: async () => ({ model: workspace.model.name, worker: await worker.info() }),
    engine: {
      precompute: (planes, task, onPlane) => workspace.precompute(planes, task, onPlane),
      setEncoding: (change) => workspace.setEncoding(change),
      ...engine,
    },
    headless: {
      worker: () => worker,
      openInput: async (input, options) => openImage(await inputOf(input), named(input, options)),
      folder,
    },
    ...(training && {
      training: {
        host: training,
        adopt: ({ model }) => adoptModel(model),
        annotated: async (task) => allAnnotated(workspace, await series?.leftImages(), task),
        model: () => workspace.model,
        window: () => workspace.tiling?.tileShape,
      },
    }),
    async close() {
      await series?.close(true);
      await workspace.close();
    },
  });
}
