import type { Tensor, YX } from '../ndimage/array.js';
import type { CommandId } from '../session/commands/commands.js';
import type { ImageInfo } from '../session/state.js';
import type { PanelModel } from './panel/panel.js';
import type { ChannelValue } from './readout.js';
import type { SectionSource } from './sections/section-view.js';
import type { PlaneRenderer, ViewChannel, ViewerEvent } from './viewer.js';

/** What a presenter is given by the application: pictures of the open image, and what is to be done outside of the session. */
export interface PresenterOptions {
  /** The picture of a plane, [H, W, 3] uint8 RGB, with contrast applied. */
  readonly readPixels: (image: ImageInfo, plane: number) => Promise<Tensor<Uint8Array>>;
  /** The same for what is on screen of a plane too large to send whole; used where the viewer can ask for it. */
  readonly renderer?: (image: ImageInfo, plane: number) => PlaneRenderer;
  /** For the viewer's contrast controls, where it has them. */
  readonly channels?: () => readonly ViewChannel[];
  readonly onChannel?: (change: Extract<ViewerEvent, { kind: 'channel' }>) => void;
  /** Physical size of a pixel, for a scale bar. */
  readonly scale?: () => { readonly size: number; readonly unit: string } | undefined;
  /** Values of all channels at a pixel [y, x]. */
  readonly valuesAt?: (plane: number, at: YX) => Promise<readonly ChannelValue[]>;
  /** For the sections of a volume, where the viewer can show them. */
  readonly sections?: () => SectionSource | undefined;
  /** Another time point or slice of a recording with time and depth was asked for. */
  readonly onOtherAxis?: (at: number) => void;
  /** Draws the panel; called when it changed. */
  readonly onPanel?: (panel: PanelModel) => void;
  /** Lines for the panel that the session does not know: model, provider. */
  readonly facts?: () => readonly string[];
  /** What the command table leaves to the application: opening files, saving, help. */
  readonly actions?: Partial<Record<CommandId, () => void | Promise<void>>>;
  readonly onFiles?: (files: readonly File[]) => void;
  readonly onClosed?: () => void;
}
