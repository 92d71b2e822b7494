import type BaseLayer from 'ol/layer/Base.js';

/** The functions that a caller gets for a layer; `_rintf` lets each be called more than once over RPC. */
export interface LayerApi {
  readonly _rintf: true;
  readonly name: string;
  readonly id: string;
  [method: string]: unknown;
}

/**
 * A layer's functions for RPC. imjoy-rpc keeps whatever it has sent such an object for, and with it the layer's pixels,
 * until the object tells it that it is closed: `on` is not enumerable, so it is no function for callers.
 */
export function layerApi(functions: {
  readonly name: string;
  readonly id: string;
  [method: string]: unknown;
}): LayerApi {
  const api: LayerApi = { _rintf: true, ...functions };
  const hear = (event: string, closed: () => void) => {
    if (event === 'close') closings.set(api, [...(closings.get(api) ?? []), closed]);
  };
  return Object.defineProperty(api, 'on', { value: hear });
}

const closings = new WeakMap<LayerApi, readonly (() => void)[]>();

/** The layer is gone: nobody needs its functions any more. */
export function closeApi(api: LayerApi): void {
  for (const closed of closings.get(api) ?? []) closed();
  closings.delete(api);
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
