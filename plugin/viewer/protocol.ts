import type { ViewChannel } from '../../src/presenter/viewer.js';
import type { Extent } from './coordinates.js';

/**
 * What this viewer says over RPC beyond Kaibu's own functions. A caller learns of it through `get_capabilities()`; a viewer
 * without that function has none of it. Everything here is plain data in x, y with y up, as in the rest of Kaibu's API,
 * except label objects, which are pixel runs and so keep rows counted from the top.
 */
export interface ViewerExtras {
  /** Version of this list. */
  readonly version: 1;
  /** `set_listeners` reports pointer moves. */
  readonly pointer: boolean;
  /** `set_listeners` reports clicks with the right button; keys and what is drawn say when that was. */
  readonly secondary: boolean;
  /** `set_tool` knows brush, eraser and fill, and `set_listeners` reports their strokes. */
  readonly painting: boolean;
  /** `add_layer({type: 'labels'})` exists. */
  readonly labels: boolean;
  /** A `2d-image` layer has an API with `set_image`, which keeps the view. */
  readonly set_image: boolean;
  /** `screenshot()` exists. */
  readonly screenshot: boolean;
  /** `set_scale` exists. */
  readonly scale: boolean;
  /** `set_channels` exists. */
  readonly channels: boolean;
  /** `set_sections` exists. */
  readonly sections: boolean;
  /** `move_view` exists. */
  readonly view: boolean;
  /** `set_readout` exists. */
  readonly readout: boolean;
}

/** One channel of `set_channels`; each carries `_rintf: true`. */
export interface ChannelControl extends ViewChannel {
  readonly change_callback: (change: ChannelChange) => void;
}

export interface ChannelChange {
  readonly limits?: readonly [low: number, high: number] | 'auto';
  readonly color?: string;
  readonly visible?: boolean;
}

/** Size of an image pixel, for the scale bar. */
export interface PixelScale {
  readonly size: number;
  readonly unit: string;
}

/**
 * An update of a label layer. `order` lists the ids of all objects that the layer shows afterwards, in painting order
 * (later ones lie on top); those in `ids` are new or changed, the others stay as they are. Object k of `ids` has the colour
 * 0xRRGGBB `colors[k]`, the box `boxes[4k..4k+3]` = y0, x0, y1, x1 (upper bounds exclusive, row 0 on top) and the run
 * lengths `runs[offsets[k]..offsets[k+1]]`, row-major over the box, background first.
 */
export interface LabelUpdate {
  readonly order: Uint32Array;
  readonly ids: Uint32Array;
  readonly colors: Uint32Array;
  readonly boxes: Int32Array;
  readonly offsets: Uint32Array;
  readonly runs: Uint32Array;
}

/** Config of `add_layer({type: 'labels', …})`. */
export interface LabelLayerConfig {
  readonly type: 'labels';
  readonly name: string;
  /** [width, height] of the image in pixels. */
  readonly size: readonly [number, number];
  readonly opacity?: number;
  /** Draw outlines only. */
  readonly outline?: boolean;
  /** Outlines are dashed, as of what is only proposed. */
  readonly dashed?: boolean;
  /** False keeps it out of the layer list and from answering clicks and hovers. */
  readonly listed?: boolean;
  /** A click on an object: with the pan tool, or with Alt held in any tool; or with Shift held, which `extend` says. */
  readonly pick_callback?: (id: number, extend?: boolean) => void;
}

/** Sections of a volume. A picture that is left out is the one before. */
export interface SectionConfig {
  /** Slice, row from the top, column. */
  readonly at: readonly [z: number, y: number, x: number];
  /** Slices, rows, columns. */
  readonly shape: readonly [z: number, y: number, x: number];
  /** Distance of slices in pixels. */
  readonly spacing: number;
  readonly xz?: SectionPicture;
  readonly yz?: SectionPicture;
}

/** RGB, rows from the top. */
export interface SectionPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export type PaintTool = 'brush' | 'eraser' | 'fill' | 'split' | 'scribble';

export interface ToolConfig {
  readonly kind: PaintTool | 'none';
  /** Radius in image pixels. */
  readonly radius: number;
}

export interface StrokeEvent {
  readonly tool: PaintTool;
  /** x, y pairs, y up. */
  readonly path: Float64Array;
  readonly radius: number;
}

/** What the `key_press_callback` of a vector layer gets. */
export interface LayerKey {
  readonly code: string;
  readonly meta_key: boolean;
  readonly ctrl_key: boolean;
  readonly shift_key: boolean;
  readonly alt_key: boolean;
  /** When it was pressed, in milliseconds since the epoch. Kaibu does not say. */
  readonly pressed_at?: number;
}

/** Callbacks of `set_listeners`; the object carries `_rintf: true` so that each may be called often. */
export interface ViewerListeners {
  /** A click with the right button, or with Ctrl held; with the time when it was, in milliseconds since the epoch. */
  readonly secondary?: (at: readonly [x: number, y: number], time: number) => void;
  readonly pointer?: (at: readonly [x: number, y: number] | null) => void;
  readonly stroke?: (stroke: StrokeEvent) => void;
  /** Visible part of the image: x0, y0, x1, y1. */
  readonly view?: (extent: Extent) => void;
  /** A box dragged with Shift held, over the image: x0, y0, x1, y1. */
  readonly band?: (extent: Extent) => void;
  readonly files?: (files: readonly File[]) => void;
  /** A place chosen in a section, as `SectionConfig.at`; `click`: by a click without a drag, of the left or right button. */
  readonly section?: (at: readonly [z: number, y: number, x: number], click?: 'tool' | 'negative') => void;
}
