import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Dataset, type Group, File as Hdf5Writer, ready } from 'h5wasm/node';
import { memoryBytes } from '../../src/io/bytes.js';
import type { ImageSource } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';

/** Kinds of HDF5 files that other programs write, made with libhdf5 (h5wasm). */
describe('HDF5 of other programs', () => {
  let folder = '';
  let next = 0;
  before(async () => {
    await ready;
    folder = await mkdtemp(path.join(tmpdir(), 'hdf5-kinds-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function written(write: (file: Hdf5Writer) => void): Uint8Array {
    const file = path.join(folder, `${next++}.h5`);
    const writer = new Hdf5Writer(file, 'w');
    write(writer);
    writer.close();
    return new Uint8Array(readFileSync(file));
  }
  const open = (bytes: Uint8Array, key?: string) => openImage(memoryBytes(bytes, 'test.h5'), key ? { key } : {});
  const counting = (length: number) => Uint16Array.from({ length }, (_, i) => i);

  /** The value at every logical position, told by `at`. */
  async function check(
    image: ImageSource,
    at: (p: { t: number; c: number; z: number; y: number; x: number }) => number,
  ) {
    const { sizes } = image;
    for (let t = 0; t < sizes.t; t++)
      for (let z = 0; z < sizes.z; z++) {
        const { data } = await image.readRegion({ t, z });
        let i = 0;
        for (let y = 0; y < sizes.y; y++)
          for (let x = 0; x < sizes.x; x++)
            for (let c = 0; c < sizes.c; c++, i++)
              if (data[i] !== at({ t, c, z, y, x }))
                assert.equal(data[i], at({ t, c, z, y, x }), `t${t} z${z} c${c} y${y} x${x}`);
      }
  }

  describe('axistags of ilastik', () => {
    const LENGTHS = { t: 2, c: 3, z: 4, y: 5, x: 6 } as const;
    type Axis = keyof typeof LENGTHS;
    const tags = (axes: string) =>
      JSON.stringify({ axes: [...axes].map((key) => ({ key, typeFlags: 2, resolution: 0, description: '' })) });
    const orders = (letters: string): string[] =>
      letters.length <= 1
        ? [letters]
        : [...letters].flatMap((letter) => orders(letters.replace(letter, '')).map((rest) => letter + rest));
    const all = ['yx', 'yxc', 'zyx', 'tyx', 'tzyx', 'zyxc', 'tyxc', 'tzyxc'].flatMap(orders);

    /** Of five axes one order in twenty. */
    const most = all.filter((axes, k) => axes.length < 5 || k % 20 === 0);
    for (const [where, chunked, tried] of [
      ['most orders of every set of axes, in one block', false, most],
      ['most orders of every set of axes, in chunks', true, most],
      ['every order of every set of axes, in one block (thorough)', false, all],
      ['every order of every set of axes, in chunks (thorough)', true, all],
    ] as const)
      it(where, async () => {
        const bytes = written((file) => {
          for (const axes of tried) {
            const shape = [...axes].map((axis) => LENGTHS[axis as Axis]);
            const data = counting(shape.reduce((a, b) => a * b, 1));
            const dataset = file.create_dataset({
              name: axes,
              data,
              shape,
              ...(chunked && { chunks: shape.map((length) => Math.min(2, length)) }),
            }) as Dataset;
            dataset.create_attribute('axistags', tags(axes));
          }
        });
        assert.equal(all.length, 2 + 3 * 6 + 3 * 24 + 120);
        for (const axes of tried) {
          const image = await open(bytes, axes);
          const has = (axis: Axis) => (axes.includes(axis) ? LENGTHS[axis] : 1);
          assert.deepEqual(image.sizes, { t: has('t'), c: has('c'), z: has('z'), y: has('y'), x: has('x') }, axes);
          await check(image, (at) =>
            [...axes].reduce((sum, axis) => sum * LENGTHS[axis as Axis] + at[axis as Axis], 0),
          );
          assert.equal(image.rgb, false);
          assert.equal(image.notices, undefined);
        }
      });

    for (const [what, text] of [
      ['too few axes', tags('yx')],
      ['an axis twice', tags('zyy')],
      ['an unknown axis', tags('nyx')],
      ['no JSON', '{"axes": ['],
      ['no axes', '{}'],
      ['keys that are none', '{"axes": [{"key": 1}, null, {}]}'],
    ] as const)
      it(`with ${what} the shape decides, and it is said`, async () => {
        const image = await open(
          written((file) => {
            const dataset = file.create_dataset({ name: 'data', data: counting(120), shape: [4, 5, 6] }) as Dataset;
            dataset.create_attribute('axistags', text);
          }),
        );
        assert.deepEqual(image.sizes, { t: 1, c: 1, z: 4, y: 5, x: 6 });
        assert.match(image.notices?.[0] ?? '', /axistags .* does not fit its shape \[4,5,6\]/);
      });

    it('are found among many attributes, which are stored in another way', async () => {
      const image = await open(
        written((file) => {
          const dataset = file.create_dataset({ name: 'data', data: counting(120), shape: [4, 5, 6] }) as Dataset;
          for (let i = 0; i < 40; i++) dataset.create_attribute(`note${i}`, `something ${i}`.repeat(20));
          dataset.create_attribute('axistags', tags('tyx'));
          dataset.create_attribute('element_size_um', Float64Array.of(0.5, 0.25));
        }),
      );
      assert.equal(image.axes, 'tyx');
      assert.deepEqual(image.pixelSize, { y: 0.5, x: 0.25, unit: 'µm' });
    });
  });

  describe('Imaris', () => {
    const value = (level: number, t: number, c: number, z: number, y: number, x: number) =>
      level * 20_000 + t * 4_000 + c * 1_000 + z * 200 + y * 10 + x;
    interface Wanted {
      readonly t: number;
      readonly c: number;
      readonly levels: readonly (readonly [z: number, y: number, x: number])[];
      readonly skip?: (t: number, c: number) => boolean;
      readonly chunked?: boolean;
      readonly sized?: boolean;
    }
    const letters = (group: Group | Dataset | Hdf5Writer, name: string, text: string) =>
      group.create_attribute(name, [...text], null, 'S1');

    function imaris({ t, c, levels, skip = () => false, chunked = true, sized = true }: Wanted): Uint8Array {
      return written((file) => {
        for (const [level, [z, y, x]] of levels.entries())
          for (let ti = 0; ti < t; ti++)
            for (let ci = 0; ci < c; ci++) {
              if (skip(ti, ci)) continue;
              const name = `DataSet/ResolutionLevel ${level}/TimePoint ${ti}/Channel ${ci}`;
              for (const [i] of [...name.matchAll(/\/|$/g)].map(({ index }) => [index]))
                if (!file.get(name.slice(0, i))) file.create_group(name.slice(0, i));
              const shape = [z, y, x].map((length) => Math.ceil(length / 4) * 4);
              const data = new Uint16Array(shape[0] * shape[1] * shape[2]).fill(65_535);
              for (let zi = 0; zi < z; zi++)
                for (let yi = 0; yi < y; yi++)
                  for (let xi = 0; xi < x; xi++)
                    data[(zi * shape[1] + yi) * shape[2] + xi] = value(level, ti, ci, zi, yi, xi);
              file.create_dataset({ name: `${name}/Data`, data, shape, ...(chunked && { chunks: [2, 4, 4] }) });
              const group = file.get(name) as Group;
              if (sized)
                for (const [axis, length] of Object.entries({ X: x, Y: y, Z: z }))
                  letters(group, `ImageSize${axis}`, String(length));
            }
        const image = (file.create_group('DataSetInfo') as Group).create_group('Image') as Group;
        for (const [axis, extent] of [6, 10, 20].entries()) {
          letters(image, `ExtMin${axis}`, '1');
          letters(image, `ExtMax${axis}`, String(1 + extent));
        }
        letters(image, 'Unit', 'um');
        const channel = (file.get('DataSetInfo') as Group).create_group('Channel 0') as Group;
        letters(channel, 'Name', 'DNA');
        letters(channel, 'Color', '0.000 0.500 1.000');
        letters(channel, 'ColorRange', '10.5 2000');
      });
    }
    const levels = [
      [5, 9, 12],
      [5, 5, 6],
    ] as const;

    for (const chunked of [true, false])
      it(`time points, channels and resolution levels, without the padding (${chunked ? 'chunks' : 'blocks'})`, async () => {
        const image = await open(imaris({ t: 2, c: 3, levels, chunked }));
        assert.deepEqual(image.sizes, { t: 2, c: 3, z: 5, y: 9, x: 12 });
        assert.deepEqual(image.levels, [
          [9, 12],
          [5, 6],
        ]);
        await check(image, ({ t, c, z, y, x }) => value(0, t, c, z, y, x));
        const { data } = await image.readRegion({ t: 1, z: 2, level: 1, channels: [2], box: [1, 2, 3, 4] });
        assert.deepEqual(
          Array.from(data),
          [12, 13, 22, 23].map((yx) => value(1, 1, 2, 2, Math.floor(yx / 10), yx % 10)),
        );
        assert.deepEqual(image.pixelSize, { z: 4, y: 10 / 9, x: 0.5, unit: 'µm' });
        assert.deepEqual(image.channels[0], { name: 'DNA', color: '#0080ff', limits: [10.5, 2000] });
      });

    it('channels and time points that were not recorded are black, and whole time points absent', async () => {
      const skip = (t: number, c: number) => t === 1 || (t === 2 && c === 1);
      const image = await open(imaris({ t: 4, c: 2, levels: levels.slice(0, 1), skip }));
      assert.equal(image.sizes.t, 4);
      await check(image, ({ t, c, z, y, x }) => (skip(t, c) ? 0 : value(0, t, c, z, y, x)));
      assert.deepEqual(image.absentPlanes, [5, 6, 7, 8, 9]);
      assert.match(image.notices?.[0] ?? '', /time points 1/);
    });

    it('without sizes the datasets are as large as they are', async () => {
      const image = await open(imaris({ t: 1, c: 1, levels: [[4, 8, 12]], sized: false }));
      assert.deepEqual(image.sizes, { t: 1, c: 1, z: 4, y: 8, x: 12 });
    });

    it('one dataset of it by key', async () => {
      const key = 'DataSet/ResolutionLevel 0/TimePoint 0/Channel 1/Data';
      const image = await open(imaris({ t: 1, c: 2, levels }), key);
      assert.deepEqual(image.sizes, { t: 1, c: 1, z: 8, y: 12, x: 12 });
    });
  });

  describe('behind a user block', () => {
    const file = () =>
      written((writer) =>
        writer.create_dataset({ name: 'img', data: counting(120), shape: [4, 5, 6], chunks: [2, 5, 6] }),
      );

    for (const bytes of [512, 1024, 2048, 4096, 65_536])
      it(`of ${bytes} bytes`, async () => {
        const block = new Uint8Array(bytes).fill(32);
        block.set(new TextEncoder().encode('MATLAB 7.3 MAT-file, Platform: GLNXA64'));
        const image = await open(Uint8Array.from([...block, ...file()]));
        assert.deepEqual(image.sizes, { t: 1, c: 1, z: 4, y: 5, x: 6 });
        await check(image, ({ z, y, x }) => (z * 5 + y) * 6 + x);
      });

    it('anywhere else it is none', async () => {
      const shifted = Uint8Array.from([...new Uint8Array(700).fill(32), ...file()]);
      await assert.rejects(open(shifted), { code: 'unsupported' });
    });

    it("MATLAB's own arrays are as MATLAB shows them, and its single numbers are no images", async () => {
      const image = await open(
        written((writer) => {
          const img = writer.create_dataset({ name: 'img', data: counting(120), shape: [4, 6, 5] }) as Dataset;
          img.create_attribute('MATLAB_class', 'uint16', null, 'S6');
          const scale = writer.create_dataset({ name: 'scale', data: Float64Array.of(0.1), shape: [1, 1] }) as Dataset;
          scale.create_attribute('MATLAB_class', 'double', null, 'S6');
          writer.create_group('#refs#');
          writer.create_dataset({ name: '#refs#/a', data: counting(30), shape: [5, 6] });
        }),
      );
      assert.deepEqual(image.images, ['img']);
      assert.deepEqual(image.sizes, { t: 1, c: 1, z: 4, y: 5, x: 6 });
      await check(image, ({ z, y, x }) => (z * 6 + x) * 5 + y);
    });
  });
});
