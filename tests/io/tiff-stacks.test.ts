import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { openImage } from '../../src/io/open.js';
import { buildTiff, type Page, short, text } from '../support/tiff-builder.js';
import { counting, patchLong, readWhole } from '../support/tiff-pages.js';

describe('TIFF stacks', () => {
  const size = { width: 6, height: 5 };
  const filled = (value: number): Page => ({
    ...size,
    blocks: [new Uint8Array(30).fill(value)],
    tags: [short(258, 8), short(262, 1)],
  });
  const described = (pages: Page[], description: string): Page[] => [
    { ...pages[0], tags: [...(pages[0].tags ?? []), text(270, description)] },
    ...pages.slice(1),
  ];

  it('ImageJ hyperstacks: channels fastest, then slices, then frames, with their pixel size', async () => {
    const pages = Array.from({ length: 2 * 3 * 4 }, (_, i) => filled(i));
    pages[0] = {
      ...pages[0],
      tags: [...(pages[0].tags ?? []), { tag: 282, type: 5, values: [4] }, { tag: 283, type: 5, values: [5] }],
    };
    const text = 'ImageJ=1.53t\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\nunit=micron\nspacing=2.5\n';
    const { image } = await readWhole(buildTiff(described(pages, text)));
    assert.deepEqual(image.sizes, { t: 4, c: 2, z: 3, y: 5, x: 6 });
    assert.equal(image.axes, 'tzyx');
    assert.deepEqual(image.pixelSize, { z: 2.5, y: 0.2, x: 0.25, unit: 'µm' });
    for (const [t, z, c] of [
      [0, 0, 1],
      [3, 2, 1],
      [2, 1, 0],
    ])
      assert.equal((await image.readRegion({ t, z, channels: [c] })).data[0], (t * 3 + z) * 2 + c);
  });

  it('an ImageJ stack that lists one page for all its planes', async () => {
    const planes = Uint8Array.from({ length: 30 * 5 }, (_, i) => Math.floor(i / 30) * 10 + (i % 10));
    const pages: Page[] = [
      {
        ...size,
        blocks: [planes],
        tags: [short(258, 8), short(262, 1), text(270, 'ImageJ=1.53t\nimages=5\nslices=5\n')],
      },
    ];
    const { image } = await readWhole(buildTiff(pages));
    assert.equal(image.sizes.z, 5);
    for (let z = 0; z < 5; z++)
      assert.deepEqual((await image.readRegion({ z })).data, planes.slice(z * 30, (z + 1) * 30));
    const claimed = buildTiff(described([filled(0)], 'ImageJ=1.53t\nimages=500\nslices=500\n'));
    const alone = (await readWhole(claimed)).image;
    assert.equal(alone.sizes.z, 1);
    assert.match(alone.notices?.[0] ?? '', /states 1 frames x 500 slices .* holds 1 planes/);
  });

  it('an ImageJ stack of 5 GB in one page: a far plane costs only itself', async () => {
    const side = 1000;
    const tags = [short(258, 8), short(262, 1), text(270, 'ImageJ=1.53t\nimages=5000\nslices=5000\n')];
    const header = buildTiff([{ width: side, height: side, blocks: [new Uint8Array(1)], tags }]);
    patchLong(header, 273, header.length);
    patchLong(header, 279, side * side);
    const { source, read } = counting({
      name: 'huge.tif',
      size: header.length + 5000 * side * side,
      async read(offset, length) {
        return new Uint8Array(length).map((_, i) => header[offset + i] ?? (offset + i - header.length) % 251);
      },
    });
    const image = await openImage(source);
    assert.equal(image.sizes.z, 5000);
    const before = read();
    const { data } = await image.readRegion({ z: 4700, box: [10, 20, 11, 23] });
    const at = 4700 * side * side + 10 * side + 20;
    assert.deepEqual(Array.from(data), [at % 251, (at + 1) % 251, (at + 2) % 251]);
    assert.ok(read() - before <= side * side);
  });

  it("tifffile's description of its axes", async () => {
    const pages = Array.from({ length: 6 }, (_, i) => filled(i));
    const { image } = await readWhole(buildTiff(described(pages, '{"shape": [3, 2, 5, 6], "axes": "TCYX"}')));
    assert.deepEqual(image.sizes, { t: 3, c: 2, z: 1, y: 5, x: 6 });
    assert.equal((await image.readRegion({ t: 2, channels: [1] })).data[0], 5);
  });

  const omeXml = (tiffData: string, order = 'XYZCT') => `<?xml version="1.0" encoding="UTF-8"?>
    <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:a"><Image ID="Image:0" Name="cells &amp; more">
    <Pixels DimensionOrder="${order}" SizeX="6" SizeY="5" SizeZ="2" SizeC="2" SizeT="1" Type="uint8"
      PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="500" PhysicalSizeZUnit="nm">
    <Channel ID="0" Name="DNA" Color="65535" SamplesPerPixel="1"/><Channel ID="1" Name="Actin" SamplesPerPixel="1"/>
    ${tiffData}</Pixels></Image></OME>`;

  it('OME-XML gives axes, channels and the size of a voxel', async () => {
    const pages = Array.from({ length: 4 }, (_, i) => filled(i));
    const { image } = await readWhole(buildTiff(described(pages, omeXml('<TiffData/>', 'XYZCT'))));
    assert.equal(image.name, 'cells & more');
    assert.deepEqual(image.sizes, { t: 1, c: 2, z: 2, y: 5, x: 6 });
    assert.deepEqual(image.pixelSize, { z: 0.5, y: 0.1, x: 0.1, unit: 'µm' });
    assert.deepEqual(image.channels, [
      { name: 'DNA', color: '#0000ff' },
      { name: 'Actin', color: undefined },
    ]);
    assert.equal((await image.readRegion({ z: 1, channels: [0] })).data[0], 1);
    const swapped = await readWhole(buildTiff(described(pages, omeXml('<TiffData/>', 'XYCZT'))));
    assert.equal((await swapped.image.readRegion({ z: 1, channels: [0] })).data[0], 2);
  });

  it('sizes that are counted in pixels are none', async () => {
    for (const unit of ['pixel', 'reference frame']) {
      const xml = omeXml('<TiffData/>').replace('PhysicalSizeZ=', `PhysicalSizeXUnit="${unit}" PhysicalSizeZ=`);
      const { image } = await readWhole(buildTiff(described([0, 1, 2, 3].map(filled), xml)));
      assert.equal(image.pixelSize, undefined);
    }
  });

  it('OME-XML that only points to a companion file leaves the pages as they are', async () => {
    const xml = '<OME><BinaryOnly MetadataFile="plate.companion.ome" UUID="urn:uuid:c"/></OME>';
    const { image } = await readWhole(buildTiff(described([filled(3), filled(4)], xml)));
    assert.deepEqual(image.sizes, { t: 1, c: 1, z: 2, y: 5, x: 6 });
  });

  it('OME-TIFFs of several files show what is at hand, and say which is missing', async () => {
    const parts = [0, 1].map(
      (c) =>
        `<TiffData FirstC="${c}" FirstZ="0" IFD="0" PlaneCount="2"><UUID FileName="c${c}.ome.tif">urn:uuid:${'ab'[c]}</UUID></TiffData>`,
    );
    const file = (c: number) => buildTiff(described([filled(c * 10), filled(c * 10 + 1)], omeXml(parts.join(''))));
    const first = memoryBytes(file(0), 'c0.ome.tif');
    const whole = await openImage([memoryBytes(file(1), 'c1.ome.tif'), first]);
    assert.deepEqual(whole.files, ['c0.ome.tif', 'c1.ome.tif']);
    assert.equal((await whole.readRegion({ z: 1, channels: [1] })).data[0], 11);
    assert.deepEqual(whole.sizes, { t: 1, c: 2, z: 2, y: 5, x: 6 });
    const alone = await openImage(first);
    assert.equal((await alone.readRegion({ z: 1, channels: [0] })).data[0], 1);
    assert.equal((await alone.readRegion({ channels: [1] })).data[0], 0);
    assert.match(alone.notices?.[0] ?? '', /What is in c1\.ome\.tif is black/);
  });
});
