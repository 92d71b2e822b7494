import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { type AnnotatorParts, PageAnnotator } from '../../src/app/annotator.js';
import { displayOptions } from '../../src/app/display.js';
import { Engine } from '../../src/app/engine.js';
import type { PageSettings } from '../../src/app/page-settings.js';
import { further } from '../../src/app/parts.js';
import { SAMPLES } from '../../src/app/samples.js';
import { openStorage } from '../../src/app/storage.js';
import { asSamError, SamError } from '../../src/errors.js';
import type { Store } from '../../src/io/store.js';
import { browserStore } from '../../src/io/stores/browser-store.js';
import { KEPT_MODELS } from '../../src/model/kept-models.js';
import { adoptModel } from '../../src/model/registry.js';
import type { Tiling } from '../../src/ndimage/blocking.js';
import { commandOfKey, paletteModel } from '../../src/presenter/keys.js';
import { type PanelModel, panelModel } from '../../src/presenter/panel/panel.js';
import { Presenter } from '../../src/presenter/presenter.js';
import type { Intensities } from '../../src/presenter/table/object-table.js';
import type { MicroSamService, ServiceDeps } from '../../src/service/service.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import { loadObjects } from '../../src/session/loading/load-objects.js';
import type { ObjectLayer } from '../../src/session/state.js';
import type { WorkerInfo } from '../../src/worker/sam-worker.js';
import type { DropListeners } from '../dropped-files.js';
import { handTime } from '../hand-time.js';
import { KaibuViewer, type WindowPlace } from '../kaibu/kaibu-viewer.js';
import { keyPress } from '../key-press.js';
import { paletteSheet } from '../panel/palette-sheet.js';
import { Panel } from '../panel/panel.js';
import { furtherViews } from '../panel/parts.js';
import { watchVisibility } from '../panel/visibility.js';
import { isTyping } from '../typing.js';
import { UntilHeard } from '../until-heard.js';
import { channelChoices } from './channel-choices.js';
import { importInWorker } from './import-model.js';
import type { MayOpen } from './last-asked.js';
import { lateService } from './late-service.js';
import { type FirstImage, Opener } from './opener.js';
import { loadPartsAhead } from './parts-ahead.js';
import { recordingChoices } from './recording-choices.js';
import { saveObjects, saveRecording } from './save.js';
import { askBeforeClosing, openVersions, waysOn } from './saved-choices.js';
import { Training } from './training.js';
import { openInPage } from './worker.js';

const PUBLIC_VIEWER = 'https://kaibu.org/#/app';

/** What ImJoy hands to a window that it opens. */
export interface RunContext {
  readonly config?: {
    readonly settings?: PageSettings;
    readonly viewer?: string;
    /** What its window is called, and where it goes; the launcher knows how much room there is. */
    readonly viewer_window?: WindowPlace;
  };
  readonly data?: FirstImage;
}

/**
 * ImJoy gives every window `on` and `off` of its own, hence the other names; and its RPC takes what has an `on` for a source
 * of events of its own.
 */
export interface WindowService extends Omit<MicroSamService, 'on' | 'off'> {
  readonly exit: () => Promise<void>;
  readonly subscribe: MicroSamService['on'];
  readonly unsubscribe: MicroSamService['off'];
}

/** Everything of one window, put together: worker, storage, session, viewer, presenter, panel. */
export class MicroSamApp {
  private readonly panel: Panel;
  private readonly annotator: PageAnnotator;
  private readonly opener: Opener;
  private readonly training: Training;
  private readonly provideParts: (parts: AnnotatorParts) => void;
  private viewer?: KaibuViewer;
  private engine?: Engine;
  private presenter?: Presenter;
  private panelModel?: PanelModel;
  private settings: PageSettings = {};
  private viewerWindow: WindowPlace = {};
  private workerInfo?: WorkerInfo;
  private notes: string[] = [];
  private unsaved?: string;
  private savedPlace?: string;
  private viewerGone = false;
  private tilesShown?: Tiling;
  private panelVisible = false;
  private store?: Store;
  /** What hands do in the panel; kept until there is a presenter. */
  private readonly hands = new UntilHeard<(presenter: Presenter) => void>();

