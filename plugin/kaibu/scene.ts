import { present } from '../../src/items.js';
import type { Size, Tensor, YX, YXYX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import type { PlaneRenderer, ViewerEvent, ViewerTool, ViewTrack } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { ObjectLayerName } from '../../src/session/state.js';
import { type Dispose, Handed, letGo } from '../remote-functions.js';
import type { ViewerExtras } from '../viewer/protocol.js';
import { within } from './callbacks.js';
import type { Outline } from './geometry.js';
import { type ImageOnScreen, remoteConfig, showPlane } from './image.js';
import { closingMark, MarkLayer, tileOutline, trackLine } from './mark-layer.js';
import { LabelObjects, type ObjectsOnScreen, PolygonObjects } from './object-layers.js';
import { NEGATIVE, PICK, POSITIVE, type PromptContext, PromptLayer, STROKE } from './prompt-layer.js';
import type { KaibuWindow } from './window.js';

/** From bottom to top, above the image. Scripts look layers up by these names. */
const OBJECT_LAYERS: readonly ObjectLayerName[] = ['committed_objects', 'auto_segmentation', 'current_object'];

export interface SceneContext {
  readonly extras: ViewerExtras | undefined;
  readonly dispose?: Dispose;
  plane(): number;
  emit(event: ViewerEvent): void;
  pick(at: YX): void;
}

/** The layers of one image in the viewer: image, three of objects, a preview, shapes and points. */
export class Scene {
  readonly size: Size;
  readonly #window: KaibuWindow;
  readonly #name: string;
  readonly #context: SceneContext;
  readonly #handed = new Handed();
  readonly #received: unknown[] = [];
  readonly #objects = new Map<ObjectLayerName, ObjectsOnScreen>();
  #image: ImageOnScreen | undefined;
  #preview: ObjectsOnScreen | undefined;
  #shapes: PromptLayer | undefined;
  #points: PromptLayer | undefined;
  readonly #tracks: MarkLayer;
  readonly #tiles: MarkLayer;
  readonly #closing: MarkLayer;
  /** The one that takes what is drawn with the present tool. */
  #drawn: PromptLayer | undefined;
  #render: PlaneRenderer | undefined;
  #shape: Outline = 'box';
  /** Paints, splits or fills, in a viewer that knows nothing of it. */
  #painting: PaintingTool | undefined;

  constructor(window: KaibuWindow, name: string, size: Size, context: SceneContext) {
    this.#window = this.#remembering(window);
    this.#name = name;
    this.size = size;
    this.#context = context;
    this.#tracks = new MarkLayer(this.#window, 'tracks', context.emit, this.#handed.hand);
    this.#tiles = new MarkLayer(this.#window, 'tiles', context.emit, this.#handed.hand);
    this.#closing = new MarkLayer(this.#window, 'closing', context.emit, this.#handed.hand);
  }

  /** Its layers are gone: nothing is heard of them any more, and nothing asked. */
  close(): void {
    this.#handed.release();
    for (const layer of this.#received.splice(0)) letGo(layer, this.#context.dispose);
  }

  /** The window, whose layers are remembered. */
  #remembering(window: KaibuWindow): KaibuWindow {
    const taken = async <T>(layer: Promise<T>): Promise<T> => {
      this.#received.push(await layer);
      return layer;
    };
    return {
      ...window,
      view_image: (...args) => taken(window.view_image(...args)),
      add_shapes: (...args) => taken(window.add_shapes(...args)),
      add_layer: (...args) => taken(window.add_layer(...args)),
      get_layer: (...args) => taken(window.get_layer(...args)),
    };
  }

  shows(name: string, [height, width]: Size): boolean {
    return this.#name === name && this.size[0] === height && this.size[1] === width;
  }

  async addPlane(pixels: Tensor<Uint8Array>): Promise<void> {
    const canSetImage = this.#context.extras?.set_image === true;
    this.#image = await showPlane(this.#window, 'image', pixels, canSetImage, () => this.#repaint(), this.#handed.hand);
  }

  async addRendered(render: PlaneRenderer): Promise<void> {
    this.#render = render;
    const current: PlaneRenderer = (box, size) => present(this.#render, 'a renderer')(box, size);
    const adding = within(
      this.#window.add_layer(remoteConfig('image', this.size, current, this.#handed.hand)),
      'add_layer',
      3000,
    );
    // Kaibu answers with OpenLayers' own object, which may take longer to send than the layer to appear.
    await (this.#context.extras ? adding : adding.catch(() => undefined));
  }

  async update(pixels: Tensor<Uint8Array>): Promise<void> {
    await this.#image?.update(pixels);
    // Kaibu gets a second image layer the first time, which takes the selection.
    if (!this.#context.extras) await this.#selectDrawn();
  }

  async rerender(render: PlaneRenderer): Promise<void> {
    this.#render = render;
    await this.#repaint();
  }

  async addLayers(): Promise<void> {
    const { extras, emit } = this.#context;
    const { hand } = this.#handed;
    const size = [this.size[1], this.size[0]] as const;
    for (const name of OBJECT_LAYERS) {
      const pick_callback = (id: number, extend = false) =>
        emit({ kind: 'object-picked', layer: name, id, ...(extend && { extend }) });
      this.#objects.set(
        name,
        extras?.labels
          ? await LabelObjects.create(
              this.#window,
              { type: 'labels', name, size, pick_callback, dashed: name === 'auto_segmentation' },
              hand,
            )
          : await PolygonObjects.create(this.#window, name, this.size, emit, hand),
      );
    }
    if (extras?.labels)
      this.#preview = await LabelObjects.create(
        this.#window,
        {
          type: 'labels',
          name: 'preview',
          size,
          outline: true,
          opacity: 0.9,
          listed: false,
        },
        hand,
      );
    // Kaibu selects every layer that is added: not while somebody clicks.
    if (!extras) await this.#closing.create();
    this.#shapes = await PromptLayer.create(this.#window, 'prompts', () => this.#promptContext(), hand);
    this.#points = await PromptLayer.create(this.#window, 'point_prompts', () => this.#promptContext(), hand);
  }

  /** Undefined until the layers are added. */
  objects(layer: ObjectLayerName): ObjectsOnScreen | undefined {
    return this.#objects.get(layer);
  }

  async showPrompts(prompts: readonly Prompt[]): Promise<void> {
    // Both at once: what is drawn meanwhile in the one that waited would be unknown to it.
    await Promise.all([
      this.#points?.show(prompts.filter(({ kind }) => kind === 'point')),
      this.#shapes?.show(prompts.filter(({ kind }) => kind !== 'point')),
    ]);
  }

  async showClosing(prompts: readonly Prompt[]): Promise<void> {
    await this.#closing.show(prompts.map((prompt) => closingMark(prompt, this.size[0])));
  }

  /** Reports what was moved and is still waited for. */
  reportMoves(): void {
    this.#points?.reportMoves();
    this.#shapes?.reportMoves();
  }

  async showTracks(tracks: readonly ViewTrack[]): Promise<void> {
    const lines = tracks.map((track) => trackLine(track, this.size[0]));
    if (await this.#tracks.show(lines)) await this.#selectDrawn();
  }

  async showTiles(tiles: readonly YXYX[]): Promise<void> {
    const lines = tiles.map((tile) => tileOutline(tile, this.size[0]));
    if (await this.#tiles.show(lines)) await this.#selectDrawn();
  }

  async showPreview(mask: Mask | undefined): Promise<void> {
    await this.#preview?.show(mask && mask.area > 0 ? [{ id: 1, color: '#ffffff', mask }] : []);
  }

  /** Drawing happens in the selected layer, and every added layer takes the selection: so it is set anew each time. */
  async setTool({ kind, positive, brushSize }: ViewerTool): Promise<void> {
    if (!this.#points || !this.#shapes) return;
    const { extras } = this.#context;
    const painting = isPainting(kind) ? ({ tool: kind, radius: brushSize } as const) : undefined;
    if (this.#window.set_tool && extras?.painting)
      await within(this.#window.set_tool({ kind: painting?.tool ?? 'none', radius: brushSize }), 'set_tool');
    const outlines = kind === 'box' || kind === 'polygon' || kind === 'corners' || kind === 'ellipse';
    if (outlines) this.#shape = kind === 'corners' ? 'polygon' : kind;
    // Without clicks and strokes of its own, the viewer reports them as points and lines that are taken away at once.
    this.#painting = extras ? undefined : painting;
    const picks = !extras && (kind === 'pan' || kind === 'fill');
    const strokes = !extras && painting !== undefined && !picks;
    const color = positive ? POSITIVE : NEGATIVE;
    await this.#points.configure({
      draw_enable: kind === 'point' || picks,
      draw_shape_type: 'Point',
      draw_label: picks ? PICK : positive ? 'positive' : 'negative',
      draw_edge_color: color,
      draw_face_color: positive ? 'rgba(46, 230, 107, 0.08)' : 'rgba(255, 77, 77, 0.08)',
    });
    await this.#shapes.configure({
      draw_enable: outlines || strokes,
      draw_freehand: kind !== 'corners',
      // Kaibu has no ellipse: one is drawn as its box and becomes round when it is finished.
      draw_shape_type: strokes
        ? 'LineString'
        : kind === 'polygon' || kind === 'corners'
          ? 'Polygon'
          : kind === 'ellipse' && extras
            ? 'Ellipse'
            : 'Rectangle',
      draw_label: strokes ? STROKE : 'positive',
    });
    this.#drawn = outlines || strokes ? this.#shapes : this.#points;
    await this.#selectDrawn();
  }

  async #selectDrawn(): Promise<void> {
    if (this.#drawn) await within(this.#window.select_layer({ id: this.#drawn.id }), 'select_layer');
  }

  async setVisible(layer: ObjectLayerName | 'prompts' | 'image', visible: boolean): Promise<void> {
    if (layer === 'prompts') {
      await this.#points?.configure({ visible });
      await this.#shapes?.configure({ visible });
    } else if (layer === 'image') {
      // Kaibu gives no hold on its image layers.
      if (this.#context.extras) await within(this.#window.set_layer_visible?.('image', visible), 'set_layer_visible');
    } else await this.#objects.get(layer)?.setVisible(visible);
  }

  /** Kaibu's remote layers are asked again when the map is painted, which a change of a vector layer brings about. */
  async #repaint(): Promise<void> {
    const layer = (await within(this.#window.get_layer('image'), 'get_layer')) as {
      refresh?(): Promise<unknown>;
    } | null;
    if (this.#context.extras && layer?.refresh) await within(layer.refresh(), 'refresh');
    else await this.#shapes?.configure({});
  }

  #promptContext(): PromptContext {
    return {
      size: this.size,
      plane: this.#context.plane(),
      shape: this.#shape,
      pick: (at) => (this.#painting ? this.#paint(this.#painting, [at]) : this.#context.pick(at)),
      stroke: (path) => this.#painting && this.#paint(this.#painting, path),
      emit: this.#context.emit,
    };
  }

  #paint(tool: PaintingTool, path: readonly YX[]): void {
    this.#context.emit({ kind: 'painted', ...tool, path });
  }
}

type Painted = Extract<ViewerEvent, { kind: 'painted' }>;
type PaintingTool = Pick<Painted, 'tool' | 'radius'>;

function isPainting(kind: ViewerTool['kind']): kind is Painted['tool'] {
  return kind === 'brush' || kind === 'eraser' || kind === 'fill' || kind === 'split' || kind === 'scribble';
}
