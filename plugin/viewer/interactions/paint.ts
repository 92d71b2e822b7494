import PointerInteraction from 'ol/interaction/Pointer.js';
import type MapBrowserEvent from 'ol/MapBrowserEvent.js';
import { pair } from '../coordinates.js';
import { isSpaceHeld } from '../held-space.js';
import { CanvasLayer, type Viewport } from '../layers/canvas-layer.js';
import type { PaintTool, StrokeEvent, ToolConfig } from '../protocol.js';
import type { Stage } from '../stage.js';
import { viewportOf } from '../surfaces.js';

const COLORS: Record<PaintTool, string> = {
  brush: '#3ddc84',
  eraser: '#ff5c5c',
  fill: '#4aa8ff',
  split: '#ffb000',
  scribble: '#2ee66b',
};

/** What is drawn is a line, whatever the width of the brush. */
const LINES: readonly ToolConfig['kind'][] = ['split', 'scribble'];

/** Brush, eraser, fill and the line that splits: shows the round brush and the stroke while it is drawn, then reports the stroke once. */
export class PaintInteraction extends PointerInteraction {
  readonly #stage: Stage;
  readonly #onStroke: (stroke: StrokeEvent) => void;
  readonly #layer: CanvasLayer;
  #tool: ToolConfig = { kind: 'none', radius: 0 };
  #path: (readonly [x: number, y: number])[] = [];
  #pointer: readonly [x: number, y: number] | undefined;

  constructor(stage: Stage, onStroke: (stroke: StrokeEvent) => void) {
    super();
    this.#stage = stage;
    this.#onStroke = onStroke;
    this.#layer = new CanvasLayer((context, view) => this.#show(context, view));
    this.#layer.setZIndex(10_000);
    stage.map.addLayer(this.#layer);
    viewportOf(stage.map).addEventListener('pointerleave', () => {
      this.#pointer = undefined;
      this.#layer.changed();
    });
    this.setTool(this.#tool);
  }

  get active(): boolean {
    return this.#tool.kind !== 'none';
  }

  setTool(tool: ToolConfig): void {
    this.#tool = tool;
    this.#path = [];
    this.setActive(this.active);
    this.#layer.setVisible(this.active);
    viewportOf(this.#stage.map).classList.toggle('painting', this.active);
  }

  override handleDownEvent(event: MapBrowserEvent<PointerEvent>): boolean {
    const { button, altKey, ctrlKey, shiftKey } = event.originalEvent;
    if (!this.active || button !== 0 || altKey || ctrlKey || shiftKey || isSpaceHeld()) return false;
    this.#path = [pair(event.coordinate)];
    this.#layer.changed();
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent<PointerEvent>): void {
    this.#pointer = pair(event.coordinate);
    if (this.#tool.kind !== 'fill') this.#path.push(this.#pointer);
    this.#layer.changed();
  }

  override handleMoveEvent(event: MapBrowserEvent<PointerEvent>): void {
    this.#pointer = pair(event.coordinate);
    this.#layer.changed();
  }

  override handleUpEvent(): boolean {
    const { kind, radius } = this.#tool;
    if (kind !== 'none' && this.#path.length > 0)
      this.#onStroke({ tool: kind, path: Float64Array.from(this.#path.flat()), radius });
    this.#path = [];
    this.#layer.changed();
    return false;
  }

  #show(context: CanvasRenderingContext2D, view: Viewport): void {
    const { kind, radius } = this.#tool;
    if (kind === 'none') return;
    const onCanvas = ([x, y]: readonly [number, number]) =>
      [(x - view.left) * view.scale, (view.top - y) * view.scale] as const;
    const [first] = this.#path;
    if (first && kind !== 'fill') {
      context.globalAlpha = 0.5;
      context.strokeStyle = COLORS[kind];
      context.lineWidth = LINES.includes(kind) ? 2 : 2 * radius * view.scale;
      context.lineCap = 'round';
      context.lineJoin = 'round';
      context.beginPath();
      context.moveTo(...onCanvas(first));
      for (const place of this.#path) context.lineTo(...onCanvas(place));
      context.stroke();
      context.globalAlpha = 1;
    }
    if (!this.#pointer) return;
    const size = kind === 'fill' || LINES.includes(kind) ? 4 : Math.max(1.5, radius * view.scale);
    for (const [color, width] of [
      ['rgba(0, 0, 0, 0.7)', 3],
      [COLORS[kind], 1.5],
    ] as const) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.arc(...onCanvas(this.#pointer), size, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