  /** @param drops what is dropped on the panel, from its first moment on */
  constructor(
    private readonly api: ImJoyApi,
    root: HTMLElement,
    private readonly drops: UntilHeard<(listeners: DropListeners) => void>,
  ) {
    let provide: (parts: AnnotatorParts) => void = () => undefined;
    this.annotator = new PageAnnotator(new Promise((resolve) => (provide = resolve)), () =>
      this.presenter?.refreshImage(),
    );
    this.provideParts = provide;
    this.opener = new Opener({
      annotator: this.annotator,
      settings: () => this.settings,
      engine: () => this.engine,
      store: () => this.store,
      attempt: (action) => this.attempt(action),
      onChanged: () => {
        this.redraw();
        this.training.consider();
      },
    });
    this.training = new Training({
      annotator: this.annotator,
      engine: () => this.running(),
      settings: () => this.settings,
      series: () => this.opener.series,
      onChanged: () => this.redraw(),
    });
    this.annotator.beforeView = async () => this.opener.series?.save();
    this.panel = new Panel(root, {
      wishOfTraining: (wish) => this.training.improver?.wish(wish),
      takeTrained: () => this.attempt(() => this.training.improver?.take()),
      backToEarlier: () => this.attempt(() => this.training.improver?.goBack()),
      dismissTrained: () => this.training.improver?.dismiss(),
      improveByItself: (on) =>
        this.attempt(async () => {
          (await this.training.improving()).setAutomatic(on);
          this.training.consider();
        }),
      run: (id, args) =>
        this.byHand((presenter, time) => presenter.runInOrder(time, id as 'pick_object', args as never)),
      set: (settings) => this.byHand((presenter, time) => presenter.runInOrder(time, 'set_settings', settings)),
      dismissMessage: () => this.annotator.session.notify(undefined),
      setEncoding: (change) => this.attempt(() => this.engine?.setEncoding(change)),
      addModel: (declaration) => this.attempt(() => this.engine?.addModel(declaration)),
      importModel: (files) => this.attempt(() => this.engine?.importAndUse(files)),
      deleteModel: (name) => this.attempt(() => this.engine?.deleteModel(name)),
      measure: () => this.attempt(() => this.engine?.measure()),
      showTiles: (shown) => this.attempt(() => this.showTiles(shown)),
      clearCache: () => this.attempt(() => this.engine?.clearCache()),
      intensities: (layer) => this.intensities(layer),
      failed: (error) => this.tell(error),
      connectWorker: async (url) => this.engine?.connectWorker(url),
    });
    this.listenToKeys();
    const unsubscribe = this.annotator.session.subscribe(({ image }) => {
      if (!image) return;
      unsubscribe();
      loadPartsAhead();
    });
    askBeforeClosing(
      this.annotator.session,
      () => this.annotator.saved,
      () => this.unsaved !== undefined,
    );
    watchVisibility(root, (visible) => {
      this.panelVisible = visible;
      void this.viewer?.collapseCommands(visible).catch(() => undefined);
    });
  }

  /** What the window exports: the RPC service, with a `run` that first puts the window together. */
  service(): WindowService {
    const { annotator } = this;
    const deps: ServiceDeps = {
      session: annotator.session,
      openImage: (input, options) => this.opener.openGiven(input, options),
      series: () => this.opener.series?.control,
      openSeries: (images, output) => this.opener.openSeries(images, { output }),
      imageSource: () => annotator.source,
      wholeRecording: () => annotator.wholeRecording(),
      chooseView: (view) => annotator.chooseView(view),
      info: async () => ({ model: annotator.model.name, worker: await this.engine?.worker.info() }),
      engine: {
        precompute: async (...given) => this.running().precompute(...given),
        connectWorker: async (url) => this.running().connectWorker(url),
        setEncoding: async (change) => this.running().setEncoding(change),
        importModel: async (request, task) => this.running().importModel(request, task),
        deleteModel: async (name) => this.running().deleteModel(name),
      },
      headless: { worker: () => this.running().worker },
      training: {
        host: (model) => this.training.host(model),
        adopt: ({ model }) => {
          adoptModel(model);
          this.redraw();
        },
        annotated: (task) => this.training.annotated(task),
        model: () => annotator.model,
        window: () => annotator.tiling?.tileShape,
      },
      screenshot: () => this.screenshot(),
    };
    const {
      on: subscribe,
      off: unsubscribe,
      ...service
    } = lateService(async () => (await further()).createService(deps));
    return {
      ...service,
      setup: async () => {}, // ImJoy calls it first
      exit: () => this.close(), // ImJoy calls it last, and removes the page a second later
      subscribe,
      unsubscribe,
      run: (context) => this.untilExitIsCalled(() => this.run(context ?? {}, service.open_image)),
    };
  }

  /**
   * ImJoy calls `exit` of windows whose `run` has succeeded; until then, or where it fails, a listener does its work. It does
   * not stay: ImJoy waits for its answer before it lets go of a window, and a page that is gone, as in a notebook whose cell
   * is run again, gives none.
   */
  private async untilExitIsCalled(run: () => Promise<void>): Promise<void> {
    const heard = Promise.resolve(this.api.on?.('close', () => void this.close())).catch(() => undefined);
    await run();
    await heard;
    await Promise.resolve(this.api.off?.('close')).catch(() => undefined);
  }

