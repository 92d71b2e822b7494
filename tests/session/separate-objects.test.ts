import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { encodeTiff } from '../../src/io/tiff/writer.js';
import type { LabelImage } from '../../src/ndimage/array.js';
import { paintLayer } from '../../src/session/layers.js';
import { loadObjects } from '../../src/session/loading/load-objects.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo } from '../../src/session/state.js';
import { DiscAnnotator } from '../support/disc-annotator.js';

/** Labels drawn with a letter per object, `.` for none. */
function drawn(...planes: string[][]): LabelImage {
  const ids = planes.flatMap((rows) => [...rows.join('')].map((sign) => (sign === '.' ? 0 : sign.charCodeAt(0) - 64)));
  const shape = [planes[0].length, planes[0][0].length];
  return { data: Uint32Array.from(ids), shape: planes.length > 1 ? [planes.length, ...shape] : shape };
}

async function sessionWith(labels: LabelImage): Promise<AnnotationSession> {
  const planes = labels.shape.length === 3 ? labels.shape[0] : 1;
  const [y, x] = labels.shape.slice(-2);
  const image: ImageInfo = { name: 'a', axes: planes > 1 ? 'zyx' : 'yx', size: [y, x], planes, signature: 'a' };
  const session = new AnnotationSession();
  session.open(image, new DiscAnnotator([y, x]));
  const axes = planes > 1 ? 'zyx' : 'yx';
  await loadObjects(session, memoryBytes(await encodeTiff(labels, { axes }), 'mask.tif'), 'mask.tif');
  return session;
}

const painted = ({ state }: AnnotationSession) =>
  state.image && paintLayer(state.layers.committed_objects, state.image);

describe('objects in several pieces', () => {
  const mask = drawn(['AA...A', 'A..A.A', '..A...']);

  it('a mask of several blobs with one number is offered to be separated, and undo brings it back', async () => {
    const session = await sessionWith(mask);
    const { message, layers } = session.state;
    assert.equal(layers.committed_objects.objects.size, 1);
    assert.equal(message?.offer, 'separate_objects');
    assert.match(message?.text ?? '', /mask\.tif is one object, in 3 pieces/);
    await session.run('separate_objects');
    assert.deepEqual(painted(session), drawn(['AA...B', 'A..C.B', '..C...']));
    await session.run('undo');
    assert.deepEqual(painted(session), mask);
  });

  it('through the planes of a stack', async () => {
    const session = await sessionWith(drawn(['A..A'], ['A...'], ['....'], ['A...']));
    assert.match(session.state.message?.text ?? '', /in 3 pieces/);
    await session.run('separate_objects');
    assert.deepEqual(painted(session), drawn(['A..B'], ['A...'], ['....'], ['C...']));
  });

  it('labels of several objects are not, nor is one whole object', async () => {
    for (const labels of [drawn(['A.B.A']), drawn(['.AA..'])]) {
      const { message } = (await sessionWith(labels)).state;
      assert.equal(message?.offer, undefined);
      assert.equal(message?.level, 'info');
    }
  });

  it('whole objects stay the records they are; the others keep their id for their first piece', async () => {
    const session = await sessionWith(drawn(['A.A.B', 'A.A.B', '....B']));
    const before = session.state.layers.committed_objects.objects.get(2);
    await session.run('separate_objects');
    assert.deepEqual(painted(session), drawn(['A.C.B', 'A.C.B', '....B']));
    assert.equal(session.state.layers.committed_objects.objects.get(2), before);
  });
});
