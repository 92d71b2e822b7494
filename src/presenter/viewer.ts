import type { Size, Tensor, YX, YXYX } from '../ndimage/array.js';
import type { Mask } from '../ndimage/mask.js';
import type { Prompt } from '../segmentation/prompts.js';
import type { ObjectLayerName, Tool } from '../session/state.js';

/**
 * All that the presenter asks of a viewer. Kaibu is one (plugin/kaibu/), the test double another; each passes
 * tests/contracts/viewer.ts. All coordinates are image pixels (y, x) with row 0 on top: the viewer converts.
 */
export interface Viewer {
  /** Shows a plane: `pixels` is [H, W, 3] uint8 RGB after contrast. Keeps zoom when `size` and `name` are unchanged. */
  showImage(name: string, pixels: Tensor<Uint8Array>): Promise<void>;
  /**
   * For a plane too large to send whole: the viewer asks for what is on screen, when it needs it. Calling it again with
   * the same name and size repaints, with the new renderer, and keeps zoom.
   */
  showLargeImage?(name: string, size: Size, render: PlaneRenderer): Promise<void>;
  /** Replaces what the layer shows. */
  showObjects(layer: ObjectLayerName, objects: readonly ViewObject[]): Promise<void>;
  showPrompts(prompts: readonly Prompt[]): Promise<void>;
  /** Prompts of objects that are closed and whose masks are still to come: marks that take no click. */
  showClosing?(prompts: readonly Prompt[]): Promise<void>;
  /** Resolves when all events of what was done in the viewer so far have been sent. */
  flush?(): Promise<void>;
  /** Lines over the image: the way of each tracked object so far. Replaces what was shown. */
  showTracks?(tracks: readonly ViewTrack[]): Promise<void>;
  /** Thin outlines where the image is cut into tiles; none removes them. */
  showTiles?(tiles: readonly YXYX[]): Promise<void>;
  /** A temporary outline under the pointer; undefined removes it. */
  showPreview(mask: Mask | undefined): Promise<void>;
  setTool(tool: ViewerTool): Promise<void>;
  setLayerVisible(layer: ObjectLayerName | 'prompts' | 'image', visible: boolean): Promise<void>;
  /**
   * Through the planes; `other` is the second axis of a recording with time and depth. What it is set to here is not
   * told as an event of the hand.
   */
  showPlaneSlider(slider: ViewSlider | undefined, other?: ViewSlider): Promise<void>;
  /** Buttons in the viewer itself, for when only the viewer is visible. */
  showCommands(commands: readonly ViewerCommand[]): Promise<void>;
  showBusy(busy: boolean): Promise<void>;
  /**
   * Controls for contrast, colour and visibility, where the viewer has them; it changes nothing itself but sends `channel`
   * events. No channels, no controls.
   */
  showChannels?(channels: readonly ViewChannel[]): Promise<void>;
  /** Pictures of a volume from the side, beside the image; undefined takes them away. */
  showSections?(sections: ViewSections | undefined): Promise<void>;
  /** Moves the view, where the viewer lets others do so. */
  moveView?(move: ViewMove): Promise<void>;
  /** A line about what is under the pointer; undefined removes it. */
  showReadout?(text: string | undefined): Promise<void>;
  /** Physical size of an image pixel, for a scale bar; undefined if unknown. */
  showScale?(scale: { size: number; unit: string } | undefined): Promise<void>;
  /** PNG bytes. */
  screenshot?(): Promise<Uint8Array>;
  /** The first listener also hears what was done before it came: all of it, but of moves of pointer and view the last. */
  on(listener: (event: ViewerEvent) => void): () => void;
  readonly capabilities: ViewerCapabilities;
  close(): Promise<void>;
}

/** RGB [h, w, 3] after contrast of the part `box` of the plane (image pixels, fractions allowed), sampled to `size` = [h, w]. */
export type PlaneRenderer = (box: YXYX, size: Size) => Promise<Tensor<Uint8Array>>;

export interface ViewSlider {
  readonly count: number;
  readonly at: number;
  readonly axis: 'z' | 't';
}

export interface ViewObject {
  readonly id: number;
  /** '#rrggbb' */
  readonly color: string;
  readonly mask: Mask;
}

