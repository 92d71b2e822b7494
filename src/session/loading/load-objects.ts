import { SamError } from '../../errors.js';
import { type ImageInput, openImage } from '../../io/open.js';
import { readLabelImage } from '../../io/results/label-image.js';
import type { LabelImage } from '../../ndimage/array.js';
import type { TaskOptions } from '../../task.js';
import { setCommittedObjects } from '../edits/edits.js';
import { offerToSeparate, piecesOfOneObject } from '../edits/separate.js';
import { checkLabelShape, isUntouched, needImage, recordsFromLabels } from '../layers.js';
import type { AnnotationSession } from '../session.js';

/**
 * Labels that somebody else's program made, as committed objects: one step of undo. If they are all one object in several
 * pieces, it is offered to separate them.
 *
 * @throws SamError invalid_argument for labels of another shape, cancelled if another image was opened meanwhile
 */
export async function loadObjects(session: AnnotationSession, input: ImageInput, name: string): Promise<void> {
  const image = needImage(session.state);
  const labels = await session.task('read', `Read ${name}`, (task) => labelsOf(input, task));
  if (session.state.image !== image)
    throw new SamError('cancelled', `${name} was read for ${image.name}, which is not open any more.`);
  checkLabelShape(labels.shape, image);
  const records = recordsFromLabels(labels);
  await session.applyInTurn(setCommittedObjects(records));
  const pieces = piecesOfOneObject(labels);
  if (pieces > 1) return session.notify(offerToSeparate(name, pieces));
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
