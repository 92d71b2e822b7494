import { readLabelImage } from '../../src/io/label-image.js';
import { type ImageInput, openImage } from '../../src/io/open.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { setCommittedObjects } from '../../src/session/edits.js';
import { checkLabelShape, isUntouched, needImage, recordsFromLabels } from '../../src/session/layers.js';
import type { AnnotationSession } from '../../src/session/session.js';
import type { TaskOptions } from '../../src/task.js';

/** Labels that somebody else's program made, as committed objects: one step of undo. */
export async function loadObjects(session: AnnotationSession, input: ImageInput, name: string): Promise<void> {
  const { image } = session.state;
  const labels = await session.task('automatic', `Read ${name}`, (task) => labelsOf(input, task));
  if (session.state.image !== image) return; // they belong to the image that was open
  checkLabelShape(labels.shape, needImage(session.state));
  const records = recordsFromLabels(labels);
  session.apply(setCommittedObjects(records));
  session.notify({
    level: 'info',
    text: `${records.length} objects of ${name} are the committed objects now. Undo brings back what was there.`,
  });
}

/** The same for an image on which nothing was done yet; work that was saved comes first. */
export async function beginWithObjects(session: AnnotationSession, input: ImageInput, name: string): Promise<void> {
  if (isUntouched(session.state)) await loadObjects(session, input, name);
}

export async function labelsOf(input: ImageInput, task: TaskOptions = {}): Promise<LabelImage> {
  const source = await openImage(input, { signal: task.signal });
  try {
    return await readLabelImage(source, task);
  } finally {
    await source.close();
  }
}
