import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import type { PageSettings } from '../../src/cli/serve/page-settings.js';
import { asSamError, SamError } from '../../src/errors.js';
import { memoryBytes } from '../../src/io/bytes.js';
import type { ImageInput } from '../../src/io/open.js';
import { resolveModel } from '../../src/model/registry.js';
import { commandOfKey } from '../../src/presenter/keys.js';
import type { PanelModel } from '../../src/presenter/panel.js';
import { Presenter } from '../../src/presenter/presenter.js';
import { createService, type MicroSamService, type ServiceImage } from '../../src/service/service.js';
import type { CommandId } from '../../src/session/commands.js';
import type { SamWorker, WorkerInfo } from '../../src/worker/sam-worker.js';
import { droppedFiles } from '../dropped-files.js';
import { KaibuViewer } from '../kaibu/kaibu-viewer.js';
import { helpSheet } from '../panel/help-sheet.js';
import { openSheet } from '../panel/open-sheet.js';
import { type ImageChoice, Panel } from '../panel/panel.js';
import { saveSheet } from '../panel/save-sheet.js';
import { watchVisibility } from '../panel/visibility.js';
import { isTyping } from '../typing.js';
import { type AnnotatorParts, PageAnnotator } from './annotator.js';
import { displayOptions } from './display.js';
import { SAMPLES } from './samples.js';
import { saveObjects } from './save.js';
import { openStorage } from './storage.js';
import { startWorker } from './worker.js';

const PUBLIC_VIEWER = 'https://kaibu.org/#/app';

/** What ImJoy hands to a window that it opens. */
export interface RunContext {
  readonly config?: { readonly settings?: PageSettings; readonly viewer?: string };
  readonly data?: { readonly image?: unknown; readonly url?: string; readonly name?: string };
}

/** ImJoy gives every window `on` and `off` of its own, which hide those of the service; hence the other names. */
export interface WindowService extends MicroSamService {
  readonly subscribe: MicroSamService['on'];
  readonly unsubscribe: MicroSamService['off'];
}

/** Everything of one window, put together: worker, storage, session, viewer, presenter, panel. */
export class MicroSamApp {
  private readonly panel: Panel;
  private readonly annotator: PageAnnotator;
  private readonly provideParts: (parts: AnnotatorParts) => void;
  private viewer?: KaibuViewer;
  private worker?: SamWorker;
  private presenter?: Presenter;
  private panelModel?: PanelModel;
  private settings: PageSettings = {};
  private workerInfo?: WorkerInfo;
  private notes: string[] = [];
  private viewerGone = false;
  private panelVisible = false;
  /** Index into `settings.files`. */
  private file = 0;

  constructor(
    private readonly api: ImJoyApi,
    root: HTMLElement,
  ) {
    let provide: (parts: AnnotatorParts) => void = () => undefined;
    this.annotator = new PageAnnotator(new Promise((resolve) => (provide = resolve)), () =>
      this.presenter?.refreshImage(),
    );
    this.provideParts = provide;
    this.panel = new Panel(root, {
      run: (id, args) => void this.presenter?.run(id as 'pick_object', args as never),
      set: (settings) => void this.presenter?.run('set_settings', settings),
      dismissMessage: () => this.annotator.session.notify(undefined),
    });
    this.listen();
    watchVisibility(root, (visible) => {
      this.panelVisible = visible;
      void this.viewer?.collapseCommands(visible).catch(() => undefined);
    });
  }

  /** What the window exports: the RPC service, with a `run` that first puts the window together. */
  service(): WindowService {
    const { annotator } = this;
    const service = createService({
      session: annotator.session,
      openImage: (input, options) => annotator.open(inputOf(input, options), options),
      imageSource: () => annotator.source,
      info: async () => ({ model: resolveModel().name, worker: await this.worker?.info() }),
      screenshot: () => this.screenshot(),
    });
    return {
      ...service,
      subscribe: service.on,
      unsubscribe: service.off,
      run: async (context?: RunContext) => {
        await this.start(context ?? {});
        const { image, name } = context?.data ?? {};
        if (image !== undefined && image !== null) await service.open_image(image, { name });
      },
    };
  }

  private async start({ config = {}, data = {} }: RunContext): Promise<void> {
    const { annotator } = this;
    this.settings = { ...config.settings, ...(config.viewer && { viewer: config.viewer }) };
    const { viewerNote, workerNote, files = [] } = this.settings;
    this.notes.push(...[viewerNote, workerNote].filter((note) => note !== undefined));
    this.worker = startWorker(this.settings, (note) => {
      annotator.session.notify({ level: 'warning', text: note });
      void this.askWorker();
    });
    void this.askWorker();
    const { store, note } = await openStorage(this.settings);
    if (note) this.notes.push(note);
    this.provideParts({ worker: this.worker, model: resolveModel(), store });
    if (data.url) void this.open(data.url, data.name);
    else if (files.length > 0) void this.openFile(0);
    else if (data.image === undefined) void this.openSample(0);
    await this.openViewer();
  }

  /** What goes wrong is the session's message already. */
  private async open(input: ImageInput, name?: string): Promise<void> {
    await this.annotator.open(input, { ...(name && { name }) }).catch(() => undefined);
    this.redraw();
  }

