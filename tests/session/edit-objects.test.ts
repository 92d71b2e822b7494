import assert from 'node:assert/strict';
import type { Mask } from '../../src/ndimage/mask.js';
import { intersectionArea, unionMasks } from '../../src/ndimage/mask-sets.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { layerOf } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectLayerName, ObjectRecord } from '../../src/session/state.js';
import { documentOf, WALK_IMAGE } from '../support/session-walk.js';

const SIZE = [60, 80] as const;
const disc = (y: number, x: number, radius: number): Mask => rasterizeStroke([[y, x]], radius, SIZE);
const record = (id: number, masks: readonly (readonly [number, Mask])[]): ObjectRecord => ({
  id,
  masks: new Map(masks),
  prompts: [],
  origin: 'loaded',
});
const BONE = unionMasks(disc(30, 30, 10), disc(30, 46, 8));
const LAYERS = ['current_object', 'auto_segmentation', 'committed_objects'] as const;

function withObjects(layer: ObjectLayerName, records: ObjectRecord[], image: ImageInfo = WALK_IMAGE) {
  const session = new AnnotationSession();
  session.open(image);
  session.apply({ title: 'Set', change: (s) => ({ ...s, layers: { ...s.layers, [layer]: layerOf(records) } }) });
  const objects = () => session.state.layers[layer].objects;
  const area = (id: number, plane = 0) => objects().get(id)?.masks.get(plane)?.area;
  return { session, objects, area };
}

