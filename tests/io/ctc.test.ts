import assert from 'node:assert/strict';
import { SamError } from '../../src/errors.js';
import { labelsToCtc, parseTracks, readCtc, tracksOf, tracksToLineages } from '../../src/io/results/ctc.js';
import { tensor } from '../../src/ndimage/array.js';
import { randomLabels } from '../support/labels.js';
import { seededRandom } from '../support/random.js';

const invalid = (pattern: RegExp) => (error: unknown) =>
  error instanceof SamError && error.code === 'invalid_image' && pattern.test(error.message);

describe('Cell Tracking Challenge files', () => {
  /** 1 lives in frames 0-1 and divides into 2 and 3; 4 appears in frame 2. */
  const movie = tensor(Uint32Array.of(1, 1, 0, 1, 0, 0, 2, 3, 0, 2, 3, 4), [4, 1, 3]);

  it('say when each track begins and ends and where it came from', async () => {
    const files = await labelsToCtc(movie, { lineages: [{ 1: [2, 3], 2: [], 3: [] }, { 4: [] }] });
    assert.deepEqual(
      files.map(({ name }) => name),
      ['mask000.tif', 'mask001.tif', 'mask002.tif', 'mask003.tif', 'res_track.txt'],
    );
    assert.equal(new TextDecoder().decode(files[4].bytes), '1 0 1 0\n2 2 3 1\n3 2 3 1\n4 3 3 0\n');
  });

  it('leave out parents that cannot be: unknown ones and ones that live on', () => {
    const tracks = tracksOf(movie, [{ 9: [2], 3: [4] }]);
    assert.deepEqual(
      tracks.map(({ parent }) => parent),
      [0, 0, 0, 0],
    );
  });

  it('give labels and tracks back exactly, ground truth names too', async () => {
    const random = seededRandom(51);
    for (let i = 0; i < 5; i++) {
      const labels = randomLabels(random, [12, 21, 17], 6, 65_535);
      const files = await labelsToCtc(labels);
      const read = await readCtc(files.reverse());
      assert.deepEqual(read.labels, labels);
      assert.deepEqual(read.tracks, tracksOf(labels));
      const renamed = files.map(({ name, bytes }) => ({
        name: `01_GT/TRA/${name.replace('mask', 'man_track').replace('res_', 'man_')}`,
        bytes,
      }));
      assert.deepEqual(await readCtc(renamed), read);
    }
  });

  it('become lineages as the annotator keeps them', async () => {
    assert.deepEqual(tracksToLineages(parseTracks('1 0 1 0\n2 2 3 1\r\n3 2 3 1\n4 3 3 0\n')), [
      { 1: [2, 3], 2: [], 3: [] },
      { 4: [] },
    ]);
  });

  it('are refused when broken, naming what is wrong', async () => {
    assert.throws(() => parseTracks('1 0 1 0\n2 x 3 0\n'), invalid(/Line 2/));
    const files = await labelsToCtc(movie);
    await assert.rejects(readCtc(files.slice(0, 4)), invalid(/res_track/));
    const tall = (await labelsToCtc(tensor(new Uint32Array(6), [1, 2, 3])))[0];
    await assert.rejects(
      readCtc([...files.slice(0, 3), { ...tall, name: 'mask007.tif' }, files[4]]),
      invalid(/mask007.*2 x 3/),
    );
    await assert.rejects(
      labelsToCtc(tensor(Uint32Array.of(65_536), [1, 1, 1])),
      (error) => (error as SamError).code === 'unsupported',
    );
  });
});
