import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import { memoryStore } from '../../src/io/stores/memory.js';
import { createService } from '../../src/service/service.js';
import { ImageSeries } from '../../src/session/series/image-series.js';
import { AnnotationSession } from '../../src/session/session.js';
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
});
