import assert from 'node:assert/strict';
import {
  drawnPrompt,
  extentToBox,
  fromRing,
  geometryRings,
  maskPolygons,
  movedPrompt,
  promptGeometry,
  samePlace,
  toRing,
  toXY,
  toYX,
  whyRefused,
} from '../../plugin/kaibu/geometry.js';
import { encodeBmp, planeRenderer } from '../../plugin/kaibu/image.js';
import { FILL, objectFeatures } from '../../plugin/kaibu/object-features.js';
import { labelUpdate } from '../../plugin/kaibu/object-layers.js';
import type { Feature, Geometry } from '../../plugin/kaibu/window.js';
import {
  canvasBox,
  colorize,
  type LabelObject,
  objectAt,
  paintIndices,
} from '../../plugin/viewer/layers/label-raster.js';
import type { YX } from '../../src/ndimage/array.js';
import type { Mask } from '../../src/ndimage/mask.js';
import { rasterizePolygon } from '../../src/ndimage/rasterize.js';
import { maskContains, maskFromBitmap, masksEqual } from '../../src/ndimage/rle.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import { randomInteger, seededRandom } from '../support/random.js';

const HEIGHT = 50;
const WIDTH = 70;
const SIZE = [HEIGHT, WIDTH] as const;

/** Ragged blobs with holes and several parts. */
function randomMask(random: () => number): Mask {
  const [h, w] = [randomInteger(random, 1, 20), randomInteger(random, 1, 20)];
  const bitmap = Uint8Array.from({ length: h * w }, () => Number(random() < 0.6));
  return maskFromBitmap(bitmap, [h, w], [randomInteger(random, 0, HEIGHT - h), randomInteger(random, 0, WIDTH - w)]);
}

const feature = (geometry: Geometry): Feature => ({ type: 'Feature', geometry, properties: { id: 'f' } });
const drawn = { id: 'p', plane: 2, kind: 'box', positive: true } as const;

describe('between image and viewer coordinates', () => {
  it('the upper left corner of the image is at the top of the map, and y flips', () => {
    assert.deepEqual(toXY([0, 0], HEIGHT), [0, HEIGHT]);
    assert.deepEqual(toXY([HEIGHT, WIDTH], HEIGHT), [WIDTH, 0]);
    assert.deepEqual(toYX([3.5, 48.25], HEIGHT), [1.75, 3.5]);
    assert.deepEqual(extentToBox([10, 5, 30, 45], HEIGHT), [5, 10, 45, 30]);
  });

  it('a point there and back is the same point', () => {
    const random = seededRandom(3);
    for (let k = 0; k < 200; k++) {
      const at: YX = [randomInteger(random, 0, 400) / 8, randomInteger(random, 0, 560) / 8];
      assert.deepEqual(toYX(toXY(at, HEIGHT), HEIGHT), at);
    }
  });

  it('rings close on the way out and open on the way back', () => {
    const ring: YX[] = [
      [1, 2],
      [1, 9],
      [7, 9],
    ];
    const closed = toRing(ring, HEIGHT);
    assert.equal(closed.length, 4);
    assert.deepEqual(closed[0], closed[3]);
    assert.deepEqual(fromRing(closed, HEIGHT), ring);
    assert.deepEqual(toRing([], HEIGHT), []);
  });

  it('the polygons of a mask, filled, are the mask', () => {
    const random = seededRandom(11);
    for (let k = 0; k < 100; k++) {
      const mask = randomMask(random);
      const coordinates = maskPolygons(mask, HEIGHT);
      const rings = geometryRings({ type: 'MultiPolygon', coordinates }, HEIGHT);
      assert.ok(masksEqual(rasterizePolygon(rings, SIZE), mask), `mask ${k}`);
    }
  });
});