describe('objects corrected as a whole', () => {
  for (const layer of LAYERS)
    it(`are merged, split, reshaped and deleted in ${layer}, each as one step of undo`, async () => {
      const { session, objects, area } = withObjects(layer, [
        record(1, [[0, BONE]]),
        record(2, [[0, disc(10, 70, 5)]]),
      ]);
      const initial = documentOf(session.state);
      const select = (...ids: number[]) => session.run('select_objects', { layer, ids });
      const steps: (() => Promise<void>)[] = [
        () =>
          session.run('split_object', {
            objects: { layer, ids: [1] },
            path: [
              [10, 39],
              [50, 39],
            ],
          }),
        async () => {
          await select(1, 3);
          await session.run('merge_objects');
          assert.deepEqual([[...objects().keys()], area(1)], [[1, 2], BONE.area]);
        },
        async () => {
          await select(2);
          await session.run('grow_objects');
        },
        () => session.run('shrink_objects', { pixels: 2 }),
        () => session.run('smooth_objects'),
        () => session.run('delete'),
      ];
      const seen: string[] = [initial];
      for (const step of steps) {
        await step();
        assert.notEqual(documentOf(session.state), seen.at(-1));
        seen.push(documentOf(session.state));
      }
      assert.deepEqual([...objects().keys()], [1]);
      for (const before of seen.slice(0, -1).reverse()) {
        await session.run('undo');
        assert.equal(documentOf(session.state), before);
      }
    });

  it('what changes nothing is no step of undo, and says so', async () => {
    const { session } = withObjects('committed_objects', [record(1, [[0, disc(30, 30, 8)]])]);
    await session.run('select_all');
    const { undo } = session.state.history;
    await session.run('fill_holes');
    assert.match(session.state.message?.text ?? '', /there are no holes/);
    assert.equal(session.state.history.undo, undo);
    for (let k = 0; k < 9; k++) await session.run('smooth_objects'); // until it is as smooth as it gets
    const before = session.state.layers;
    await session.run('smooth_objects');
    assert.equal(session.state.layers, before);
    assert.match(session.state.message?.text ?? '', /Nothing changed: the outline/);
  });

  it('committed ones stop at their neighbours when they grow', async () => {
    const { session, objects } = withObjects('committed_objects', [
      record(1, [[0, disc(30, 30, 8)]]),
      record(2, [[0, disc(30, 47, 8)]]),
    ]);
    await session.run('select_all');
    await session.run('grow_objects', { pixels: 6 });
    const [a, b] = [...objects().values()].map(({ masks }) => masks.get(0) as Mask);
    assert.equal(intersectionArea(a, b), 0);
  });

  it('in a volume all slices are changed, and count as annotated', async () => {
    const image = { ...WALK_IMAGE, axes: 'zyx' as const, planes: 4 };
    const volume = {
      ...record(
        1,
        [0, 1, 2].map((plane) => [plane, BONE] as const),
      ),
      projected: new Set([1, 2]),
    };
    const { session, objects, area } = withObjects('committed_objects', [volume], image);
    await session.run('split_by_hand', {
      path: [
        [10, 39],
        [50, 39],
      ],
    });
    assert.deepEqual([...objects().keys()], [1, 2]);
    for (const plane of [0, 1, 2]) assert.equal((area(1, plane) ?? 0) + (area(2, plane) ?? 0), BONE.area);
    assert.equal(objects().get(1)?.projected, undefined);
    assert.deepEqual(session.state.selected, { layer: 'committed_objects', ids: [1, 2] });
  });

  it('with the tool Split a click marks one part and the next click the other', async () => {
    const { session, objects } = withObjects('committed_objects', [record(1, [[0, BONE]])]);
    await session.run('split_by_hand', { path: [[30, 28]] });
    assert.equal(objects().size, 1);
    await session.run('split_by_hand', { path: [[30, 48]] });
    assert.equal(objects().size, 2);
    assert.equal(session.state.splitSeed, undefined);
    await assert.rejects(session.run('split_by_hand', { path: [[2, 2]] }), /no object at this place/);
    await assert.rejects(session.run('split_by_hand', { path: [] }), { code: 'invalid_argument' });
    await assert.rejects(
      session.run('split_by_hand', {
        path: [
          [25, 25],
          [30, 28],
        ],
      }),
      /from edge to edge/,
    );
  });

  it('what would vanish, or is not there, is refused and says so', async () => {
    const { session } = withObjects('committed_objects', [record(1, [[0, disc(30, 30, 4)]])]);
    await assert.rejects(session.run('grow_objects'), /Shift\+click/);
    await session.run('select_objects', { layer: 'committed_objects', ids: [1] });
    await assert.rejects(session.run('shrink_objects', { pixels: 9 }), /Nothing would be left of object 1/);
    await assert.rejects(session.run('merge_objects'), /two or more/);
    await assert.rejects(session.run('select_objects', { layer: 'committed_objects', ids: [7] }), {
      code: 'not_found',
    });
  });

  it('merging the object in work with another gives up the copy', async () => {
    const { session, objects } = withObjects('committed_objects', [
      record(1, [[0, disc(30, 30, 8)]]),
      record(2, [[0, disc(30, 47, 8)]]),
    ]);
    await session.run('pick_object', { id: 2 });
    await session.run('select_all');
    await session.run('merge_objects');
    assert.equal(session.state.editing, undefined);
    assert.equal(session.state.layers.current_object.objects.size, 0);
    assert.deepEqual([...objects().keys()], [1]);
  });
});

describe('selection', () => {
  it('is extended and taken back by objects, filled by a box, and passes over what is gone', async () => {
    const { session } = withObjects('committed_objects', [
      record(1, [[0, disc(30, 20, 6)]]),
      record(2, [[0, disc(30, 40, 6)]]),
      record(3, [[0, disc(30, 60, 6)]]),
    ]);
    const toggle = (id: number) =>
      session.run('select_objects', { layer: 'committed_objects', ids: [id], how: 'toggle' });
    const ids = () => session.state.selected?.ids ?? [];
    await toggle(1);
    await toggle(3);
    assert.deepEqual(ids(), [1, 3]);
    await toggle(1);
    assert.deepEqual(ids(), [3]);
    await session.run('select_in_box', { box: [20, 10, 45, 41] });
    assert.deepEqual([...ids()].sort(), [1, 2, 3], 'half of object 2 is inside');
    await session.run('delete');
    await session.run('undo');
    assert.deepEqual([...ids()].sort(), [1, 2, 3]);
    await session.run('select_none');
    assert.equal(session.state.selected, undefined);
    assert.equal(session.state.history.undo, 'Set', 'a selection is no step');
  });
});
