import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { type AnnotatorParts, PageAnnotator } from '../../src/app/annotator.js';
import { displayOptions } from '../../src/app/display.js';
import { Engine } from '../../src/app/engine.js';
import type { Improver } from '../../src/app/improver.js';
import type { PageFile, PageSettings } from '../../src/app/page-settings.js';
import { further } from '../../src/app/parts.js';
import { SAMPLES } from '../../src/app/samples.js';
import type { PageSeries, SeriesInput, SeriesPlace } from '../../src/app/series.js';
import { openStorage } from '../../src/app/storage.js';
import { isLocal } from '../../src/app/switchable-worker.js';
import { trainingByServer, trainingInPage } from '../../src/app/training-hosts.js';
import { isZarr, isZarrAddress } from '../../src/app/zarr-input.js';
import { checkpointsAmong } from '../../src/checkpoints/recognise.js';
import { asSamError, SamError } from '../../src/errors.js';
import { httpBytes } from '../../src/io/http-bytes.js';
import type { ImageInput } from '../../src/io/open.js';
import type { Store } from '../../src/io/store.js';
import { browserStore } from '../../src/io/stores/browser-store.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { prefixStore } from '../../src/io/stores/prefix.js';
import { serverStore } from '../../src/io/stores/server.js';
import { itemAt } from '../../src/items.js';
import { KEPT_MODELS } from '../../src/model/kept-models.js';
import type { ModelSpec } from '../../src/model/model-spec.js';
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
import type { TaskOptions } from '../../src/task.js';
import type { AnnotatedImage } from '../../src/training/annotated.js';
import type { TrainingHost } from '../../src/training/training-job.js';
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
import { LastAsked, type MayOpen } from './last-asked.js';
import { lateService } from './late-service.js';
import { loadPartsAhead } from './parts-ahead.js';
import { recordingChoices } from './recording-choices.js';
import { download, saveObjects, saveRecording } from './save.js';
import { askBeforeClosing, openVersions, waysOn } from './saved-choices.js';
import { openInPage } from './worker.js';

const PUBLIC_VIEWER = 'https://kaibu.org/#/app';

type Opening = NonNullable<Parameters<PageAnnotator['open']>[1]>;

