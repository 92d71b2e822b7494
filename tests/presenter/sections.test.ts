import assert from 'node:assert/strict';
import type { ImageSource } from '../../src/io/image.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import type { LabelImage, Tensor } from '../../src/ndimage/array.js';
import { ImageDisplay } from '../../src/presenter/image/image-display.js';
import { paintSection } from '../../src/presenter/sections/section-objects.js';
import { SectionView } from '../../src/presenter/sections/section-view.js';
import { SectionVolume } from '../../src/presenter/sections/section-volume.js';
import type { ViewSections } from '../../src/presenter/viewer.js';
import { setCommittedObjects } from '../../src/session/edits/edits.js';
import { recordsFromLabels } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { randomInteger, seededRandom } from '../support/random.js';

const [Z, Y, X] = [5, 14, 23];
const random = seededRandom(61);
const pixels: Tensor = {
  data: Uint16Array.from({ length: 2 * Z * Y * X }, () => 60_000 * random()),
  shape: [2, Z, Y, X],
};
const source = (): ImageSource => openNdarray({ ...pixels, axes: 'tzyx', name: 'volume' });
const value = (t: number, z: number, y: number, x: number) => pixels.data[((t * Z + z) * Y + y) * X + x];
const load = async (volume: SectionVolume) => {
  let slices = 0;
  await volume.load(2, { signal: new AbortController().signal, onSlice: () => void slices++ });
  assert.equal(slices, Z);
  return volume;
};

