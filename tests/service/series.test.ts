import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodeService } from '../../src/app/node-service.js';
import { openImage } from '../../src/io/open.js';
import { fromRpcArray } from '../../src/io/rpc-array.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { createService } from '../../src/service/service.js';
import { ImageSeries } from '../../src/session/series/image-series.js';
import { AnnotationSession } from '../../src/session/session.js';
import { brightWorker } from '../support/bright-worker.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { arrayImage } from '../support/disc-service.js';

/** A service whose series are really opened; a disc stands for the model. */
function seriesService() {
  const session = new AnnotationSession();
  let series: ImageSeries | undefined;
  return createService({
    session,
    openImage: async () => undefined,
    series: () => series,
    async openSeries(images) {
      series = await ImageSeries.open(session, {
        names: images.map(({ name }) => name),
        async open(index) {
          const { name, axes, sizes } = await openImage(images[index].input, { name: images[index].name });
          const size = [sizes.y, sizes.x] as const;
          session.open({ name, axes, size, planes: 1, signature: name }, new DiscAnnotator(size));
        },
        store: memoryStore(),
        output: memoryStore(),
      });
      await series.start();
    },
  });
}

describe('service: series of images', () => {
  it('are opened, walked through and told', async () => {
    const service = seriesService();
    await assert.rejects(service.get_series(), /not_found: No series of images is open/);
    const file = new File([new Uint8Array(9)], 'broken.tif');
    const opened = await service.open_series([arrayImage(), file, arrayImage(30, 20)]);
    assert.deepEqual(
      [opened.current, opened.images.map(({ name, state }) => [name, state])],
      [
        0,
        [
          ['image 1', 'work'],
          ['broken.tif', 'new'],
          ['image 3', 'new'],
        ],
      ],
    );
    assert.equal(await service.next_image(), true, 'past the broken one');
    assert.deepEqual((await service.get_state()).image?.shape, [30, 20]);
    const { current, images } = await service.get_series();
    assert.deepEqual([current, images.map(({ state }) => state)], [2, ['empty', 'failed', 'work']]);
    assert.match(images[1].failure ?? '', /broken\.tif/);
    assert.equal(await service.next_image(), false);
    await assert.rejects(service.go_to_image(1), /unsupported: broken\.tif/);
    await assert.rejects(service.go_to_image(3), /invalid_argument: Image 4 was asked for; the series has 3/);
    assert.equal(await service.previous_image(), true);
    assert.equal((await service.get_state()).image?.name, 'image 1');
  });

  it('refuses what is no list of images, and names that do not fit', async () => {
    const service = seriesService();
    await assert.rejects(service.open_series([]), /invalid_argument: open_series, images: the list is empty/);
    await assert.rejects(service.open_series([7]), /invalid_argument: .*ndarray, a URL, a File or bytes/);
    await assert.rejects(service.open_series([arrayImage()], ['a', 'b']), /1 images but 2 names/);
    await assert.rejects(service.open_series([arrayImage(), arrayImage()], ['a', 'a']), /the same name/);
  });

  /** 40 x 60, bright in the columns from `left` on. */
  const bright = (left: number) => {
    const data = Uint8Array.from({ length: 40 * 60 }, (_, p) => (p % 60 >= left && p % 60 < left + 20 ? 200 : 0));
    return { _rtype: 'ndarray', _rvalue: data.buffer, _rshape: [40, 60], _rdtype: 'uint8' };
  };

  it('are segmented by a script, image by image as they are done, with results in its folder', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'series-'));
    const [output, broken] = ['results', 'broken.tif'].map((name) => path.join(folder, name));
    writeFileSync(broken, new Uint8Array(9));
    const sam = nodeService(brightWorker());
    await sam.image_series_annotator([bright(0), broken, bright(10), bright(20)], { output_folder: output });
    await sam.set_committed_objects(new Array(40).fill(new Array(60).fill(7)));
    const found: unknown[] = [];
    for await (const image of await sam.segment_series({ stream: true })) {
      if (!('labels' in image)) found.push([image.index, image.name, image.failure]);
      else {
        const row = fromRpcArray(image.labels!).data.subarray(9 * 60, 10 * 60);
        found.push([image.index, image.name, image.objects, row.indexOf(Math.max(...row)), Math.max(...row)]);
      }
    }
    assert.match(String((found[0] as unknown[]).pop()), /broken\.tif is not an image/);
    assert.deepEqual(found, [
      [1, 'broken.tif'],
      [2, 'image 3', 1, 10, 1],
      [3, 'image 4', 1, 20, 1],
    ]);
    const results = readdirSync(output).sort();
    assert.deepEqual(results, ['image 1_labels.tif', 'image 3_labels.tif', 'image 4_labels.tif', 'objects.csv']);
    await sam.open_image(bright(5));
    await assert.rejects(sam.get_series(), /not_found: No series/);
    await sam.close();
    rmSync(folder, { recursive: true });
  });

  it('stop being segmented when nobody reads on, or by the name of the task', async () => {
    const sam = nodeService(brightWorker(2));
    const names = Array.from({ length: 40 }, (_, i) => `image ${i}`);
    const images = names.map((_, i) => bright(i));
    const segmented = async () => (await sam.get_series()).images.filter((image) => image.segmented).length;
    await sam.open_series(images, names);
    const steps: number[] = [];
    const progress = ({ done, total }: { done: number; total: number }) => void steps.push(done / total);
    for await (const { index } of await sam.segment_series({ stream: true, progress })) if (index === 2) break;
    const stopped = await segmented();
    assert.ok(stopped >= 3 && stopped < 20, `${stopped}`);
    assert.equal(steps[0], 1 / 40);
    const rest = sam.segment_series({ task: 'the rest' });
    while ((await segmented()) < stopped + 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await sam.cancel('the rest');
    await assert.rejects(rest, { code: 'cancelled' });
    assert.ok((await segmented()) < 35);
    await sam.close();
  });
});
