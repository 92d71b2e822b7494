import type BaseLayer from 'ol/layer/Base.js';

/** The functions that a caller gets for a layer; `_rintf` lets each be called more than once over RPC. */
export interface LayerApi {
  readonly _rintf: true;
  readonly name: string;
  readonly id: string;
  [method: string]: unknown;
}

/** A layer's functions for RPC. */
export function layerApi(functions: {
  readonly name: string;
  readonly id: string;
  [method: string]: unknown;
}): LayerApi {
  return { _rintf: true, ...functions };
}

/**
 * The layer is gone: what still calls it does nothing. imjoy-rpc keeps the objects that it has sent for ever, so the
 * functions, and with them the layer and its pixels, are taken out of this one.
 */
export function closeApi(api: LayerApi): void {
  for (const [name, value] of Object.entries(api)) if (typeof value === 'function') api[name] = () => undefined;
}

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

/** [r, g, b] of '#rrggbb'. */
export function rgbOf(color: number): readonly [number, number, number] {
  return [color >> 16, (color >> 8) & 255, color & 255];
}
