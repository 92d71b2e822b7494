import { asSamError, SamError } from '../errors.js';
import type { Store } from '../io/store.js';
import { listKeys } from '../io/stores/prefix.js';
import { counted } from '../items.js';
import { declarationOfKept, isKept, type KeptModel, keptModels, removeKept } from '../model/kept-models.js';
import type { ModelSpec } from '../model/model-spec.js';
import {
  DEFAULT_MODEL,
  forgetModel,
  type ModelDeclaration,
  modelNames,
  registerModel,
  resolveModel,
} from '../model/registry.js';
import type { Tiling } from '../ndimage/blocking.js';
import type { EncodingChange, EngineDeps, ImportRequest, PrecomputePlanes } from '../service/engine.js';
import { drawnBox } from '../session/commands/automatic-commands.js';
import type { Progress, TaskOptions } from '../task.js';
import { connectWorker } from '../worker/connect.js';
import { failoverWorker } from '../worker/failover.js';
import type { ImportJob } from '../worker/import-job.js';
import type { SamWorker } from '../worker/sam-worker.js';
import { further } from './parts.js';
import { isLocal, type SwitchableWorker, switchableWorker } from './switchable-worker.js';
import { startWorker } from './worker.js';
import type { Workspace } from './workspace.js';

/**
 * What the window lets the user choose about computing: which model, how the image is shown to it, where it runs, and
 * what is kept of its answers.
 */
export interface EngineOptions {
  readonly workspace: Workspace;
  /** WebSocket address of an encoder process; without one, the page's own worker computes. */
  readonly processUrl?: string;
  /** Where embeddings are kept; it is opened while the worker starts. */
  readonly storage: Promise<{ readonly store: Store }>;
  /** Makes the page's own worker. */
  readonly openInPage: (onNotice: (text: string) => void) => Promise<SamWorker>;
  /** Where models that were made of checkpoints are kept. */
  readonly keptStore: () => Promise<Store>;
  /** Makes a model of a checkpoint and keeps it there. */
  readonly importKept: (job: ImportJob, task: TaskOptions) => Promise<KeptModel>;
  /** The worker was exchanged, by the user or because it went away; then with a sentence for people. */
  readonly onWorker: (notice?: string) => void;
  /** Something that the panel shows is another now. */
  readonly onChanged: () => void;
}

/** What the form for a model says; what it leaves out, a JSON file may say. */
export interface AddedModel extends Partial<ModelDeclaration> {
  readonly declared?: File;
}