describe('prompts as features', () => {
  const prompts: Prompt[] = [
    { id: 'a', kind: 'point', plane: 2, at: [3.25, 60.5], positive: true },
    { id: 'b', kind: 'box', plane: 2, box: [4, 5, 30, 40.5] },
    {
      id: 'c',
      kind: 'polygon',
      plane: 2,
      ring: [
        [2, 3],
        [2, 20],
        [30, 20],
      ],
    },
  ];

  it('a prompt drawn where another is shown is in the same place', () => {
    for (const prompt of prompts) {
      const kind = prompt.kind as 'point' | 'box' | 'polygon';
      const back = drawnPrompt(feature(promptGeometry(prompt, HEIGHT)), { ...drawn, kind }, SIZE);
      assert.ok(back && samePlace(back, prompt), prompt.kind);
    }
  });

  it('nothing comes of a point outside or of a box thinner than a pixel', () => {
    for (const at of [
      [-0.1, 5],
      [5, -0.1],
      [HEIGHT, 5],
      [5, WIDTH],
    ] as const) {
      const geometry = promptGeometry({ id: 'x', kind: 'point', plane: 0, at, positive: true }, HEIGHT);
      assert.equal(drawnPrompt(feature(geometry), { ...drawn, kind: 'point' }, SIZE), undefined, String(at));
      assert.equal(whyRefused(feature(geometry)), 'outside');
    }
    for (const [why, box] of [
      ['empty', [5, 5, 5.5, 30]],
      ['empty', [5, 5, 30, 5.5]],
      ['outside', [-20, 5, 0.5, 30]],
      ['outside', [5, WIDTH + 3, 30, WIDTH + 20]],
    ] as const) {
      const geometry = promptGeometry({ id: 'x', kind: 'box', plane: 0, box }, HEIGHT);
      assert.equal(drawnPrompt(feature(geometry), drawn, SIZE), undefined, String(box));
      assert.equal(whyRefused(feature(geometry)), why, String(box));
    }
  });

  it('a box that reaches over the edge is clipped', () => {
    const geometry = promptGeometry({ id: 'x', kind: 'box', plane: 0, box: [-9, 10, 20, 300] }, HEIGHT);
    const prompt = drawnPrompt(feature(geometry), drawn, SIZE);
    assert.ok(prompt?.kind === 'box');
    assert.deepEqual(prompt.box, [0, 10, 20, WIDTH]);
  });

  it('an ellipse that comes as a box fills it, over the edge of the image too', () => {
    const geometry = promptGeometry({ id: 'x', kind: 'box', plane: 0, box: [-10, 10, 30, 40] }, HEIGHT);
    const prompt = drawnPrompt(feature(geometry), { ...drawn, kind: 'ellipse' }, SIZE);
    assert.ok(prompt?.kind === 'ellipse');
    for (const [y, x] of prompt.ring) assert.ok(Math.abs(((y - 10) / 20) ** 2 + ((x - 25) / 15) ** 2 - 1) < 1e-12);
    const area = rasterizePolygon([prompt.ring], SIZE).area;
    // Half of the ellipse and a cap of it lie in the image: rows -10 to 0 are cut off.
    const cut = 20 * 15 * (Math.acos(0.5) - 0.5 * Math.sqrt(0.75));
    assert.ok(Math.abs(area - (Math.PI * 20 * 15 - cut)) < 12, `${area} px`);
    const round = feature(promptGeometry(prompt, HEIGHT));
    const again = drawnPrompt(round, { ...drawn, kind: 'ellipse' }, SIZE);
    assert.ok(again && samePlace(again, prompt), 'and stays as it is');
  });

  it('a moved prompt keeps its id, sign, kind and track', () => {
    const ellipse: Prompt = {
      id: 'e',
      kind: 'ellipse',
      plane: 1,
      track: { id: 4, state: 'division' },
      ring: [
        [5, 5],
        [5, 15],
        [15, 15],
      ],
    };
    const geometry = promptGeometry({ ...ellipse, ring: ellipse.ring.map(([y, x]) => [y + 2, x + 3]) }, HEIGHT);
    const moved = movedPrompt(ellipse, feature(geometry), SIZE);
    assert.ok(moved?.kind === 'ellipse');
    assert.deepEqual([moved.id, moved.plane, moved.track], ['e', 1, { id: 4, state: 'division' }]);
    assert.deepEqual(moved.ring[0], [7, 8]);
    const negative: Prompt = { id: 'n', kind: 'point', plane: 0, at: [1, 1], positive: false };
    const point = movedPrompt(negative, feature({ type: 'Point', coordinates: [10, 40] }), SIZE);
    assert.ok(point?.kind === 'point' && !point.positive);
    assert.deepEqual(point.at, [10, 10]);
  });
});

