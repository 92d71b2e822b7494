import { asSamError, SamError } from '../../src/errors.js';
import { itemAt } from '../../src/items.js';
import type { Size, Tensor, YX, YXYX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { maskContains } from '../../src/ndimage/rle.js';
import type {
  PlaneRenderer,
  ViewChannel,
  Viewer,
  ViewerCapabilities,
  ViewerCommand,
  ViewerEvent,
  ViewerTool,
  ViewMove,
  ViewObject,
  ViewSections,
  ViewSlider,
  ViewTrack,
} from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { ObjectLayerName } from '../../src/session/state.js';
import { type Dispose, type Hand, Handed, remoteFunctions } from '../remote-functions.js';
import { UntilHeard } from '../until-heard.js';
import type { Extent } from '../viewer/coordinates.js';
import type { ChannelChange, ChannelControl, StrokeEvent, ViewerExtras } from '../viewer/protocol.js';
import { within } from './callbacks.js';
import { extentToBox, toYX } from './geometry.js';
import { Scene } from './scene.js';
import { SectionPictures } from './section-pictures.js';
import { CommandWidget, PlaneSlider } from './widgets.js';
import type { KaibuWindow } from './window.js';

/** The part of the ImJoy API that opens and finds windows. */
interface WindowOpener {
  createWindow(config: object): Promise<unknown>;
  getWindow?(name: string): Promise<unknown>;
  disposeObject?(object: object): unknown;
}

/** Of a window in ImJoy's app, whose columns and rows are about 30 px; other hosts place windows themselves. */
export interface WindowPlace {
  readonly name?: string;
  readonly x?: number;
  readonly y?: number;
  readonly w?: number;
  readonly h?: number;
}

/** ImJoy's own default, 20 by 10, leaves no room for an image. */
const DEFAULT_PLACE: WindowPlace = { name: 'Viewer', w: 28, h: 20 };

/**
 * The Viewer interface over the functions of a Kaibu window: the real one, or ours, which says through
 * `get_capabilities()` what it can do beyond. Calls are carried out one after the other, in the order they came.
 */
export class KaibuViewer implements Viewer {
  readonly capabilities: ViewerCapabilities;
  readonly #window: KaibuWindow;
  readonly #extras: ViewerExtras | undefined;
  readonly #events = new UntilHeard<ViewerEvent>(({ kind }) =>
    kind === 'pointer' || kind === 'view' ? kind : undefined,
  );
  readonly #commands: CommandWidget;
  readonly #slider: PlaneSlider;
  readonly #objects = new Map<ObjectLayerName, readonly ViewObject[]>();
  // What the viewer was last told. It cannot be asked, and is told all of it again when its layers are made anew for an image.
  /** With every change made to them in the viewer since. */
  #prompts: readonly Prompt[] = [];
  #closing: readonly Prompt[] = [];
  #tracks: readonly ViewTrack[] = [];
  #tiles: readonly YXYX[] = [];
  #tool: ViewerTool = { kind: 'point', positive: true, brushSize: 10 };
  #scene: Scene | undefined;
  /** Of what is in the viewer, also while its layers are made. */
  #size: Size = [0, 0];
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;
  #channels = new Handed();
  readonly #dispose: Dispose;

  /**
   * Opens a viewer window; `src` is the address of a Kaibu, or the name of a window that is open already, for hosts that
   * let only themselves open windows (Jupyter).
   */
  static async open(imjoy: WindowOpener, options: { src: string } & WindowPlace): Promise<KaibuViewer> {
    if (!/[/:]/.test(options.src)) {
      const found = await within(Promise.resolve(imjoy.getWindow?.(options.src)), 'find the viewer', 60_000);
      if (found) return KaibuViewer.attach(found as KaibuWindow, imjoy.disposeObject);
      throw new SamError(
        'viewer_lost',
        `No window is named ${options.src}. Open the viewer first, or give its address.`,
      );
    }
    const config = { ...DEFAULT_PLACE, ...options, config: { open_sidebar: false } };
    const window = (await within(imjoy.createWindow(config), `open ${options.src}`, 60_000)) as KaibuWindow;
    return KaibuViewer.attach(window, imjoy.disposeObject);
  }

  /** Over a window that is open already. */
  static async attach(window: KaibuWindow, dispose?: Dispose): Promise<KaibuViewer> {
    const extras = window.get_capabilities ? await within(window.get_capabilities(), 'get_capabilities') : undefined;
    const viewer = new KaibuViewer(window, extras, dispose);
    await viewer.#listen();
    return viewer;
  }

  private constructor(window: KaibuWindow, extras: ViewerExtras | undefined, dispose: Dispose) {
    this.#dispose = dispose;
    this.#window = window;
    this.#extras = extras;
    this.capabilities = { pointer: extras?.pointer === true, painting: extras?.painting === true };
    this.#commands = new CommandWidget(window, (id) => this.#emit({ kind: 'command', id }));
    this.#slider = new PlaneSlider(
      window,
      (plane) => this.#emit({ kind: 'plane', plane }),
      (at) => this.#emit({ kind: 'other-axis', at }),
    );
    if (extras?.scale)
      this.showScale = (scale) =>
        this.#do(async () => void (await within(window.set_scale?.(scale ?? null), 'set_scale')));
    if (extras?.channels) this.showChannels = (channels) => this.#do(() => this.#setChannels(channels));
    if (extras?.sections) {
      const pictures = new SectionPictures(window);
      this.showSections = (sections) => this.#do(() => pictures.show(sections));
    }
    if (extras?.view)
      this.moveView = (move) => this.#do(async () => void (await within(window.move_view?.(move), 'move_view')));
    if (extras?.readout)
      this.showReadout = (text) =>
        this.#do(async () => void (await within(window.set_readout?.(text ?? null), 'set_readout')));
    if (extras?.screenshot) this.screenshot = () => this.#do(() => within(window.screenshot!(), 'screenshot'));
  }

  screenshot?: () => Promise<Uint8Array>;
  showChannels?: (channels: readonly ViewChannel[]) => Promise<void>;
  showSections?: (sections: ViewSections | undefined) => Promise<void>;
  moveView?: (move: ViewMove) => Promise<void>;
  showReadout?: (text: string | undefined) => Promise<void>;
  showScale?: (scale: { size: number; unit: string } | undefined) => Promise<void>;

  on(listener: (event: ViewerEvent) => void): () => void {
    return this.#events.on(listener);
  }

  showImage(name: string, pixels: Tensor<Uint8Array>): Promise<void> {
    const [height, width, components] = pixels.shape;
    if (height === undefined || width === undefined || components !== 3 || pixels.shape.length > 3)
      return Promise.reject(new SamError('invalid_image', `An image to show is [H, W, 3]; got [${pixels.shape}].`));
    return this.#do(async () => {
      if (this.#scene?.shows(name, [height, width])) return this.#scene.update(pixels);
      await this.#build(name, [height, width], (scene) => scene.addPlane(pixels));
    });
  }

  showLargeImage(name: string, size: Size, render: PlaneRenderer): Promise<void> {
    return this.#do(async () => {
      if (this.#scene?.shows(name, size)) return this.#scene.rerender(render);
      await this.#build(name, size, (scene) => scene.addRendered(render));
    });
  }

  showObjects(layer: ObjectLayerName, objects: readonly ViewObject[]): Promise<void> {
    this.#objects.set(layer, objects);
    return this.#do(async () => this.#scene?.objects(layer)?.show(objects));
  }

  showPrompts(prompts: readonly Prompt[]): Promise<void> {
    this.#prompts = prompts;
    return this.#do(async () => this.#scene?.showPrompts(this.#prompts));
  }

  showClosing(prompts: readonly Prompt[]): Promise<void> {
    this.#closing = prompts;
    return this.#do(async () => this.#scene?.showClosing(prompts));
  }

  /** Our viewer answers after it has sent what it had to say; Kaibu is not asked, since it draws slowly. */
  async flush(): Promise<void> {
    if (!this.#extras || !this.#window.get_capabilities || this.#closed) return;
    await within(this.#window.get_capabilities(), 'get_capabilities', FLUSH_PATIENCE_MS);
  }

  showTracks(tracks: readonly ViewTrack[]): Promise<void> {
    this.#tracks = tracks;
    return this.#do(async () => this.#scene?.showTracks(tracks));
  }

  showTiles(tiles: readonly YXYX[]): Promise<void> {
    this.#tiles = tiles;
    return this.#do(async () => this.#scene?.showTiles(tiles));
  }

  showPreview(mask: Mask | undefined): Promise<void> {
    return this.#do(async () => this.#scene?.showPreview(mask));
  }

  setTool(tool: ViewerTool): Promise<void> {
    this.#tool = tool;
    return this.#do(async () => this.#scene?.setTool(tool));
  }

  setLayerVisible(layer: ObjectLayerName | 'prompts' | 'image', visible: boolean): Promise<void> {
    return this.#do(async () => this.#scene?.setVisible(layer, visible));
  }

  showPlaneSlider(slider: ViewSlider | undefined, other?: ViewSlider): Promise<void> {
    return this.#do(() => this.#slider.show(slider, other));
  }

  showCommands(commands: readonly ViewerCommand[]): Promise<void> {
    return this.#do(() => this.#commands.show(commands));
  }

  collapseCommands(collapsed: boolean): Promise<void> {
    return this.#do(() => this.#commands.collapse(collapsed));
  }

  showBusy(busy: boolean): Promise<void> {
    return this.#do(async () => void (await within(this.#window.set_loader(busy), 'set_loader')));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.resolve(this.#window.close?.()).catch(() => undefined);
  }

  /** Clears the viewer and sets it up for an image: layers from bottom to top, then what was to be shown already. */
  async #build(name: string, size: Size, addImage: (scene: Scene) => Promise<void>): Promise<void> {
    const before = this.#scene;
    this.#scene = undefined;
    const scene = new Scene(this.#window, name, size, {
      dispose: this.#dispose,
      extras: this.#extras,
      plane: () => this.#slider.at,
      emit: this.#emit,
      pick: (at) => this.#pick(at),
    });
    await within(this.#window.clear_layers(), 'clear_layers');
    this.#size = size;
    before?.close();
    await addImage(scene);
    await scene.addLayers();
    this.#scene = scene;
    for (const [layer, objects] of this.#objects) await scene.objects(layer)?.show(objects);
    await scene.showPrompts(this.#prompts);
    await scene.showClosing(this.#closing);
    await scene.showTracks(this.#tracks);
    await scene.showTiles(this.#tiles);
    await scene.setTool(this.#tool);
  }

  async #listen(): Promise<void> {
    // Not awaited: some hosts never answer, and nothing depends on it.
    this.#window.on?.('close', () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#emit({ kind: 'closed' });
    });
    if (!this.#extras || !this.#window.set_listeners) return;
    const height = () => this.#size[0];
    await within(
      this.#window.set_listeners(
        remoteFunctions({
          pointer: (at: readonly [number, number] | null) => {
            this.#emit({ kind: 'pointer', at: at ? toYX(at, height()) : undefined });
          },
          secondary: ([x, y]: readonly [number, number], time: number) => this.#negative(toYX([x, y], height()), time),
          stroke: ({ tool, path, radius }: StrokeEvent) => {
            const points: YX[] = [];
            for (let k = 0; k < path.length; k += 2)
              points.push(toYX([itemAt(path, k), itemAt(path, k + 1)], height()));
            this.#emit({ kind: 'painted', tool, path: points, radius });
          },
          view: (extent: Extent) => this.#emit({ kind: 'view', box: extentToBox(extent, height()) }),
          section: (at: ViewSections['at'], click?: 'tool' | 'negative') =>
            this.#emit({ kind: 'section', at, ...(click && { click }) }),
          band: (extent: Extent) => this.#emit({ kind: 'band', box: extentToBox(extent, height()) }),
          files: (files: readonly File[]) => this.#emit({ kind: 'files-dropped', files }),
        }),
      ),
      'set_listeners',
    );
  }

  async #setChannels(channels: readonly ViewChannel[]): Promise<void> {
    const before = this.#channels;
    this.#channels = new Handed();
    const controls = this.#channelControls(channels, this.#channels.hand);
    await within(this.#window.set_channels?.(controls), 'set_channels');
    before.release();
  }

  #channelControls(channels: readonly ViewChannel[], hand: Hand): ChannelControl[] {
    return channels.map((channel, index) =>
      hand({
        ...channel,
        change_callback: (change: ChannelChange) => this.#emit({ kind: 'channel', index, ...change }),
      }),
    );
  }

  /** The topmost object there, in the order in which layers lie. */
  #pick([y, x]: YX): void {
    for (const layer of ['current_object', 'auto_segmentation', 'committed_objects'] as const) {
      const hit = this.#objects.get(layer)?.findLast(({ mask }) => maskContains(mask, Math.floor(y), Math.floor(x)));
      if (!hit) continue;
      this.#emit({ kind: 'object-picked', layer, id: hit.id });
      return;
    }
  }

  /** The button that means "not this". */
  #negative(at: YX, time: number): void {
    const [height, width] = this.#size;
    const inside = at[0] >= 0 && at[1] >= 0 && at[0] < height && at[1] < width;
    const prompt = { kind: 'point', id: crypto.randomUUID(), plane: this.#slider.at, at, positive: false } as const;
    if (inside) this.#emit({ kind: 'prompt-added', prompt, negative: true, time });
    else this.#emit({ kind: 'prompt-refused', why: 'outside', time });
  }

  readonly #emit = (event: ViewerEvent): void => {
    // A call that waits its turn was made without knowing of this.
    this.#prompts = promptsAfter(this.#prompts, event);
    if (event.kind !== 'pointer' && event.kind !== 'view') this.#scene?.reportMoves();
    this.#events.tell(event);
  };

  /** One after the other; a failure is the caller's and does not stop what comes next. */
  #do<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(async () => {
      if (this.#closed) throw new SamError('viewer_lost', 'The viewer was closed; reopen it to go on.');
      return action();
    });
    this.#queue = result.catch(() => undefined);
    return result.catch((error) => {
      throw asSamError(error);
    });
  }
}

/** On a busy machine an answer takes seconds; a commit that came before its click would be lost. */
const FLUSH_PATIENCE_MS = 10_000;

function promptsAfter(prompts: readonly Prompt[], event: ViewerEvent): readonly Prompt[] {
  // That of the button that means "not this" is drawn when it is shown.
  if (event.kind === 'prompt-added') return event.negative ? prompts : [...prompts, event.prompt];
  if (event.kind === 'prompt-removed') return prompts.filter(({ id }) => id !== event.id);
  if (event.kind !== 'prompt-changed') return prompts;
  return prompts.map((prompt) => (prompt.id === event.prompt.id ? event.prompt : prompt));
}
