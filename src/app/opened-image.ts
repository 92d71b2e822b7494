import type { ImageEmbeddings } from '../embeddings/image-embeddings.js';
import { pixelSignature } from '../embeddings/signature.js';
import { type ImageSource, planeCount } from '../io/image.js';
import type { PixelSize } from '../io/pixel-size.js';
import { FIRST_VIEW, isRecording, nameOfView, type RecordingView, viewOfRecording } from '../io/recording.js';
import type { Store } from '../io/store.js';
import { prefixStore } from '../io/stores/prefix.js';
import { ImageDisplay } from '../presenter/image/image-display.js';
import type { Annotator } from '../session/annotator.js';
import type { ImageInfo, SessionState } from '../session/state.js';
import type { TaskOptions } from '../task.js';
import {
  builtInModelOf,
  type EncodedImage,
  type Encoding,
  embeddingsOf,
  type ModelParts,
  settingsFor,
} from './encoding.js';
import type { SavedImage } from './saved-image.js';

/** The image that is open in a workspace, with all that belongs to it. */
export interface OpenedImage extends EncodedImage {
  /** What was opened. */
  readonly whole: ImageSource;
  /** Signature of its pixels. */
  readonly pixels: string;
  /** Of a recording with time and depth, the part that is annotated. */
  readonly view?: RecordingView;
  /** What is annotated: the whole, or that part. */
  readonly source: ImageSource;
  readonly embeddings: ImageEmbeddings;
  readonly channels: readonly number[] | undefined;
  readonly display: ImageDisplay;
  /** As somebody stated it; undefined: as the file says. What is shown, exported and remembered is told from here. */
  pixelSize: PixelSize | undefined;
  /** What segments it, as the settings have it. */
  readonly annotate: (state: Pick<SessionState, 'settings'>) => Annotator;
  readonly saved: SavedImage;
}

/** An image with what is read and computed before it is shown. */
export interface ReadyImage extends Omit<OpenedImage, 'annotate' | 'saved'> {
  readonly image: ImageInfo;
  /** How it goes to the model. */
  readonly encoding: Encoding;
}

export interface ReadyOptions {
  /** How the image before it went to the model. */
  readonly encoding: Encoding;
  /** That the model is given; undefined: all. */
  readonly channels: readonly number[] | undefined;
  /** Of a recording with time and depth. */
  readonly view?: RecordingView;
  /** Where somebody keeps its embeddings. */
  readonly embeddings?: Store;
}

/** @param onPicture told when its picture is another */
export async function makeReady(
  whole: ImageSource,
  { encoding: before, channels, view: wanted, embeddings: kept }: ReadyOptions,
  parts: ModelParts,
  onPicture: () => void,
  task: TaskOptions,
): Promise<ReadyImage> {
  const { signal } = task;
  const view = isRecording(whole) ? (wanted ?? FIRST_VIEW) : undefined;
  const source = view ? viewOf(whole, view) : whole;
  const { store } = parts;
  // Work belongs to the image's pixels, whichever of its channels are looked at.
  const pixels = await pixelSignature(whole, {}, task);
  const signature = view ? `${pixels}-${nameOfView(view)}` : pixels;
  const { encoding, pixelSize } = await settingsFor(store, pixels, before);
  const keptModel = kept && (await builtInModelOf(kept));
  const stored = { ...(kept && { kept }), ...(keptModel !== undefined && { keptModel }) };
  const embeddings = await embeddingsOf({ source, ...stored }, channels, encoding, parts, signal);
  signal?.throwIfAborted();
  const image: ImageInfo = {
    name: source.name,
    axes: source.axes,
    size: embeddings.size,
    planes: planeCount(source),
    ...(source.absentPlanes && { absentPlanes: source.absentPlanes }),
    ...(view && { recording: { times: whole.sizes.t, slices: whole.sizes.z, view } }),
    signature,
  };
  const display = await ImageDisplay.open(source, {
    // Contrast and colours are those of the whole recording.
    signature: pixels,
    ...(view && { measured: whole }),
    store: prefixStore(store, 'display'),
    onChanged: onPicture,
    signal,
  });
  signal?.throwIfAborted();
  return {
    whole,
    pixels,
    ...(view && { view }),
    ...stored,
    source,
    embeddings,
    channels,
    display,
    pixelSize,
    encoding,
    image,
  };
}

/** Parts of recordings: one object for each, so that what is known of its pixels is known again. */
const views = new WeakMap<ImageSource, Map<string, ImageSource>>();

function viewOf(whole: ImageSource, view: RecordingView): ImageSource {
  const known = views.get(whole) ?? new Map<string, ImageSource>();
  views.set(whole, known);
  const name = nameOfView(view);
  const source = known.get(name) ?? viewOfRecording(whole, view);
  known.set(name, source);
  return source;
}

/** Ends what belongs to it, after a last write. */
export async function closeImage({ saved, display, embeddings }: OpenedImage): Promise<void> {
  await saved.close();
  await display.close();
  embeddings.close();
}

/** Of what was made ready and is not shown; its pixels may be those of the image that is open. */
export async function giveUp({ embeddings, display }: Pick<OpenedImage, 'embeddings' | 'display'>): Promise<void> {
  embeddings.close();
  await display.close();
}

/** Where a volume is looked at first: most stacks begin and end with little in them. */
export function middlePlane(source: ImageSource): number {
  const { axes, sizes, absentPlanes = [] } = source;
  if (axes !== 'zyx') return 0;
  const present = Array.from({ length: sizes.z }, (_, plane) => plane).filter((plane) => !absentPlanes.includes(plane));
  return present[Math.floor(present.length / 2)] ?? 0;
}