describe('objects for the viewer', () => {
  const random = seededRandom(21);
  const objects = Array.from({ length: 60 }, (_, k) => ({
    id: k + 1,
    color: `#${(k * 99_991).toString(16).padStart(6, '0').slice(-6)}`,
    mask: randomMask(random),
  })).filter(({ mask }) => mask.area > 0);

  it('an update sends only what changed, and nothing if nothing did', () => {
    assert.equal(labelUpdate(objects, objects), undefined);
    const first = labelUpdate(objects, []);
    assert.deepEqual(Array.from(first?.ids ?? []), Array.from(first?.order ?? []));
    const changed = objects.map((object) => (object.id === 7 ? { ...object, color: '#123456' } : object));
    const update = labelUpdate(changed.slice(1), objects);
    assert.deepEqual(Array.from(update?.ids ?? []), [7]);
    assert.deepEqual(Array.from(update?.colors ?? []), [0x123456]);
    assert.equal(update?.order.length, objects.length - 1);
    const k = objects.findIndex(({ id }) => id === 7);
    assert.deepEqual(Array.from(update?.runs ?? []), Array.from(objects[k].mask.runs));
    const reversed = labelUpdate([...objects].reverse(), objects);
    assert.equal(reversed?.ids.length, 0);
    assert.equal(reversed?.order[0], objects.at(-1)?.id);
  });

  it('GeoJSON holds every pixel of every object in at most 24 features', () => {
    const features = objectFeatures(objects, HEIGHT, FILL.committed_objects);
    assert.ok(features.length <= 24);
    const polygons = features.reduce(
      (sum, { geometry }) => sum + (geometry.type === 'MultiPolygon' ? geometry.coordinates.length : 0),
      0,
    );
    assert.equal(
      polygons,
      objects.reduce((sum, { mask }) => sum + maskPolygons(mask, HEIGHT).length, 0),
    );
  });

  it('painted one canvas pixel per image pixel, the topmost object is where a slow search finds it', () => {
    const shown: LabelObject[] = objects.map(({ id, mask }) => ({
      id,
      color: id,
      box: [...mask.box],
      runs: mask.runs,
      area: mask.area,
    }));
    const view = { row: 0, column: 0, scale: 1, width: WIDTH, height: HEIGHT };
    const indices = new Uint32Array(WIDTH * HEIGHT);
    paintIndices(shown, view, indices);
    for (let y = 0; y < HEIGHT; y++)
      for (let x = 0; x < WIDTH; x++) {
        const top = objects.findLastIndex(({ mask }) => maskContains(mask, y, x));
        assert.equal(indices[y * WIDTH + x], top + 1, `${y}, ${x}`);
        assert.equal(objectAt(shown, y, x)?.id, top < 0 ? undefined : objects[top].id);
      }
  });

  it('magnified and shifted, each canvas pixel shows the image pixel under its centre', () => {
    const shown = objects.map(({ id, mask }) => ({ id, color: id, box: mask.box, runs: mask.runs, area: mask.area }));
    for (const [row, column, scale] of [
      [3.3, -4.7, 2.6],
      [-2, 5.25, 0.4],
      [10.5, 20.5, 7],
    ]) {
      const view = { row, column, scale, width: 90, height: 60 };
      const indices = new Uint32Array(90 * 60);
      paintIndices(shown as LabelObject[], view, indices);
      const part = canvasBox(shown as LabelObject[], view);
      for (let j = 0; j < 60; j++)
        for (let i = 0; i < 90; i++) {
          const y = Math.floor(row + (j + 0.5) / scale);
          const x = Math.floor(column + (i + 0.5) / scale);
          const top = objects.findLastIndex(({ mask }) => maskContains(mask, y, x));
          assert.equal(indices[j * 90 + i], top + 1, `scale ${scale}, canvas ${j}, ${i}`);
          const inside = j >= part.top && j < part.bottom && i >= part.left && i < part.right;
          if (top >= 0) assert.ok(inside, `scale ${scale}: canvas ${j}, ${i} is drawn`);
        }
    }
  });

  it('colours an inside with the fill and its rim with the outline', () => {
    const square: LabelObject = { id: 1, color: 0xff8000, box: [2, 2, 8, 8], runs: Uint32Array.of(0, 36), area: 36 };
    const view = { row: 0, column: 0, scale: 1, width: 10, height: 10 };
    const indices = new Uint32Array(100);
    paintIndices([square], view, indices);
    const out = new Uint32Array(100);
    const part = canvasBox([square], view);
    colorize(indices, [square], { view, style: { fill: 0.5, outline: 1 }, thickness: 1, part }, out);
    const rgba = (y: number, x: number) => Array.from(new Uint8Array(out.buffer, 4 * (10 * y + x), 4));
    assert.deepEqual(rgba(0, 0), [0, 0, 0, 0]);
    assert.deepEqual(rgba(2, 4), [255, 128, 0, 255]);
    assert.deepEqual(rgba(4, 4), [255, 128, 0, 128]);

    colorize(indices, [square], { view, style: { fill: 0.5, outline: 1, dashed: true }, thickness: 1, part }, out);
    for (const rim of [[0, 1, 2, 3, 4, 5].map((k) => rgba(2, 2 + k)), [0, 1, 2, 3, 4, 5].map((k) => rgba(2 + k, 2))])
      assert.deepEqual(new Set(rim.map(([, , , opacity]) => opacity)), new Set([128, 255]), 'a proposal has dashes');
  });
});

describe('pictures of the screen', () => {
  it('a plane is sampled at the nearest pixel, and whole pixels come out unchanged', async () => {
    const data = Uint8Array.from({ length: 4 * 5 * 3 }, (_, i) => i);
    const render = planeRenderer({ data, shape: [4, 5, 3] });
    assert.deepEqual((await render([0, 0, 4, 5], [4, 5])).data, data);
    const doubled = (await render([1, 2, 2, 4], [2, 4])).data;
    const pixel = (y: number, x: number) => Array.from(data.slice(3 * (5 * y + x), 3 * (5 * y + x) + 3));
    const row = [...pixel(1, 2), ...pixel(1, 2), ...pixel(1, 3), ...pixel(1, 3)];
    assert.deepEqual(Array.from(doubled), [...row, ...row]);
  });

  it('a BMP holds rows from the bottom, as blue, green, red, padded to four bytes', () => {
    const bytes = new Uint8Array(encodeBmp(Uint8Array.of(1, 2, 3, 4, 5, 6), 1, 2));
    assert.equal(bytes.length, 54 + 8);
    assert.deepEqual(Array.from(bytes.slice(0, 2)), [0x42, 0x4d]);
    assert.deepEqual(Array.from(bytes.slice(54)), [6, 5, 4, 0, 3, 2, 1, 0]);
  });
});
