import { UntilHeard } from '../../plugin/until-heard.js';
import { SamError } from '../../src/errors.js';
import type { Size, Tensor } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import type {
  PlaneRenderer,
  Viewer,
  ViewerCapabilities,
  ViewerCommand,
  ViewerEvent,
  ViewerTool,
  ViewObject,
} from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { ObjectLayerName } from '../../src/session/state.js';

/** A viewer without a screen: keeps what it is told to show, and says what a hand would do with `act`. */
export class FakeViewer implements Viewer {
  readonly capabilities: ViewerCapabilities = { pointer: true, painting: true };
  image?: { readonly name: string; readonly pixels: Tensor<Uint8Array> };
  readonly layers: Record<ObjectLayerName, readonly ViewObject[]> = {
    current_object: [],
    auto_segmentation: [],
    committed_objects: [],
  };
  prompts: readonly Prompt[] = [];
  private readonly drawn: Prompt[] = [];
  preview?: Mask;
  tool?: ViewerTool;
  slider?: { count: number; at: number; axis: 'z' | 't' };
  commands: readonly ViewerCommand[] = [];
  busy = false;
  closed = false;
  readonly visible: Record<string, boolean> = {};
  /** Names of the calls, in order. */
  readonly calls: string[] = [];
  /** Before each call; may throw or wait. */
  before: (call: string) => Promise<void> = async () => {};
  /** Tells its own writes to its listeners, as some viewers do. */
  echoes = false;
  private readonly events = new UntilHeard<ViewerEvent>(({ kind }) =>
    kind === 'pointer' || kind === 'view' ? kind : undefined,
  );

  act(event: ViewerEvent): void {
    this.events.tell(event);
  }

  async showImage(name: string, pixels: Tensor<Uint8Array>): Promise<void> {
    await this.enter('showImage');
    this.image = { name, pixels };
  }

  async showLargeImage(name: string, size: Size, render: PlaneRenderer): Promise<void> {
    await this.enter('showLargeImage');
    this.image = { name, pixels: await render([0, 0, ...size], [2, 2]) };
  }

  async showObjects(layer: ObjectLayerName, objects: readonly ViewObject[]): Promise<void> {
    await this.enter(`showObjects ${layer}`);
    this.layers[layer] = objects;
  }

  async showPrompts(prompts: readonly Prompt[]): Promise<void> {
    const known = this.drawn.length;
    await this.enter('showPrompts');
    this.prompts = [...prompts, ...this.drawn.slice(known)];
    if (this.echoes) for (const prompt of prompts) this.act({ kind: 'prompt-added', prompt: structuredClone(prompt) });
  }

  /** As a hand draws it. */
  draw(prompt: Prompt): void {
    this.drawn.push(prompt);
    this.prompts = [...this.prompts, prompt];
    this.act({ kind: 'prompt-added', prompt });
  }

  async showPreview(mask: Mask | undefined): Promise<void> {
    await this.enter('showPreview');
    this.preview = mask;
  }

  async setTool(tool: ViewerTool): Promise<void> {
    await this.enter('setTool');
    this.tool = tool;
  }

  async setLayerVisible(layer: ObjectLayerName | 'prompts' | 'image', visible: boolean): Promise<void> {
    await this.enter('setLayerVisible');
    this.visible[layer] = visible;
  }

  async showPlaneSlider(slider: { count: number; at: number; axis: 'z' | 't' } | undefined): Promise<void> {
    await this.enter('showPlaneSlider');
    this.slider = slider;
  }

  async showCommands(commands: readonly ViewerCommand[]): Promise<void> {
    await this.enter('showCommands');
    this.commands = commands;
  }

  async showBusy(busy: boolean): Promise<void> {
    await this.enter('showBusy');
    this.busy = busy;
  }

  on(listener: (event: ViewerEvent) => void): () => void {
    return this.events.on(listener);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.act({ kind: 'closed' });
  }

  private async enter(call: string): Promise<void> {
    this.calls.push(call);
    if (this.closed) throw new SamError('not_found', 'The viewer was closed.');
    await this.before(call);
  }
}
