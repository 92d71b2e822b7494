import type BaseLayer from 'ol/layer/Base.js';
import type { RemoteFunctions } from '../../remote-functions.js';

/** The functions that a caller gets for a layer. Once it is gone, what still calls them does nothing. */
export type LayerApi = RemoteFunctions<{
  readonly name: string;
  readonly id: string;
  [method: string]: unknown;
}>;

/** What every kind of layer is to the map, the layer list and the RPC functions. */
export interface ViewerLayer {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly ol: BaseLayer;
  /** Shown in the layer list. */
  readonly listed: boolean;
  /** Whether the caller wants keys. */
  readonly hears?: boolean;
  readonly api: LayerApi;
  /** [width, height], for layers that define the image frame. */
  readonly size?: readonly [number, number];
  /** The selected layer draws and hears keys. */
  setSelected(selected: boolean): void;
  /** Controls of this kind of layer for the layer list. */
  options?(): HTMLElement;
  dispose(): void;
}

export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