export interface ViewTrack {
  readonly id: string;
  /** '#rrggbb' */
  readonly color: string;
  /** Earliest place first. */
  readonly path: readonly YX[];
}

export interface ViewSections {
  /** The place they go through: slice, and pixel of the image. */
  readonly at: readonly [z: number, y: number, x: number];
  /** Slices, and size of the image. */
  readonly shape: readonly [z: number, y: number, x: number];
  /** Distance of slices in pixels of the image. */
  readonly spacing: number;
  /** RGB [slices, columns, 3] of the row y; the columns are spread evenly over the width of the image. */
  readonly xz: Tensor<Uint8Array>;
  /** RGB [rows, slices, 3] of the column x. */
  readonly yz: Tensor<Uint8Array>;
}

/** A factor above 1 to enlarge; all of the image; or by parts of what is on screen, down and to the right. */
export type ViewMove = { readonly zoom: number } | { readonly fit: true } | { readonly by: YX };

export interface ViewChannel {
  readonly name: string;
  /** '#rrggbb'; absent for grey pictures, which have no colour to choose. */
  readonly color?: string;
  readonly limits: readonly [low: number, high: number];
  /** Ends of the sliders. */
  readonly range: readonly [low: number, high: number];
  readonly visible: boolean;
}

export interface ViewerCommand {
  readonly id: string;
  readonly title: string;
}

export interface ViewerTool {
  readonly kind: Tool;
  readonly positive: boolean;
  readonly brushSize: number;
}

export interface ViewerCapabilities {
  /** The viewer reports pointer moves (hover preview works). */
  readonly pointer: boolean;
  /** The viewer reports brush strokes. */
  readonly painting: boolean;
}

/** An event; `time` is when the hand moved, in milliseconds since the epoch, where the viewer knows. */
export type ViewerEvent = ViewerAction & { readonly time?: number };

type ViewerAction =
  /** `negative`: drawn with the button that is for negative points; else the sign is that of the tool in hand. */
  | { readonly kind: 'prompt-added'; readonly prompt: Prompt; readonly negative?: true }
  | { readonly kind: 'prompt-changed'; readonly prompt: Prompt }
  | { readonly kind: 'prompt-removed'; readonly id: string }
  /** What was drawn or moved is no prompt, and has been taken away or put back. */
  | { readonly kind: 'prompt-refused'; readonly why: 'outside' | 'empty' }
  /** `extend`: with Shift held, to choose it beside others. */
  | { readonly kind: 'object-picked'; readonly layer: ObjectLayerName; readonly id: number; readonly extend?: true }
  /** A box dragged with Shift held, over objects to be chosen. */
  | { readonly kind: 'band'; readonly box: YXYX }
  | {
      readonly kind: 'object-edited';
      readonly layer: ObjectLayerName;
      readonly id: number;
      readonly rings: readonly (readonly YX[])[];
    }
  | {
      readonly kind: 'painted';
      readonly tool: 'brush' | 'eraser' | 'fill' | 'split' | 'scribble';
      readonly path: readonly YX[];
      readonly radius: number;
    }
  | { readonly kind: 'pointer'; readonly at: YX | undefined }
  | { readonly kind: 'plane'; readonly plane: number }
  /** Another place along the second axis of a recording. */
  | { readonly kind: 'other-axis'; readonly at: number }
  /** A place chosen in a section; `click`: with the tool in hand, or with the button that is for negative points. */
  | { readonly kind: 'section'; readonly at: ViewSections['at']; readonly click?: 'tool' | 'negative' }
  | {
      /** What the user changed of a channel; 'auto' asks for the 1st to the 99th percentile. */
      readonly kind: 'channel';
      readonly index: number;
      readonly limits?: readonly [low: number, high: number] | 'auto';
      readonly color?: string;
      readonly visible?: boolean;
    }
  | { readonly kind: 'view'; readonly box: YXYX }
  | {
      readonly kind: 'key';
      readonly code: string;
      readonly ctrl: boolean;
      readonly shift: boolean;
      readonly alt: boolean;
    }
  | { readonly kind: 'command'; readonly id: string }
  | { readonly kind: 'files-dropped'; readonly files: readonly File[] }
  | { readonly kind: 'closed' };