  private async screenshot(): Promise<Uint8Array> {
    const picture = await this.viewer?.screenshot?.();
    if (picture) return picture;
    throw new SamError('unsupported', 'This viewer cannot take a picture of itself.');
  }

  private async openViewer(): Promise<void> {
    const { annotator } = this;
    const { session } = annotator;
    this.presenter?.close();
    this.viewerGone = false;
    try {
      const viewer = await KaibuViewer.open(this.api, { src: this.settings.viewer ?? PUBLIC_VIEWER });
      this.viewer = viewer;
      void viewer.collapseCommands(this.panelVisible).catch(() => undefined);
      this.presenter = new Presenter(session, viewer, {
        ...displayOptions(annotator),
        onPanel: (model) => this.draw(model),
        actions: this.actions(annotator),
        onFiles: (files) => this.openFiles(files),
        onClosed: () => this.lostViewer('The viewer was closed. Nothing is lost.'),
      });
    } catch (error) {
      this.lostViewer(`The viewer could not be opened: ${asSamError(error).message}`);
    }
  }

  private lostViewer(text: string): void {
    this.viewerGone = true;
    this.annotator.session.notify({ level: 'warning', text });
    this.redraw();
  }

  private actions(annotator: PageAnnotator): Partial<Record<CommandId, () => void | Promise<void>>> {
    const { session } = annotator;
    return {
      open_image: () =>
        openSheet({
          openFiles: (files) => this.openFiles(files),
          openUrl: (url) => void this.open(url),
          samples: SAMPLES.map(({ title, detail }, index) => ({
            title,
            detail,
            choose: () => void this.openSample(index),
          })),
        }).open(),
      export_labels: () =>
        saveSheet((format) => {
          const { source } = annotator;
          if (!source) return;
          saveObjects(format, session.state, source).catch((error) => {
            const { message, code } = asSamError(error);
            session.notify({ level: 'error', text: message, code });
          });
        }).open(),
      help: () => helpSheet().open(),
    };
  }

  private openFiles(files: readonly File[]): void {
    if (files.length > 0) void this.open(files.length === 1 ? files[0] : [...files]);
  }

  private async openSample(index: number): Promise<void> {
    const sample = SAMPLES[index];
    await this.open(sample.input(), sample.name);
  }

  private async openFile(index: number): Promise<void> {
    const file = this.settings.files?.[index];
    if (!file) return;
    this.file = index;
    await this.open(file.url, file.name);
  }

  /** What computes, for the panel's last lines. */
  private async askWorker(): Promise<void> {
    this.workerInfo = await this.worker?.info().catch(() => undefined);
    this.redraw();
  }

  private draw(model: PanelModel): void {
    this.panelModel = model;
    this.redraw();
  }

  private redraw(): void {
    if (!this.panelModel) return;
    const info = this.workerInfo;
    this.panel.render(this.panelModel, this.annotator.session.state, {
      worker: info ? `${info.name} · ${info.runtime} · ${info.provider}` : 'Starting the model …',
      notes: [...this.notes, ...(info?.note ? [info.note] : [])],
      choices: this.choices(this.annotator),
      ...(this.viewerGone && { action: { title: 'Reopen the viewer', run: () => void this.openViewer() } }),
    });
  }

  private choices(annotator: PageAnnotator): ImageChoice[] {
    const { files = [] } = this.settings;
    const { source, channels } = annotator;
    const choices: ImageChoice[] = [];
    if (files.length > 1)
      choices.push({
        title: 'File',
        value: String(this.file),
        options: files.map(({ name }, index) => ({ value: String(index), title: name })),
        choose: (value) => void this.openFile(Number(value)),
      });
    if (source && !source.rgb && source.sizes.c > 1) {
      const single = source.channels.map(({ name }, index) => ({ value: String(index), title: name }));
      const together = source.sizes.c <= 3 ? [{ value: 'all', title: 'all, as colours' }] : [];
      choices.push({
        title: 'Channel',
        value: channels === undefined ? 'all' : String(channels[0]),
        options: [...together, ...single],
        choose: (value) => void annotator.chooseChannels(value === 'all' ? undefined : [Number(value)]),
      });
    }
    return choices;
  }

  /** Keys and dropped files that land in the panel instead of the viewer. */
  private listen(): void {
    document.addEventListener('keydown', (event) => {
      if (isTyping(event.target, event.code)) return;
      const id = commandOfKey({
        code: event.code,
        ctrl: event.ctrlKey || event.metaKey,
        shift: event.shiftKey,
        alt: event.altKey,
      });
      if (!id || !this.presenter) return;
      event.preventDefault();
      void this.presenter.run(id as 'commit');
    });
    document.addEventListener('dragover', (event) => {
      event.preventDefault();
      document.body.classList.add('dropping');
    });
    document.addEventListener('dragleave', (event) => {
      if (!event.relatedTarget) document.body.classList.remove('dropping');
    });
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      document.body.classList.remove('dropping');
      droppedFiles(event.dataTransfer).then(
        (files) => this.openFiles(files),
        (error) => this.annotator.session.notify({ level: 'error', text: asSamError(error).message }),
      );
    });
  }
}

function inputOf(input: ServiceImage, { name, axes }: { readonly name?: string; readonly axes?: string }): ImageInput {
  if (input instanceof Uint8Array) return memoryBytes(input, name);
  if (typeof input === 'string' || input instanceof Blob) return input;
  return { ...input, axes, name };
}