export class Engine implements EngineDeps {
  readonly worker: SwitchableWorker;
  private showsTiles = false;
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
      await this.options.workspace.setEncoding(change);
    } finally {
      this.options.onChanged();
      void this.measureCache();
    }
  };

  precompute: PrecomputePlanes = (planes, { signal, onProgress }, onPlane) => {
    const { workspace } = this.options;
    return workspace.session.task(
      'precompute',
      'Compute all embeddings',
      (task) => {
        const tell = (progress: Progress) => {
          task.onProgress(progress);
          onProgress?.(progress);
        };
        return workspace.precompute(planes, { ...task, onProgress: tell }, onPlane);
      },
      signal,
    );
  };

  /** Registers a model and uses it; one that cannot be loaded is neither used nor listed. */
  async addModel({ declared, ...form }: AddedModel): Promise<void> {
    const { declarationInJson, declarationOf } = await further();
    const said = Object.entries(form).filter(([, value]) => value !== undefined && value !== '');
    const file = declared && declarationInJson(await declared.text(), declared.name);
    const declaration = declarationOf({ ...file, ...Object.fromEntries(said) }, declared?.name ?? 'The form');
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
      const { model } = this.options.workspace;
      throw new SamError(code, `The model ${name} cannot be used; ${model.name} stays in use. ${text}`, {
        cause: error,
        details,
      });
    }
  }

  /** Makes the models known that were imported before. */
  async listKept(): Promise<void> {
    const kept = await keptModels(await this.options.keptStore()).catch(() => []); // a browser that keeps nothing
    for (const model of kept) registerModel(declarationOfKept(model));
    this.options.onChanged();
  }

  /** Makes a model of a checkpoint, and keeps it in this browser; it is used once it is chosen. */
  importModel = async (request: ImportRequest, { signal, onProgress }: TaskOptions = {}): Promise<string> => {
    const { session } = this.options.workspace;
    const { name } = request;
    if (name !== undefined && modelNames().includes(name) && !isImported(name))
      throw new SamError(
        'invalid_argument',
        `There is a model ${name} that is not an imported one; give another name.`,
      );
    const job = { ...request, taken: modelNames().filter((known) => !isImported(known)) };
    const kept = await session.task(
      'import',
      'Import a model',
      (task) => this.options.importKept(job, { ...task, onProgress: both(task.onProgress, onProgress) }),
      signal,
    );
    registerModel(declarationOfKept(kept));
    this.options.onChanged();
    return kept.name;
  };

  /** The same, and uses it. */
  async importAndUse(files: readonly File[]): Promise<void> {
    const name = await this.importModel({ from: files });
    await this.setEncoding({ model: name });
    const { session } = this.options.workspace;
    const { instances } = resolveModel(name);
    const maps = instances ? ', with an instance decoder' : '';
    session.notify({ level: 'info', text: `${name} is imported${maps}, and in use. It stays in this browser.` });
  }

  /** Deletes an imported model; if it is in use, the default takes its place. */
  deleteModel = async (name: string): Promise<void> => {
    if (!modelNames().includes(name) || !isImported(name))
      throw new SamError('not_found', `There is no imported model ${name} in this browser.`);
    if (this.options.workspace.model.name === name) await this.setEncoding({ model: DEFAULT_MODEL });
    await removeKept(await this.options.keptStore(), name);
    forgetModel(name);
    this.options.onChanged();
  };

  /** The size of the box that was drawn last becomes the object size. */
  async measure(): Promise<void> {
    const drawn = drawnBox(this.options.workspace.session.state);
    if (!drawn)
      throw new SamError('invalid_argument', 'Draw a box around one typical object first (tool Box), then measure it.');
    const [top, left, bottom, right] = drawn.box;
    await this.setEncoding({ objectDiameter: Math.max(1, Math.round((bottom - top + right - left) / 2)) });
  }

  async clearCache(): Promise<void> {
    const { store } = await this.options.storage;
    for (const key of await listKeys(store, CACHE)) await store.delete(key);
    await this.measureCache();
  }

  /** Counts what is kept; the browser knows the bytes, a server's folder does not tell. */
  async measureCache(): Promise<void> {
    const { store } = await this.options.storage;
    const keys = await listKeys(store, CACHE);
    const images = new Set(keys.map((key) => key.slice(CACHE.length).split('/')[0])).size;
    const own = /opfs|indexeddb/i.test(store.name) ? await navigator.storage?.estimate?.() : undefined;
    const bytes = own?.usage === undefined ? '' : `, about ${Math.max(1, Math.round(own.usage / 1e6))} MB`;
    this.cache = images === 0 ? 'Nothing is kept yet.' : `${counted(images, 'image')}${bytes}`;
    this.options.onChanged();
  }

  showTiles(shown: boolean): void {
    this.showsTiles = shown;
    this.options.onChanged();
  }

  /** The tiles that the viewer is to show: those of the open image, if the user wants to see them. */
  get tilesToShow(): Tiling | undefined {
    return this.showsTiles ? this.options.workspace.tiling : undefined;
  }

  /** What the panel shows. */
  model(): EngineModel {
    const { workspace } = this.options;
    const { model, tiling, encodingSettings } = workspace;
    return {
      models: modelNames().map((name) => ({ name, detail: resolveModel(name).description })),
      modelName: encodingSettings.model ?? model.name,
      modelNote: modelNote(model),
      canDelete: isKeptHere(model),
      settings: encodingSettings,
      slices: workspace.source?.sizes.z ?? 1,
      tiles: tiling
        ? `${tiling.grid[0]} x ${tiling.grid[1]} tiles of ${tiling.tileShape.join(' x ')} px, halo ${tiling.halo[0]} px`
        : 'The image is encoded whole.',
      tiled: tiling !== undefined,
      showsTiles: this.showsTiles,
      canMeasure: drawnBox(workspace.session.state) !== undefined,
      cache: this.cache,
      notes: workspace.embeddingNotes,
    };
  }
}

function isImported(name: string): boolean {
  return isKeptHere(resolveModel(name));
}

/** One that was imported or trained in this browser. */
function isKeptHere({ encoder, decoder, instances }: ModelSpec): boolean {
  return [encoder, decoder, instances].some((file) => file !== undefined && isKept(file.url));
}

function both(first: TaskOptions['onProgress'], second: TaskOptions['onProgress']): TaskOptions['onProgress'] {
  return (progress) => {
    first?.(progress);
    second?.(progress);
  };
}

function modelNote(model: ModelSpec): string {
  if (isKept(model.encoder.url)) return 'Imported; kept in this browser, and runs inside this page.';
  if (isKeptHere(model)) return 'Trained here; kept in this browser, and runs inside this page.';
  return isLocal(model) ? 'From files on this computer: runs inside this page.' : '';
}

const CACHE = 'embeddings/';

/** The address of a chosen file, whose name is the part that people know. */
const LOCAL_FILE = /blob:[^\s#]+#(\S+)/g;

/** For the panel. */
export interface EngineModel {
  readonly models: readonly { readonly name: string; readonly detail: string }[];
  /** Of the one that was chosen. */
  readonly modelName: string;
  readonly modelNote: string;
  /** It is one that was imported. */
  readonly canDelete: boolean;
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
