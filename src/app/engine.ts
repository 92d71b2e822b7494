import { asSamError, SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { listKeys } from '../io/stores/prefix.js';
import { forgetModel, type ModelDeclaration, modelNames, registerModel, resolveModel } from '../model/registry.js';
import type { EncodingChange, EngineDeps } from '../service/engine.js';
import { drawnBox } from '../session/commands/automatic-commands.js';
import { connectWorker } from '../worker/connect.js';
import { failoverWorker } from '../worker/failover.js';
import type { SamWorker } from '../worker/sam-worker.js';
import type { PageAnnotator } from './annotator.js';
import { isLocal, type SwitchableWorker, switchableWorker } from './switchable-worker.js';
import { startWorker } from './worker.js';

/**
 * What the window lets the user choose about computing: which model, how the image is shown to it, where it runs, and
 * what is kept of its answers.
 */
export interface EngineOptions {
  readonly annotator: PageAnnotator;
  /** WebSocket address of an encoder process; without one, the page's own worker computes. */
  readonly processUrl?: string;
  /** Makes the page's own worker. */
  readonly openInPage: (onNotice: (text: string) => void) => Promise<SamWorker>;
  /** The worker was exchanged, by the user or because it went away; then with a sentence for people. */
  readonly onWorker: (notice?: string) => void;
  /** Something that the panel shows is another now. */
  readonly onChanged: () => void;
}

export class Engine implements EngineDeps {
  readonly worker: SwitchableWorker;
  store?: Store;
  showsTiles = false;
  private cache = '';

  constructor(private readonly options: EngineOptions) {
    const { processUrl, onWorker } = options;
    const openInPage = () => options.openInPage(onWorker);
    this.worker = switchableWorker(startWorker(processUrl, openInPage, onWorker), openInPage, () => onWorker());
  }

  connectWorker = async (url: string | undefined): Promise<Record<string, unknown>> => {
    const { onWorker } = this.options;
    const openInPage = () => this.options.openInPage(onWorker);
    const worker = url
      ? failoverWorker(await connectWorker(url.trim()), openInPage, { onNotice: onWorker })
      : await openInPage();
    this.worker.use(worker);
    onWorker();
    return { ...(await worker.info()) };
  };

  setEncoding = async (change: EncodingChange): Promise<void> => {
    try {
      await this.options.annotator.setEncoding(change);
    } finally {
      this.options.onChanged();
      void this.measureCache();
    }
  };

  precompute: EngineDeps['precompute'] = (planes, { signal }) => {
    const { annotator } = this.options;
    return annotator.session.task(
      'precompute',
      'Compute all embeddings',
      (task) => annotator.precompute(planes, task),
      signal,
    );
  };

  /** Registers a model and uses it; one that cannot be loaded is neither used nor listed. */
  async addModel(declaration: ModelDeclaration): Promise<void> {
    const earlier = modelNames().includes(declaration.name) ? resolveModel(declaration.name) : undefined;
    const { name } = registerModel(declaration);
    try {
      await this.setEncoding({ model: name });
    } catch (error) {
      const { code, message, details } = asSamError(error);
      if (code === 'cancelled') throw error;
      forgetModel(name, earlier);
      this.options.onChanged();
      const text = message.replace(LOCAL_FILE, (_, file: string) => decodeURIComponent(file));
      const { model } = this.options.annotator;
      throw new SamError(code, `The model ${name} cannot be used; ${model.name} stays in use. ${text}`, {
        cause: error,
        details,
      });
    }
  }

  /** The size of the box that was drawn last becomes the object size. */
  async measure(): Promise<void> {
    const drawn = drawnBox(this.options.annotator.session.state);
    if (!drawn)
      throw new SamError('invalid_argument', 'Draw a box around one typical object first (tool Box), then measure it.');
    const [top, left, bottom, right] = drawn.box;
    await this.setEncoding({ objectDiameter: Math.max(1, Math.round((bottom - top + right - left) / 2)) });
  }

  async clearCache(): Promise<void> {
    const { store } = this;
    if (!store) return;
    for (const key of await listKeys(store, CACHE)) await store.delete(key);
    await this.measureCache();
  }

  /** Counts what is kept; the browser knows the bytes, a server's folder does not tell. */
  async measureCache(): Promise<void> {
    if (!this.store) return;
    const keys = await listKeys(this.store, CACHE);
    const images = new Set(keys.map((key) => key.slice(CACHE.length).split('/')[0])).size;
    const own = /opfs|indexeddb/i.test(this.store.name) ? await navigator.storage?.estimate?.() : undefined;
    const bytes = own?.usage === undefined ? '' : `, about ${Math.max(1, Math.round(own.usage / 1e6))} MB`;
    this.cache = images === 0 ? 'Nothing is kept yet.' : `${images} ${images === 1 ? 'image' : 'images'}${bytes}`;
    this.options.onChanged();
  }

  /** What the panel shows. */
  model(): EngineModel {
    const { annotator } = this.options;
    const { model, tiling, encodingSettings } = annotator;
    return {
      models: modelNames().map((name) => ({ name, detail: resolveModel(name).description })),
      model: encodingSettings.model ?? model.name,
      modelNote: isLocal(model) ? 'From files of this computer: runs inside this page.' : '',
      settings: encodingSettings,
      slices: annotator.source?.sizes.z ?? 1,
      tiles: tiling
        ? `${tiling.grid[0]} x ${tiling.grid[1]} tiles of ${tiling.tileShape.join(' x ')} px, halo ${tiling.halo[0]} px`
        : 'The image is encoded whole.',
      tiled: tiling !== undefined,
      showsTiles: this.showsTiles,
      canMeasure: drawnBox(annotator.session.state) !== undefined,
      cache: this.cache,
      notes: annotator.embeddingNotes,
    };
  }
}

const CACHE = 'embeddings/';

/** The address of a chosen file, whose name is the part that people know. */
const LOCAL_FILE = /blob:[^\s#]+#(\S+)/g;

/** For the panel. */
export interface EngineModel {
  readonly models: readonly { readonly name: string; readonly detail: string }[];
  readonly model: string;
  readonly modelNote: string;
  readonly settings: EncodingChange;
  /** Along z. */
  readonly slices: number;
  /** How the image is cut at present, in words. */
  readonly tiles: string;
  readonly tiled: boolean;
  readonly showsTiles: boolean;
  /** A box is drawn. */
  readonly canMeasure: boolean;
  /** What is kept, in words; empty until it is known. */
  readonly cache: string;
  readonly notes: readonly string[];
}