  private async run(context: RunContext, openImage: MicroSamService['open_image']): Promise<void> {
    const mayOpen = await this.start(context);
    const { image, name } = context.data ?? {};
    if (image === undefined || image === null) return;
    await this.opener.openInTurn(mayOpen, () => openImage(image, { name }));
  }

  /** The panel's window is being closed: a viewer without it would be of no use. */
  async close(): Promise<void> {
    this.presenter?.close();
    await Promise.allSettled([this.viewer?.close(), this.annotator.close()]);
  }

  private running(): Engine {
    if (this.engine) return this.engine;
    throw new SamError('no_worker', 'This window has no model yet: call its function run first.');
  }

  /** @returns the turn of what the window is started with */
  private async start({ config = {}, data = {} }: RunContext): Promise<MayOpen> {
    const { annotator } = this;
    this.settings = { ...config.settings, ...(config.viewer && { viewer: config.viewer }) };
    this.viewerWindow = config.viewer_window ?? {};
    const { viewerNote, workerNote } = this.settings;
    this.notes.push(...[viewerNote, workerNote].filter((note) => note !== undefined));
    if (viewerNote) void this.api.showMessage(viewerNote);
    const engine = new Engine({
      annotator,
      ...(this.settings.worker && { processUrl: this.settings.worker }),
      openInPage,
      keptStore: () => browserStore(KEPT_MODELS),
      importKept: importInWorker,
      onWorker: (text) => {
        if (text) annotator.session.notify({ level: 'warning', text });
        void this.askWorker();
      },
      onChanged: () => this.redraw(),
    });
    this.engine = engine;
    void this.askWorker();
    const { note, place, ...parts } = await openStorage(this.settings);
    this.savedPlace = place;
    const { store } = parts;
    this.unsaved = note;
    this.store = store;
    if (this.settings.annotator) await annotator.session.run('set_settings', { annotator: this.settings.annotator });
    engine.store = store;
    for (const model of this.settings.models ?? []) adoptModel(model);
    await engine.listKept();
    if (this.settings.model) await annotator.setEncoding({ model: this.settings.model });
    this.provideParts({ worker: engine.worker, ...parts });
    const mayOpen = this.opener.openFirst(data);
    this.listenToDrops(); // what a hand drops comes after what the window was started with
    await this.openViewer();
    return mayOpen;
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
      const src = this.settings.viewer ?? PUBLIC_VIEWER;
      const viewer = await KaibuViewer.open(this.api, { ...this.viewerWindow, src });
      this.viewer = viewer;
      void viewer.collapseCommands(this.panelVisible).catch(() => undefined);
      this.presenter = new Presenter(session, viewer, {
        ...displayOptions(annotator),
        onPanel: (model) => this.draw(model),
        actions: this.actions(annotator),
        onFiles: (files) => this.opener.openFiles(files),
        onClosed: () => this.lostViewer('The viewer was closed. Nothing is lost.'),
      });
      if (!this.hands.heard) this.hands.on((act) => this.presenter && act(this.presenter));
    } catch (error) {
      this.lostViewer(`The viewer could not be opened: ${asSamError(error).message}`);
    }
  }

  /** What goes wrong is shown. */
  private attempt(action: () => Promise<void> | undefined): void {
    action()?.catch((error) => {
      this.tell(error);
      this.redraw();
    });
  }

  private tell(error: unknown): void {
    this.annotator.session.report(error);
  }

  private async showTiles(shown: boolean): Promise<void> {
    if (this.engine) this.engine.showsTiles = shown;
    this.redraw();
  }

  private lostViewer(text: string): void {
    this.viewerGone = true;
    const { session } = this.annotator;
    session.notify({ level: 'warning', text });
    // Without any presenter so far nobody draws the panel.
    if (!this.presenter) this.panelModel = panelModel(session.shown, { now: Date.now() });
    this.redraw();
  }

  private actions(annotator: PageAnnotator): Partial<Record<CommandId, () => void | Promise<void>>> {
    const { session } = annotator;
    return {
      open_image: async () => {
        const { openSheet } = await furtherViews();
        openSheet({
          openFiles: (files) => this.opener.openFiles(files),
          openUrl: (url) => void this.opener.open(url),
          samples: SAMPLES.map(({ title, detail }, index) => ({
            title,
            detail,
            choose: () => void this.opener.openSample(index),
          })),
        }).open();
      },
      load_objects: async () => {
        const { loadSheet } = await furtherViews();
        loadSheet(session.state.layers.committed_objects.objects.size, (files) =>
          this.attempt(async () => {
            if (await (await further()).takeTracks(session, files)) return;
            const [first, ...more] = files;
            if (first) await loadObjects(session, more.length === 0 ? first : files, first.name);
          }),
        ).open();
      },
      export_labels: async () => {
        const { saveSheet } = await furtherViews();
        saveSheet(
          (format) =>
            this.attempt(async () => {
              if (annotator.source) await saveObjects(format, session.state, annotator.source);
            }),
          annotator.recording?.view.as === 'volume'
            ? (format) =>
                this.attempt(async () => {
                  const recording = await annotator.wholeRecording();
                  if (recording) await saveRecording(format, recording);
                })
            : undefined,
        ).open();
      },
      show_in_3d: async () => {
        const { objects3dSheet } = await furtherViews();
        const { image } = session.state;
        const { sections } = annotator.display ?? {};
        if (image && sections)
          objects3dSheet(this.presenter?.objectsInColour ?? [], { ...sections, size: image.size }).open();
      },
      earlier_versions: () => openVersions(session, annotator.saved, (action) => this.attempt(action)),
      improve_model: async () => {
        const { improveSheet } = await furtherViews();
        improveSheet({
          prospect: async (partial, signal) => (await this.training.improving()).prospect(partial, { signal }),
          start: (preset, partial) =>
            this.attempt(async () => (await this.training.improving()).start(preset, partial)),
        }).open();
      },
      help: async () => (await furtherViews()).helpSheet().open(),
      command_palette: () =>
        paletteSheet(paletteModel(session.shown), (id) => void this.presenter?.run(id as 'commit')).open(),
      next_image: () => this.opener.stepImage('next'),
      previous_image: () => this.opener.stepImage('previous'),
    };
  }

  /** What computes, for the panel's last lines. */
  private async askWorker(): Promise<void> {
    this.workerInfo = await this.engine?.worker.info().catch(() => undefined);
    this.redraw();
  }

  private draw(model: PanelModel): void {
    this.panelModel = model;
    this.redraw();
  }

  private redraw(): void {
    this.drawTiles();
    if (!this.panelModel) return;
    const info = this.workerInfo;
    const { series } = this.opener;
    const inSeries = series !== undefined;
    this.panel.render(this.panelModel, this.annotator.session.shown, {
      worker: info ? `${info.name} · ${info.runtime} · ${info.provider}` : 'Starting the model …',
      ...(this.unsaved && { unsaved: this.unsaved }),
      ...(this.savedPlace && { savedPlace: this.savedPlace }),
      notes: [...this.notes, ...(info?.note ? [info.note] : [])],
      choices: [
        ...recordingChoices(this.annotator, (view) => this.attempt(() => this.annotator.chooseView(view))),
        ...channelChoices(this.annotator),
      ],
      ...(series && { series: series.model }),
      ...(this.engine && { engine: this.engine.model() }),
      ...(this.engine && {
        improver: this.training.improver?.panel(inSeries) ?? { ...(inSeries && { automatic: false }) },
      }),
      actions: [
        ...waysOn(this.annotator.saved, (action) => this.attempt(action)),
        ...(this.viewerGone ? [{ title: 'Reopen the viewer', run: () => void this.openViewer() }] : []),
      ],
    });
  }

  private intensities(layer: ObjectLayer): Intensities | undefined {
    const { display } = this.annotator;
    if (!display) return undefined;
    display.intensities.onMeasured = () => this.panel.measured();
    display.intensities.measure(layer);
    return (record) => display.intensities.mean(record);
  }

  private drawTiles(): void {
    const tiling = this.engine?.showsTiles ? this.annotator.tiling : undefined;
    if (tiling === this.tilesShown) return;
    this.tilesShown = tiling;
    const tiles = tiling?.tiles.map(({ inner }) => inner) ?? [];
    this.viewer?.showTiles(tiles).catch(() => undefined); // a viewer that cannot is none the worse
  }

  private byHand(act: (presenter: Presenter, time: number) => void): void {
    const time = handTime();
    this.hands.tell((presenter) => act(presenter, time));
  }

  /** Those that land in the panel instead of the viewer. */
  private listenToKeys(): void {
    document.addEventListener('keydown', (event) => {
      if (isTyping(event.target, event.code)) return;
      const id = commandOfKey(keyPress(event));
      if (!id) return;
      // Where something in the panel has the focus, arrows scroll it.
      if (event.code.startsWith('Arrow') && event.target !== document.body) return;
      event.preventDefault();
      const time = handTime(event);
      this.hands.tell((presenter) => presenter.runInOrder(time, id as 'commit'));
    });
  }

  private listenToDrops(): void {
    if (this.drops.heard) return;
    const { session } = this.annotator;
    this.drops.on((tell) =>
      tell({
        onFiles: (files) => this.opener.openFiles(files),
        onSlow: (text) => session.notify({ level: 'info', text }),
        onError: (text) => session.notify({ level: 'error', text }),
      }),
    );
  }
}
