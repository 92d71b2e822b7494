import type { ModelSpec } from '../model/model-spec.js';
import type { SessionSettings } from '../session/state.js';

export interface PageFile {
  readonly name: string;
  readonly url: string;
  /** What its results are called, before what their format adds. */
  readonly result?: string;
  /** What its embeddings are called in the folder of embeddings. */
  readonly embeddings?: string;
  /** Of a time series in several files, the addresses of all; `url` is the first. */
  readonly frames?: readonly string[];
  /** Address of a label image whose objects the image begins with. */
  readonly labels?: string;
  /** Files of tracks to begin with: of the Cell Tracking Challenge, or a table of napari with its graph. */
  readonly tracks?: readonly { readonly name: string; readonly url: string }[];
}

/**
 * What a page is told by whoever opens it: `npm start` gives all of it, ImJoy elsewhere little or nothing. Plain data,
 * it crosses RPC.
 */
export interface PageSettings {
  /** Address of the viewer page; the public Kaibu if absent. */
  readonly viewer?: string;
  /** Why the viewer is not the one that was asked for. */
  readonly viewerNote?: string;
  /** Images to annotate, in order. */
  readonly files?: readonly PageFile[];
  /** What names the files as a series, so that it is found again when there are more of them. */
  readonly seriesKey?: string;
  /** Models of the machine that serves the page, which the list has besides the built-in ones. */
  readonly models?: readonly ModelSpec[];
  /** Name of the model to begin with. */
  readonly model?: string;
  /** WebSocket address of an encoder process, token included. */
  readonly worker?: string;
  /** Why there is no such process although one was wanted. */
  readonly workerNote?: string;
  /** How a stack is taken at first: as a volume, a time series, single planes, or by its axes. */
  readonly annotator?: SessionSettings['annotator'];
  /** A folder of the server for results. */
  readonly output?: { readonly url: string; readonly token: string };
  /** A folder of the server with embeddings that were computed before, in micro-sam's format. */
  readonly embeddings?: { readonly url: string; readonly token: string };
  /** A folder of the server for autosave; the browser's own storage if absent. */
  readonly autosave?: { readonly url: string; readonly token: string };
  /** WebSocket address where the server tells which window saves the work on an image. */
  readonly leases?: { readonly url: string; readonly token: string };
  /** WebSocket address where the server trains models; the page itself does if absent. */
  readonly training?: { readonly url: string; readonly token: string };
}
