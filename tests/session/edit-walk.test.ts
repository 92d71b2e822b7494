import assert from 'node:assert/strict';
import { intersectionArea } from '../../src/ndimage/mask-sets.js';
import { setCommittedObjects } from '../../src/session/edits/edits.js';
import { objectsInPlane, recordsFromLabels } from '../../src/session/layers.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, SessionState } from '../../src/session/state.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { randomLabels } from '../support/labels.js';
import { randomInteger, seededRandom } from '../support/random.js';
import { documentOf, randomEdit, WALK_IMAGE } from '../support/session-walk.js';

/** Edits of whole objects in any order, by seeded hands: in the thorough form EDIT_WALKS of them. */
describe('edits in any order', function () {
  const WALKS = Number(process.env.EDIT_WALKS ?? 12);
  const FEW = 3;
  this.timeout(WALKS * 100_000);
  const STEPS = 60;
  /** A prompt stays when no mask comes of it. */
  const PROMPTS = ['add', 'addMore', 'scribble'];

  function check(state: SessionState, when: string): void {
    const { planes, size } = state.image as ImageInfo;
    for (const [name, layer] of Object.entries(state.layers))
      for (const { id, masks } of layer.objects.values()) {
        assert.ok(Number.isInteger(id) && id > 0, `${when}: object ${id} of ${name}`);
        assert.ok(masks.size > 0, `${when}: nothing is left of object ${id} of ${name}`);
        for (const [plane, { area, box }] of masks) {
          assert.ok(area > 0 && plane >= 0 && plane < planes, `${when}: object ${id} in plane ${plane}`);
          const [y0, x0, y1, x1] = box;
          assert.ok(y0 >= 0 && x0 >= 0 && y1 <= size[0] && x1 <= size[1], `${when}: object ${id} lies at ${box}`);
        }
      }
    for (let plane = 0; plane < planes; plane++) {
      const here = [...objectsInPlane(state.layers.committed_objects, plane)];
      for (const [i, [{ id }, mask]] of here.entries())
        for (const [other, its] of here.slice(i + 1))
          assert.equal(intersectionArea(mask, its), 0, `${when}: objects ${id} and ${other.id} overlap`);
    }
  }

  for (const [what, image] of [
    ['a plane', WALK_IMAGE],
    ['a volume', { ...WALK_IMAGE, axes: 'zyx', planes: 3 }],
  ] as const) {
    it(`leave ${what} sound, come back by undo and redo, and are saved`, async () => {
      for (let seed = 1; seed <= FEW; seed++) await walk(image, seed);
    });
    it(`leave ${what} sound in more walks (thorough)`, async () => {
      for (let seed = FEW + 1; seed <= WALKS; seed++) await walk(image, seed);
    });
  }

  async function walk(image: ImageInfo, seed: number): Promise<void> {
    const random = seededRandom(seed);
    const session = new AnnotationSession();
    session.open(image, new DiscAnnotator(image.size));
    const shape = image.planes === 1 ? [...image.size] : [image.planes, ...image.size];
    session.apply(setCommittedObjects(recordsFromLabels(randomLabels(random, shape, 12, 12))));
    for (let step = 0; step < STEPS; step++) {
      const before = documentOf(session.state);
      const { name, refused } = await randomEdit(session, random, step);
      const when = `walk ${seed}, step ${step}, ${name}`;
      const after = documentOf(session.state);
      check(session.state, when);
      if (refused && !PROMPTS.includes(name))
        assert.equal(after, before, `${when}: refused, and yet something changed`);
      if (randomInteger(random, 0, 3) === 0 && session.state.history.undo) {
        session.undo();
        check(session.state, `${when}, undone`);
        session.redo();
        assert.equal(documentOf(session.state), after, `${when}: redo`);
      }
    }
    const text = exportSession(session.state);
    const again = new AnnotationSession();
    again.open(image, new DiscAnnotator(image.size), importSession(text, image));
    assert.deepEqual(JSON.parse(documentOf(again.state)), JSON.parse(documentOf(session.state)), `walk ${seed}: saved`);
    while (session.state.history.undo) session.undo();
    check(session.state, `walk ${seed}, all undone`);
  }
});