describe('sections', () => {
  it('are rows and columns of all slices', async () => {
    const volume = await load(new SectionVolume(source(), [0], 1));
    assert.equal(volume.step, 1);
    const row = volume.row(9);
    assert.deepEqual(row.shape, [Z, X, 1]);
    row.data.forEach((got, i) => {
      assert.equal(got, value(1, Math.floor(i / X), 9, i % X));
    });
    const column = volume.column(20);
    assert.deepEqual(column.shape, [Y, Z, 1]);
    column.data.forEach((got, i) => {
      assert.equal(got, value(1, i % Z, Math.floor(i / Z), 20));
    });
  });

  it('leave out rows and columns where memory is short', async () => {
    const volume = await load(new SectionVolume(source(), [0], 0, Z * 5 * 8 * 2));
    assert.deepEqual([volume.step, ...volume.shape], [3, Z, 5, 8]);
    const places = volume.places(8, X);
    assert.deepEqual(places, [1, 4, 7, 10, 13, 16, 19, 22]);
    volume.row(10).data.forEach((got, i) => {
      assert.equal(got, value(0, Math.floor(i / 8), 10, places[i % 8]));
    });
  });

  it('are as far apart as the file says', async () => {
    const display = async (image: ImageSource) =>
      ImageDisplay.open(image, { signature: 's', store: memoryStore(), onChanged: () => undefined });
    const measured = { ...source(), pixelSize: { z: 0.9, y: 0.3, x: 0.3, unit: 'µm' } };
    assert.equal((await display(measured)).sections().spacing.toFixed(6), '3.000000');
    assert.equal((await display(source())).sections().spacing, 1);
    const thin = openNdarray({ data: new Uint8Array(2 * 400), shape: [2, 20, 20], axes: 'zyx', name: 'thin' });
    assert.equal((await display(thin)).sections().spacing, 2.5);
  });

  it('refuse slices that are too large to be read whole', async () => {
    const huge = {
      ...source(),
      sizes: { t: 1, c: 1, z: 9, y: 9000, x: 9000 },
      levels: [[9000, 9000]] as const,
    };
    assert.throws(() => new SectionVolume(huge, [0], 0), { code: 'unsupported' });
  });

  it('show objects as a painted volume would', () => {
    const labels: LabelImage = { data: new Uint32Array(Z * Y * X), shape: [Z, Y, X] };
    for (let i = 0; i < labels.data.length; i++) labels.data[i] = random() < 0.4 ? randomInteger(random, 1, 4) : 0;
    const objects = recordsFromLabels(labels).map(({ id, masks }) => ({ color: `#0000${id}0`, masks }));
    for (const step of [1, 2]) {
      const places = (length: number) => Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
      const [ys, xs] = [places(Y), places(X)];
      const blank = (rows: number, columns: number) => ({
        data: new Uint8Array(rows * columns * 3),
        shape: [rows, columns, 3],
      });
      const shade = (id: number) => Math.floor(0.45 * 16 * id);
      for (let y = 0; y < Y; y++) {
        const xz = blank(Z, xs.length);
        paintSection(xz, objects, { along: 'row', at: y, firstPlane: 0, places: xs });
        for (let z = 0; z < Z; z++)
          xs.forEach((x, k) => {
            assert.equal(xz.data[3 * (z * xs.length + k) + 2], shade(labels.data[(z * Y + y) * X + x]));
          });
      }
      for (let x = 0; x < X; x++) {
        const yz = blank(ys.length, Z);
        paintSection(yz, objects, { along: 'column', at: x, firstPlane: 0, places: ys });
        for (let z = 0; z < Z; z++)
          ys.forEach((y, k) => {
            assert.equal(yz.data[3 * (k * Z + z) + 2], shade(labels.data[(z * Y + y) * X + x]));
          });
      }
    }
  });

  it('follow the slice without new pictures, and the objects with new ones', async () => {
    const opened = source();
    const session = new AnnotationSession();
    session.open({ name: 'volume', axes: 'zyx', size: [Y, X], planes: Z, signature: 's' }, new DiscAnnotator([Y, X]));
    const shown: (ViewSections | undefined)[] = [];
    const view = new SectionView(
      session,
      {
        show: async (sections) => void shown.push(sections),
        source: () => ({
          slices: Z,
          spacing: 4,
          volume: (t) => new SectionVolume(opened, [0], t),
          paint: ({ data, shape: [rows, columns] }) => ({
            data: Uint8Array.from({ length: rows * columns * 3 }, (_, i) => data[Math.floor(i / 3)] >> 8),
            shape: [rows, columns, 3],
          }),
        }),
        objects: ({ layers }) =>
          [...layers.committed_objects.objects.values()].map(({ masks }) => ({ color: '#ff0000', masks })),
      },
      (error) => assert.fail(String(error)),
    );
    session.subscribe((state, previous) => view.follow(state, previous));
    const until = async (wanted: (last: ViewSections) => boolean) => {
      for (const end = Date.now() + 5000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 5))) {
        const last = shown.at(-1);
        if (last && wanted(last)) return last;
      }
      return assert.fail('not within 5 s');
    };
    const expected = (z: number, y: number, x: number) => value(0, z, y, x) >> 8;
    const isRow = ({ xz }: ViewSections, y: number) =>
      xz.data.every((got, i) => got === expected(Math.floor(i / 3 / X), y, Math.floor(i / 3) % X));
    view.toggle([8.7, 11.2]);
    const first = await until((last) => isRow(last, 8));
    assert.deepEqual([first.at, first.shape, first.spacing], [[0, 8, 11], [Z, Y, X], 4]);
    await session.run('set_plane', { plane: 3 });
    const moved = await until(({ at }) => at[0] === 3);
    assert.equal(moved.xz, first.xz);
    assert.equal(view.choose([4, 2, 6]), 4);
    await until((last) => last.at[1] === 2 && isRow(last, 2));
    const labels = { data: new Uint32Array(Z * Y * X), shape: [Z, Y, X] };
    labels.data[(1 * Y + 2) * X + 7] = 1;
    session.apply(setCommittedObjects(recordsFromLabels(labels)));
    await until(({ xz }) => xz.data[3 * (X + 7) + 2] === Math.floor(expected(1, 2, 7) * (1 - 0.45)));
    session.undo();
    await until((last) => isRow(last, 2));
    view.toggle();
    await view.idle();
    assert.equal(shown.at(-1), undefined);
    const count = shown.length;
    session.redo();
    await view.idle();
    assert.equal(shown.length, count, 'closed sections cost nothing');
  });
});
