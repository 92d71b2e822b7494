import { memoryBytes } from '../io/bytes.js';
import { type ImageInput, openImage } from '../io/open.js';
import { isRecording } from '../io/recording.js';
import type { EncodingChange } from '../service/engine.js';
import { paintLayer } from '../session/layers.js';
import { labelsOf } from '../session/loading/load-objects.js';
import type { TaskOptions } from '../task.js';
import type { AnnotatedImage } from '../training/annotated.js';
import { annotatedPlanes } from '../training/annotated-planes.js';
import { defaultChannels } from './encoding.js';
import type { Workspace } from './workspace.js';

/** What is committed on the open image and on those of its series that were left, as the model is shown them. */
export async function allAnnotated(
  workspace: Workspace,
  before: readonly LeftImage[] = [],
  task: TaskOptions = {},
): Promise<AnnotatedImage[]> {
  const images = await annotatedNow(workspace, task);
  for (const left of before) {
    task.signal?.throwIfAborted();
    // One that was moved or changed since is no reason to learn nothing.
    images.push(...(await annotatedBefore(left, workspace.encodingSettings, task).catch(() => [])));
  }
  return images;
}

/** Of a stack each plane with objects. */
async function annotatedNow(workspace: Workspace, { signal }: TaskOptions): Promise<AnnotatedImage[]> {
  const { session, source, channels } = workspace;
  const { image, layers } = session.state;
  if (!image || !source || layers.committed_objects.objects.size === 0) return [];
  const { intensity } = workspace.encodingSettings;
  signal?.throwIfAborted();
  const labels = paintLayer(layers.committed_objects, image);
  return annotatedPlanes(source, labels, { channels, ...(intensity && { intensity }) });
}

/** An image of a series that was left with objects, and the label image that was written for it. */
export interface LeftImage {
  readonly name: string;
  readonly input: ImageInput;
  readonly labels: Uint8Array;
}

async function annotatedBefore(
  { name, input, labels }: LeftImage,
  { intensity }: Pick<EncodingChange, 'intensity'>,
  { signal }: TaskOptions,
): Promise<AnnotatedImage[]> {
  const source = await openImage(input, { name, signal });
  try {
    if (isRecording(source)) return []; // its parts are annotated one by one
    const channels = defaultChannels(source);
    const all = await labelsOf(memoryBytes(labels, `${name} labels.tif`), { signal });
    return await annotatedPlanes(source, all, { channels, ...(intensity && { intensity }) });
  } finally {
    await source.close();
  }
}
