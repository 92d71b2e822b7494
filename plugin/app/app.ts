import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { Engine } from '../../src/app/engine.js';
import type { PageSettings } from '../../src/app/page-settings.js';
import { further } from '../../src/app/parts.js';
import { openStorage } from '../../src/app/storage.js';
import { Workspace } from '../../src/app/workspace.js';
import { SamError } from '../../src/errors.js';
import { browserStore } from '../../src/io/stores/browser-store.js';
import { KEPT_MODELS } from '../../src/model/kept-models.js';
import { adoptModel } from '../../src/model/registry.js';
import { commandOfKey } from '../../src/presenter/keys.js';
import type { Presenter } from '../../src/presenter/presenter.js';
import type { MicroSamService, ServiceDeps } from '../../src/service/service.js';
import type { DropListeners } from '../dropped-files.js';
import { handTime } from '../hand-time.js';
import type { WindowPlace } from '../kaibu/kaibu-viewer.js';
import { keyPress } from '../key-press.js';
import { Panel } from '../panel/panel.js';
import { isTyping } from '../typing.js';
import { UntilHeard } from '../until-heard.js';
import { importInWorker } from './import-model.js';
import type { MayOpen } from './last-asked.js';
import { lateService } from './late-service.js';
import type { FirstImage, Opener } from './opener.js';
import { panelActions } from './panel-actions.js';
import { loadPartsAhead } from './parts-ahead.js';
import { RunningApp } from './running-app.js';
import { askBeforeClosing } from './saved-choices.js';
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

/**
 * One window from its first moment: the session, the panel, what hands do before there is anything to do it with, and the
 * functions that it exports. `run` brings the settings; with them the application is put together (RunningApp), once.
 */
export class MicroSamApp {
  private readonly workspace: Workspace;
  /** What hands do in the panel; kept until there is a presenter. */
  private readonly hands = new UntilHeard<(presenter: Presenter) => void>();
  /** The application, once it is put together; if that fails, by a later `run`. */
  private readonly whenRunning: Promise<RunningApp>;
  private readonly provideApp: (app: RunningApp) => void;
  private readonly panel: Panel;
  /** As it is being put together; rejects if it cannot be. */
  private starting?: Promise<RunningApp>;
  /** The application, for what does not wait for it; undefined until it is put together. */
  private running?: RunningApp;

  /**
   * @param drops what is dropped on the panel, from its first moment on
   * @param closing aborted when the app is closed, which ends all that its page listens to
   */
  constructor(
    private readonly api: ImJoyApi,
    private readonly root: HTMLElement,
    private readonly drops: UntilHeard<(listeners: DropListeners) => void>,
    private readonly closing: AbortController,
  ) {
    let provide: (app: RunningApp) => void = () => undefined;
    this.whenRunning = new Promise((resolve) => (provide = resolve));
    this.provideApp = provide;
    this.workspace = new Workspace(
      this.whenRunning.then(({ engine, storage }) => ({ ...storage, worker: engine.worker })),
      {
        onPicture: () => this.running?.view.presenter?.refreshImage(),
        beforeView: async () => this.running?.opener.series?.save(),
      },
    );
    this.panel = new Panel(
      root,
      panelActions({
        workspace: this.workspace,
        hands: this.hands,
        whenRunning: this.whenRunning,
        onMeasured: () => this.panel.measured(),
      }),
    );
    this.listenToKeys();
    const { session } = this.workspace;
    const unsubscribe = session.subscribe(({ image }) => {
      if (!image) return;
      unsubscribe();
      loadPartsAhead();
    });
    askBeforeClosing(
      session,
      () => this.workspace.saved,
      () => this.running?.storage.note !== undefined,
      closing.signal,
    );
  }

  /**
   * The application, for other programs.
   *
   * @throws SamError `no_worker` before `run` is called; from then on they wait
   */
  private async afterRun(): Promise<RunningApp> {
    return this.starting ?? this.needed();
  }

  private needed(): RunningApp {
    if (this.running) return this.running;
    throw new SamError('no_worker', 'This window has no model yet: call its function run first.');
  }

  /** What the window exports: the RPC service, with a `run` that first puts the application together. */
  service(): WindowService {
    const {
      on: subscribe,
      off: unsubscribe,
      ...service
    } = lateService(async () => (await further()).createService(this.serviceDeps()));
    return {
      ...service,
      setup: async () => {}, // ImJoy calls it first
      exit: () => this.close(), // ImJoy calls it last, and removes the page a second later
      subscribe,
      unsubscribe,
      run: (context) => this.untilExitIsCalled(() => this.run(context ?? {}, service.open_image)),
    };
  }

