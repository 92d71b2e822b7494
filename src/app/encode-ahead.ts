import { encodePlane } from '../embeddings/encode-plane.js';
import type { ImageEmbeddings } from '../embeddings/image-embeddings.js';
import { pixelSignature } from '../embeddings/signature.js';
import type { ImageSource } from '../io/image.js';
import { FIRST_VIEW, isRecording, viewOfRecording } from '../io/recording.js';
import { tilesMeeting } from '../ndimage/blocking.js';
import type { AnnotationSession } from '../session/session.js';
import type { TaskOptions } from '../task.js';
import { defaultChannels, type Encoding, embeddingsOf, type ModelParts, settingsFor } from './encoding.js';
import { middlePlane } from './opened-image.js';

/**
 * Encodes planes ahead, with all their tiles; what is on screen first.
 *
 * @param planes all, if undefined: then the cache is complete
 */
export async function encodePlanes(
  embeddings: ImageEmbeddings,
  { state, view }: Pick<AnnotationSession, 'state' | 'view'>,
  planes: readonly number[] | undefined,
  { signal, onProgress }: TaskOptions,
  onPlane?: (plane: number) => void,
): Promise<void> {
  const wanted = planes ?? [...new Set([state.plane, ...Array(embeddings.planes).keys()])];
  const { tiling } = embeddings;
  const seen = tiling && view ? tilesMeeting(tiling, view) : [];
  const tiles = tiling ? [...new Set([...seen, ...tiling.tiles.keys()])] : [undefined];
  const total = wanted.length * tiles.length;
  let done = 0;
  for (const plane of wanted) {
    for (const tile of tiles) {
      signal?.throwIfAborted();
      await embeddings.embedding({ plane, tile }, { signal });
      onProgress?.({ done: ++done, total, message: `Encoded ${done} of ${total}` });
    }
    onPlane?.(plane);
  }
  if (!planes) await embeddings.finish();
}

/** Makes the embedding that an image will need when it is opened: of its first plane. Closes the image. */
export async function encodeFirstPlane(
  whole: ImageSource,
  before: Encoding,
  parts: ModelParts,
  signal?: AbortSignal,
): Promise<void> {
  const source = isRecording(whole) ? viewOfRecording(whole, FIRST_VIEW) : whole;
  const { encoding } = await settingsFor(parts.store, await pixelSignature(whole, {}, { signal }), before);
  const embeddings = await embeddingsOf({ source }, defaultChannels(source), encoding, parts, signal);
  try {
    await encodePlane(embeddings, middlePlane(source), { signal });
  } finally {
    embeddings.close();
    await whole.close();
  }
}