/** What ImJoy hands to a window that it opens. */
export interface RunContext {
  readonly config?: {
    readonly settings?: PageSettings;
    readonly viewer?: string;
    /** What its window is called, and where it goes; the launcher knows how much room there is. */
    readonly viewer_window?: WindowPlace;
  };
  readonly data?: { readonly image?: unknown; readonly url?: string; readonly name?: string };
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

/** The images that a file was found to hold when it could not be opened without being told which; else none. */
function keysToChooseFrom(error: unknown): readonly string[] {
  const keys = error instanceof SamError && error.code === 'invalid_argument' ? error.details.keys : undefined;
  return Array.isArray(keys) ? keys.map(String) : [];
}

/** The fields of view of a plate, as a series; undefined for any other input. */
async function plateImages(input: ImageInput): Promise<SeriesInput[] | undefined> {
  return (await further()).plateImages(input);
}

/** Everything of one window, put together: worker, storage, session, viewer, presenter, panel. */
export class MicroSamApp {
  private readonly panel: Panel;
  private readonly annotator: PageAnnotator;
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
  private series?: PageSeries;
  private improver?: Improver;
  private readonly trainsInPage: TrainingHost = trainingInPage(
    () => new Worker(new URL('training-worker.js', document.baseURI), { type: 'module', name: 'training' }),
  );
  private trainsByServer?: TrainingHost;
  private store?: Store;
  private readonly lastAsked = new LastAsked();
  /** Of the image that `run` is given, which was asked for before anything that hands have dropped. */
  private turnOfRun?: MayOpen;
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
    this.annotator.beforeView = async () => this.series?.save();
    this.panel = new Panel(root, {
      wishOfTraining: (wish) => this.improver?.wish(wish),
      takeTrained: () => this.attempt(() => this.improver?.take()),
      backToEarlier: () => this.attempt(() => this.improver?.goBack()),
      dismissTrained: () => this.improver?.dismiss(),
      improveByItself: (on) =>
        this.attempt(async () => {
          (await this.improving()).setAutomatic(on);
          this.considerSeries();
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
      openImage: async (input, options) => {
        const mayOpen = this.turnOfRun ?? this.lastAsked.ask();
        this.turnOfRun = undefined;
        if (mayOpen()) await this.openAlone(input, options);
      },
      series: () => this.series?.control,
      openSeries: (images, output) => this.openSeries(images, { output }),
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
        host: (model) => this.trainingHost(model),
        adopt: ({ model }) => {
          adoptModel(model);
          this.redraw();
        },
        annotated: (task) => this.annotated(task),
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
    this.turnOfRun = mayOpen;
    await openImage(image, { name }).finally(() => (this.turnOfRun = undefined));
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

  /** Models that only this page can read are trained in it. */
  private trainingHost(model: ModelSpec): TrainingHost {
    return isLocal(model) ? this.trainsInPage : (this.trainsByServer ?? this.trainsInPage);
  }

  /** What makes models better, from when it is first asked for. */
  private async improving(): Promise<Improver> {
    const { Improver } = await further();
    this.improver ??= new Improver({
      session: this.annotator.session,
      model: () => this.annotator.model,
      window: () => this.annotator.tiling?.tileShape,
      host: (model) => this.trainingHost(model),
      annotated: (task) => this.annotated(task),
      use: async (model) => {
        await this.running().setEncoding({ model });
        this.series?.renewAhead();
      },
      onChanged: () => this.redraw(),
    });
    return this.improver;
  }

  /** All that is committed, on the open image and on others of its series. */
  private async annotated(task: TaskOptions): Promise<AnnotatedImage[]> {
    const { annotator, series } = this;
    const { allAnnotated } = await further();
    await annotator.session.settled();
    return allAnnotated(annotator, await series?.leftImages(), task);
  }

  /** @returns the turn of what the window is started with */
  private async start({ config = {}, data = {} }: RunContext): Promise<MayOpen> {
    const { annotator } = this;
    this.settings = { ...config.settings, ...(config.viewer && { viewer: config.viewer }) };
    this.viewerWindow = config.viewer_window ?? {};
    const { viewerNote, workerNote, files = [] } = this.settings;
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
    if (this.settings.training) this.trainsByServer = trainingByServer(this.settings.training);
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
    const mayOpen = this.lastAsked.ask();
    const [first] = files;
    if (data.url) void this.open(data.url, { name: data.name }, mayOpen);
    else if (files.length > 1 || (first && this.settings.output))
      this.attempt(() =>
        this.openSeries(
          files.map(({ url, embeddings, ...file }) => ({
            ...file,
            input: url,
            ...(embeddings && { embeddings: this.keptEmbeddings(embeddings) }),
          })),
          { key: this.settings.series, ...(this.settings.output && { output: serverStore(this.settings.output) }) },
          mayOpen,
        ),
      );
    else if (first) this.attempt(() => this.openFirst(first, mayOpen));
    else if (data.image === undefined) void this.openSample(0);
    this.listenToDrops(); // what a hand drops comes after what the window was started with
    await this.openViewer();
    return mayOpen;
  }

  /** What goes wrong is the session's message already. */
  private async open(input: ImageInput, options: Opening = {}, mayOpen = this.lastAsked.ask()): Promise<void> {
    const chosen = options.key !== undefined || options.series !== undefined;
    const isPlate = !chosen && (Array.isArray(input) || isZarrAddress(input));
    const plate = isPlate ? await plateImages(input).catch(() => undefined) : undefined; // opening says what is wrong
    if (!mayOpen()) return;
    if (plate) return this.openSeries(plate, {}, mayOpen);
    try {
      await this.openAlone(input, options);
      const { images = [] } = this.annotator.source ?? {};
      if (images.length > 1 && !chosen)
        this.askWhich(images, (series) => void this.open(input, { ...options, series }));
    } catch (error) {
      this.redraw();
      const keys = keysToChooseFrom(error);
      if (keys.length > 0) this.askWhich(keys, (index) => void this.open(input, { ...options, key: keys[index] }));
    }
    await this.engine?.measureCache().catch(() => undefined);
  }

  private askWhich(names: readonly string[], choose: (index: number) => void): void {
    this.attempt(async () => (await furtherViews()).whichImageSheet(names, choose).open());
  }

  /** Ends the series, whose images it does not belong to, once it is open: what cannot be opened leaves all as it is. */
  private async openAlone(input: ImageInput, options: Parameters<PageAnnotator['open']>[1]): Promise<void> {
    await this.series?.save();
    await this.annotator.open(input, options);
    await this.closeSeries(true);
    this.redraw();
  }

  private async openFirst(file: PageFile, mayOpen: MayOpen): Promise<void> {
    const frames = file.frames && (await Promise.all(file.frames.map((url) => httpBytes(url))));
    await this.open(frames ?? file.url, { name: file.name, embeddings: this.keptEmbeddings(file.embeddings) }, mayOpen);
    const { session } = this.annotator;
    if (session.state.image?.name !== file.name || !(file.labels || file.tracks)) return;
    this.attempt(async () => (await further()).beginWithObjects(session, file));
  }

  private keptEmbeddings(name: string | undefined): Store | undefined {
    const { embeddings } = this.settings;
    return embeddings && name !== undefined ? prefixStore(serverStore(embeddings), name) : undefined;
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
        onFiles: (files) => this.openFiles(files),
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
    const { code, message } = asSamError(error);
    if (code !== 'cancelled') this.annotator.session.notify({ level: 'error', text: message, code });
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
          openFiles: (files) => this.openFiles(files),
          openUrl: (url) => void this.open(url),
          samples: SAMPLES.map(({ title, detail }, index) => ({
            title,
            detail,
            choose: () => void this.openSample(index),
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
          prospect: async (partial, signal) => (await this.improving()).prospect(partial, { signal }),
          start: (preset, partial) => this.attempt(async () => (await this.improving()).start(preset, partial)),
        }).open();
      },
      help: async () => (await furtherViews()).helpSheet().open(),
      command_palette: () =>
        paletteSheet(paletteModel(session.shown), (id) => void this.presenter?.run(id as 'commit')).open(),
      next_image: () => this.stepImage('next'),
      previous_image: () => this.stepImage('previous'),
    };
  }

  private openFiles(files: readonly File[]): void {
    if (files.length === 0) return;
    const mayOpen = this.lastAsked.ask();
    this.attempt(async () => {
      const checkpoints = await checkpointsAmong(files);
      const others = files.filter((file) => !checkpoints.includes(file));
      const { takeTracks } = await further();
      if (others.length > 0 && !(await takeTracks(this.annotator.session, others))) this.openImages(others, mayOpen);
      if (checkpoints.length > 0) await this.engine?.importAndUse(checkpoints);
    });
  }

  private openImages(files: readonly File[], mayOpen: MayOpen): void {
    const [first, ...more] = files;
    if (first && more.length === 0) void this.open(first, {}, mayOpen);
    else if (isZarr(files)) void this.open([...files], {}, mayOpen);
    else this.attempt(() => this.askForSeries(files));
  }

  private async askForSeries(files: readonly File[]): Promise<void> {
    const { severalFilesSheet } = await furtherViews();
    severalFilesSheet(files.length, {
      series: () => this.attempt(() => this.openSeriesOfFiles(files)),
      one: () => void this.open([...files]),
    }).open();
  }

  private async openSeriesOfFiles(files: readonly File[]): Promise<void> {
    const mayOpen = this.lastAsked.ask();
    const { seriesOfFiles } = await further();
    await this.openSeries(await seriesOfFiles(files), {}, mayOpen);
  }

  /** @param place of the series that the command line names */
  private async openSeries(
    images: readonly SeriesInput[],
    place: Pick<SeriesPlace, 'key' | 'output'> = {},
    mayOpen = this.lastAsked.ask(),
  ): Promise<void> {
    const { PageSeries } = await further();
    if (!mayOpen()) return;
    await this.closeSeries();
    const series = await PageSeries.open(this.annotator, images, {
      store: this.store ?? memoryStore(),
      download,
      ...place,
    });
    if (!mayOpen()) return series.close(true); // another image was asked for meanwhile
    this.series = series;
    series.subscribe(() => {
      this.redraw();
      this.considerSeries();
    });
    await series.start();
    this.redraw();
  }

  private considerSeries(): void {
    const { images = [] } = this.series?.model ?? {};
    const annotated = images.filter(({ objects = 0 }) => objects > 0);
    this.improver?.consider(annotated.length, this.series?.objects ?? 0);
  }

  private async closeSeries(saved = false): Promise<void> {
    const { series } = this;
    this.series = undefined;
    await series?.close(saved);
  }

  private stepImage(step: 'next' | 'previous'): Promise<void> | void {
    if (this.series) return this.series[step]();
    this.annotator.session.notify({
      level: 'info',
      text: 'This image was opened alone. Open several files or a folder to go from one to the next.',
    });
  }

  private async openSample(index: number): Promise<void> {
    const sample = itemAt(SAMPLES, index);
    await this.open(sample.input(), { name: sample.name });
    const { session } = this.annotator;
    if (sample.online && session.state.message?.code === 'not_found')
      session.notify({
        level: 'error',
        code: 'not_found',
        text: `The sample "${sample.title}" could not be loaded: it comes from the internet, which cannot be reached. The sample "${itemAt(SAMPLES, 0).title}" works without.`,
      });
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
    const inSeries = this.series !== undefined;
    this.panel.render(this.panelModel, this.annotator.session.shown, {
      worker: info ? `${info.name} · ${info.runtime} · ${info.provider}` : 'Starting the model …',
      ...(this.unsaved && { unsaved: this.unsaved }),
      ...(this.savedPlace && { savedPlace: this.savedPlace }),
      notes: [...this.notes, ...(info?.note ? [info.note] : [])],
      choices: [
        ...recordingChoices(this.annotator, (view) => this.attempt(() => this.annotator.chooseView(view))),
        ...channelChoices(this.annotator),
      ],
      ...(this.series && { series: this.series.model }),
      ...(this.engine && { engine: this.engine.model() }),
      ...(this.engine && { improver: this.improver?.panel(inSeries) ?? { ...(inSeries && { automatic: false }) } }),
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
        onFiles: (files) => this.openFiles(files),
        onSlow: (text) => session.notify({ level: 'info', text }),
        onError: (text) => session.notify({ level: 'error', text }),
      }),
    );
  }
}