  private serviceDeps(): ServiceDeps {
    const { workspace } = this;
    return {
      session: workspace.session,
      openImage: async (input, options) => (await (this.starting ?? this.whenRunning)).opener.openGiven(input, options),
      series: () => this.running?.opener.series?.control,
      openSeries: async (images, output) =>
        (await (this.starting ?? this.whenRunning)).opener.openSeries(images, { output }),
      imageSource: () => workspace.source,
      wholeRecording: () => workspace.wholeRecording(),
      chooseView: (view) => workspace.chooseView(view),
      info: async () => ({ model: workspace.model.name, worker: await this.running?.engine.worker.info() }),
      engine: {
        precompute: async (...given) => (await this.afterRun()).engine.precompute(...given),
        connectWorker: async (url) => (await this.afterRun()).engine.connectWorker(url),
        setEncoding: async (change) => (await this.afterRun()).engine.setEncoding(change),
        importModel: async (request, task) => (await this.afterRun()).engine.importModel(request, task),
        deleteModel: async (name) => (await this.afterRun()).engine.deleteModel(name),
      },
      headless: { worker: async () => (await this.afterRun()).engine.worker },
      training: {
        host: (model) => this.needed().training.host(model),
        adopt: ({ model }) => {
          adoptModel(model);
          this.running?.redraw();
        },
        annotated: async (task) => (await this.afterRun()).training.annotated(task),
        model: () => workspace.model,
        window: () => workspace.tiling?.tileShape,
      },
      screenshot: async () => (await this.afterRun()).view.screenshot(),
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
    await this.needed().opener.openInTurn(mayOpen, () => openImage(image, { name }));
  }

  /** The panel's window is being closed: a viewer without it would be of no use. */
  async close(): Promise<void> {
    const closed = Promise.allSettled([this.running?.view.close(), this.workspace.close()]);
    if (this.starting) await closed; // until all is saved the browser asks whether the page may go
    this.closing.abort();
  }

  /** @returns the turn of what the window is started with */
  private async start({ config = {}, data = {} }: RunContext): Promise<MayOpen> {
    if (this.running) await this.apply(config.settings ?? {});
    this.starting ??= this.putTogether(config);
    const { opener, view } = await this.starting;
    const mayOpen = opener.openFirst(data);
    this.listenToDrops(opener); // what a hand drops comes after what the window was started with
    await view.open();
    return mayOpen;
  }

  private async putTogether({
    settings: given,
    viewer,
    viewer_window,
  }: NonNullable<RunContext['config']>): Promise<RunningApp> {
    const { api, workspace, panel, hands, root } = this;
    const settings = { ...given, ...(viewer && { viewer }) };
    if (settings.viewerNote) void api.showMessage(settings.viewerNote);
    const storage = openStorage(settings);
    const engine = new Engine({
      workspace,
      ...(settings.worker && { processUrl: settings.worker }),
      storage,
      openInPage,
      keptStore: () => browserStore(KEPT_MODELS),
      importKept: importInWorker,
      onWorker: (text) => {
        if (text) workspace.session.notify({ level: 'warning', text });
        this.running?.askWorker();
      },
      onChanged: () => this.running?.redraw(),
    });
    const place = { ...viewer_window, src: settings.viewer ?? PUBLIC_VIEWER };
    const app = new RunningApp({ api, root, workspace, panel, hands, settings, engine, storage: await storage, place });
    try {
      await engine.listKept();
      await this.apply(settings);
    } catch (error) {
      this.starting = undefined; // to be run again with settings that can be met
      throw error;
    }
    this.running = app;
    this.provideApp(app);
    return app;
  }

  /** What each `run` may ask for; the rest of its settings is of the first, which puts the application together. */
  private async apply({ annotator, models = [], model }: PageSettings): Promise<void> {
    const { workspace } = this;
    if (annotator) await workspace.session.run('set_settings', { annotator });
    for (const each of models) adoptModel(each);
    if (model) await workspace.setEncoding({ model });
  }

  /** Those that land in the panel instead of the viewer. */
  private listenToKeys(): void {
    const press = (event: KeyboardEvent) => {
      if (isTyping(event.target, event.code)) return;
      const id = commandOfKey(keyPress(event));
      if (!id) return;
      // Where something in the panel has the focus, arrows scroll it.
      if (event.code.startsWith('Arrow') && event.target !== document.body) return;
      event.preventDefault();
      const time = handTime(event);
      this.hands.tell((presenter) => presenter.runInOrder(time, id as 'commit'));
    };
    document.addEventListener('keydown', press, { signal: this.closing.signal });
  }

  private listenToDrops(opener: Opener): void {
    if (this.drops.heard) return;
    const { session } = this.workspace;
    this.drops.on((tell) =>
      tell({
        onFiles: (files) => opener.openFiles(files),
        onSlow: (text) => session.notify({ level: 'info', text }),
        onError: (text) => session.notify({ level: 'error', text }),
      }),
    );
  }
}
