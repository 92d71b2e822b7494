import assert from 'node:assert/strict';
import { type ByteSource, memoryBytes } from '../../src/io/bytes.js';
import type { ImageSource } from '../../src/io/image.js';
import { openImage } from '../../src/io/open.js';
import { buildTiff, type Page, short, type Tag, text } from '../support/tiff-builder.js';

/** Pages of 6 x 5 whose pixels all are `value`. */
const SIZE = { width: 6, height: 5 };
const AREA = 30;
const filled = (value: number, tags: readonly Tag[] = []): Page => ({
  ...SIZE,
  blocks: [new Uint8Array(AREA).fill(value)],
  tags: [short(258, 8), short(262, 1), ...tags],
});
const stackOf = (count: number, tags: readonly Tag[]): Page[] =>
  Array.from({ length: count }, (_, i) => filled(i + 1, i === 0 ? tags : []));
/** The same planes behind one directory. */
const together = (count: number, tags: readonly Tag[]): Page[] => [
  {
    ...SIZE,
    blocks: [Uint8Array.from({ length: count * AREA }, (_, i) => Math.floor(i / AREA) + 1)],
    tags: [short(258, 8), short(262, 1), ...tags],
  },
];

const open = (pages: readonly Page[], name = 'test.tif') => openImage(memoryBytes(buildTiff(pages), name));

/** The one value of each plane, as [t][z][c]. */
async function values(image: ImageSource): Promise<number[][][]> {
  const { t, z, c } = image.sizes;
  const out: number[][][] = [];
  for (let ti = 0; ti < t; ti++) {
    out.push([]);
    for (let zi = 0; zi < z; zi++) {
      const { data } = await image.readRegion({ t: ti, z: zi });
      for (let i = 0; i < data.length; i++) assert.equal(data[i], data[i % c]);
      out[ti].push(Array.from(data.subarray(0, c)));
    }
  }
  return out;
}

describe('ImageJ text', () => {
  const cases: [text: string, pages: number, sizes: [t: number, z: number, c: number], notice?: RegExp][] = [
    ['images=24\nchannels=4\nslices=3\nframes=2', 24, [2, 3, 4]],
    ['channels=4\nslices=3\nframes=2', 24, [2, 3, 4]],
    ['slices=3\nframes=2', 6, [2, 3, 1]],
    ['channels=3', 3, [1, 1, 3]],
    ['frames=5', 5, [5, 1, 1]],
    ['images=5', 5, [1, 5, 1]],
    ['', 5, [1, 5, 1]],
    ['images=12\nchannels=2\nslices=3', 12, [2, 3, 2]],
    ['images=12\nframes=2\nslices=3', 12, [2, 3, 2]],
    ['images=12\nchannels=2', 12, [1, 6, 2]],
    ['images=5\nchannels=2\nslices=5', 5, [1, 5, 1], /2 channels, but the file holds 5/],
    ['images=10\nslices=10\nchannels=1', 7, [1, 10, 1], /announces 10 planes and holds 7/],
    ['images=4\nslices=4', 6, [1, 6, 1], undefined],
  ];
  for (const [lines, pages, [t, z, c], notice] of cases)
    it(`"${lines.replaceAll('\n', ' ')}" over ${pages} pages is t${t} z${z} c${c}`, async () => {
      const image = await open(stackOf(pages, [text(270, `ImageJ=1.53t\n${lines}\n`)]));
      assert.deepEqual([image.sizes.t, image.sizes.z, image.sizes.c], [t, z, c]);
      let next = 0;
      const expected = Array.from({ length: t }, () =>
        Array.from({ length: z }, () => Array.from({ length: c }, () => (++next <= pages ? next : 0))),
      );
      assert.deepEqual(await values(image), expected);
      if (notice) assert.match(image.notices?.join(' ') ?? '', notice);
    });

  it('an order that is named is followed', async () => {
    const image = await open(stackOf(6, [text(270, 'ImageJ=1.53t\norder=zct\nchannels=2\nslices=3\n')]));
    assert.deepEqual(await values(image), [
      [
        [1, 4],
        [2, 5],
        [3, 6],
      ],
    ]);
  });

  it('a unit in Latin-1 is the unit it is', async () => {
    const description = Uint8Array.from('ImageJ=1.52p\nslices=2\nunit=\xb5m\nspacing=2\0', (letter) =>
      letter.charCodeAt(0),
    );
    const tags: Tag[] = [
      { tag: 270, type: 2, values: description },
      { tag: 282, type: 5, values: [2] },
      { tag: 283, type: 5, values: [2] },
    ];
    const image = await open(stackOf(2, tags));
    assert.deepEqual(image.pixelSize, { z: 2, y: 0.5, x: 0.5, unit: 'µm' });
  });
});

describe("tifffile's shapes", () => {
  const cases: [description: string, planes: number, sizes: [t: number, z: number, c: number]][] = [
    ['{"shape": [6, 5, 6], "truncated": true}', 6, [1, 6, 1]],
    ['{"shape": [2, 3, 5, 6], "truncated": true}', 6, [2, 3, 1]],
    ['{"shape": [2, 3, 5, 6], "axes": "TCYX", "truncated": true}', 6, [2, 1, 3]],
    ['shape=(6, 5, 6)', 6, [1, 6, 1]],
    ['{"shape": [6, 1, 5, 6, 1], "axes": "TZYXS"}', 6, [6, 1, 1]],
    ['{"shape": [6, 5, 6], "axes": "RYX"}', 6, [1, 6, 1]],
  ];

  it('of three planes that it took for colours are time points or slices if their axes say so', async () => {
    const colours = (first: number, tags: readonly Tag[] = []): Page => ({
      ...SIZE,
      blocks: [0, 1, 2].map((sample) => new Uint8Array(AREA).fill(first + sample)),
      tags: [short(258, 8, 8, 8), short(262, 2), short(277, 3), short(284, 2), ...tags],
    });
    for (const [axes, sizes] of [
      ['TYX', { t: 3, z: 1, c: 1 }],
      ['ZYX', { t: 1, z: 3, c: 1 }],
      ['SYX', { t: 1, z: 1, c: 3 }],
    ] as const) {
      const image = await open([colours(1, [text(270, `{"shape": [3, 5, 6], "axes": "${axes}"}`)])]);
      assert.deepEqual(image.sizes, { ...sizes, y: 5, x: 6 });
      assert.equal(image.rgb, axes === 'SYX');
      assert.deepEqual((await values(image)).flat(2), [1, 2, 3]);
    }
    const both = await open([colours(1, [text(270, '{"shape": [2, 3, 5, 6], "axes": "TZYX"}')]), colours(4)]);
    assert.deepEqual((await values(both)).flat(2), [1, 2, 3, 4, 5, 6]);
    assert.equal(both.sizes.t, 2);
  });

  for (const [description, count, [t, z, c]] of cases)
    for (const [how, pages] of [
      ['behind one directory', together(count, [text(270, description)])],
      ['with a directory each', stackOf(count, [text(270, description.replace(', "truncated": true', ''))])],
    ] as const)
      it(`${description} ${how}`, async () => {
        const image = await open(pages);
        assert.deepEqual([image.sizes.t, image.sizes.z, image.sizes.c], [t, z, c]);
        assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 4, 5, 6]);
      });

  it('with fewer planes than said, the others are black and absent', async () => {
    const image = await open(stackOf(4, [text(270, '{"shape": [3, 2, 5, 6], "axes": "TZYX"}')]));
    assert.deepEqual(await values(image), [
      [[1], [2]],
      [[3], [4]],
      [[0], [0]],
    ]);
    assert.deepEqual(image.absentPlanes, [4, 5]);
  });

  it('two arrays in one file are two images', async () => {
    const shape = (length: number) => [text(270, `{"shape": [${length}, 5, 6]}`)];
    const pages = [filled(1, shape(2)), filled(2), filled(3, shape(3)), filled(4), filled(5)];
    const bytes = memoryBytes(buildTiff(pages), 'two.tif');
    assert.deepEqual((await values(await openImage(bytes))).flat(2), [1, 2]);
    const second = await openImage(bytes, { series: 1 });
    assert.deepEqual((await values(second)).flat(2), [3, 4, 5]);
    assert.deepEqual(second.images, ['two.tif', 'two (2).tif']);
  });
});

describe('MetaMorph stacks', () => {
  /** UIC1: a calibration of 0.25 um, at the place in the file where the tag's values will be. */
  const uic2 = (planes: readonly { readonly z: number; readonly time: number }[]): Tag => ({
    tag: 33629,
    type: 5,
    count: planes.length,
    values: new Uint8Array(
      Uint32Array.from(planes.flatMap(({ z, time }) => [Math.round(z * 100), 100, 2_450_000, time, 0, 0])).buffer,
    ),
  });
  const planes = (z: number, time: number) => Array.from({ length: 4 }, (_, i) => ({ z, time: i * time }));

  it('planes at distances are a volume', async () => {
    const image = await open(together(4, [uic2(planes(0.5, 0))]), 'a.stk');
    assert.deepEqual([image.sizes.t, image.sizes.z], [1, 4]);
    assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 4]);
  });

  it('planes at times are a time series', async () => {
    const image = await open(together(4, [uic2(planes(0, 250))]), 'a.stk');
    assert.deepEqual([image.sizes.t, image.sizes.z], [4, 1]);
  });

  it('neither known, they are a stack; what was not recorded is absent', async () => {
    const image = await open(together(3, [uic2(planes(0, 0))]), 'a.stk');
    assert.deepEqual([image.sizes.t, image.sizes.z], [1, 4]);
    assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 0]);
    assert.deepEqual(image.absentPlanes, [3]);
  });

  it('the calibration is the size of a pixel', async () => {
    // UIC1 points to places in the file: they are appended, and where that is, is known once the file is built.
    const pointers = (at: number): Tag => ({
      tag: 33628,
      type: 4,
      count: 3,
      values: new Uint8Array(Uint32Array.from([4, at, 5, at + 8, 6, at + 16]).buffer),
    });
    const build = (at: number) => buildTiff(together(4, [uic2(planes(2, 0)), pointers(at)]));
    const end = build(0).length;
    const appended = new Uint8Array(Uint32Array.from([25, 100, 50, 100, 3]).buffer);
    const bytes = Uint8Array.from([...build(end), ...appended, 0x75, 0x6d, 0]);
    const image = await openImage(memoryBytes(bytes, 'a.stk'));
    assert.deepEqual(image.pixelSize, { x: 0.25, y: 0.5, z: 2, unit: 'µm' });
  });
});

describe('Zeiss LSM', () => {
  /** CZ_LSMINFO as far as it is read. */
  function lsmInfo(sizes: { z?: number; t?: number; c?: number; p?: number; scan: number; colours?: number }): Tag {
    const bytes = new Uint8Array(300);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x0400494c, true);
    view.setInt32(4, bytes.length, true);
    for (const [i, length] of [6, 5, sizes.z ?? 1, sizes.c ?? 1, sizes.t ?? 1].entries())
      view.setInt32(8 + 4 * i, length, true);
    for (const [i, metres] of [1e-7, 2e-7, 5e-7].entries()) view.setFloat64(40 + 8 * i, metres, true);
    view.setUint16(88, sizes.scan, true);
    view.setUint32(108, sizes.colours ?? 0, true);
    view.setInt32(264, sizes.p ?? 0, true);
    return { tag: 34412, type: 7, values: bytes };
  }
  /** Pages of `channels` planar samples, value = 10 * page + channel, each with a thumbnail. */
  function pages(count: number, channels: number, info: Tag): Page[] {
    const layout = channels > 1 ? [short(277, channels), short(284, 2)] : [];
    const bits = short(258, ...Array.from({ length: channels }, () => 8));
    return Array.from({ length: count }, (_, page) => [
      {
        ...SIZE,
        blocks: Array.from({ length: channels }, (_, c) => new Uint8Array(AREA).fill(10 * page + c)),
        tags: [bits, short(262, channels === 3 ? 2 : 1), ...layout, ...(page === 0 ? [info] : [])],
      },
      { width: 3, height: 2, blocks: [new Uint8Array(6)], tags: [short(254, 1), short(258, 8), short(262, 1)] },
    ]).flat();
  }

  it('channels, planes and time points as its own tag says, thumbnails left out', async () => {
    const image = await open(pages(6, 3, lsmInfo({ z: 3, t: 2, c: 3, scan: 6 })), 'a.lsm');
    assert.deepEqual(image.sizes, { t: 2, c: 3, z: 3, y: 5, x: 6 });
    assert.equal(image.rgb, false);
    assert.equal(image.images?.length, 1);
    assert.deepEqual(image.pixelSize, { z: 0.5, y: 0.2, x: 0.1, unit: 'µm' });
    assert.deepEqual((await values(image))[1], [
      [30, 31, 32],
      [40, 41, 42],
      [50, 51, 52],
    ]);
  });

  it('a stack, and a time series', async () => {
    const stack = await open(pages(4, 1, lsmInfo({ z: 4, scan: 0 })), 'a.lsm');
    assert.deepEqual([stack.axes, stack.sizes.z], ['zyx', 4]);
    const series = await open(pages(4, 2, lsmInfo({ t: 4, c: 2, scan: 3 })), 'a.lsm');
    assert.deepEqual([series.axes, series.sizes.t, series.sizes.c], ['tyx', 4, 2]);
  });

  it('each position is an image; a recording that was stopped is as long as it was meant to be', async () => {
    const bytes = memoryBytes(buildTiff(pages(4, 1, lsmInfo({ z: 2, p: 2, scan: 0 }))), 'a.lsm');
    const second = await openImage(bytes, { series: 1 });
    assert.deepEqual((await values(second)).flat(2), [20, 30]);
    const stopped = await open(pages(3, 1, lsmInfo({ t: 5, scan: 3 })), 'a.lsm');
    assert.deepEqual((await values(stopped)).flat(2), [0, 10, 20, 0, 0]);
    assert.deepEqual(stopped.absentPlanes, [3, 4]);
  });

  it('beyond 4 GB, where offsets begin again at 0', async () => {
    const GB = 2 ** 30;
    // Two positions, two time points: each time point is recorded at both.
    const places = [1 * GB, 5 * GB, 3 * GB, 8 * GB + 7];
    const bytes = withOffsets(buildTiff(pages(4, 1, lsmInfo({ t: 2, p: 2, scan: 3 }))), places);
    const source: ByteSource = {
      name: 'large.lsm',
      size: 10 * GB,
      async read(offset, length) {
        const plane = places.indexOf(offset);
        if (plane >= 0) return new Uint8Array(length).fill(10 * plane);
        const part = new Uint8Array(length);
        part.set(bytes.subarray(offset, offset + length));
        return part;
      },
    };
    const of = async (series: number) => (await values(await openImage(source, { series }))).flat(2);
    assert.deepEqual(
      [await of(0), await of(1)],
      [
        [0, 10],
        [20, 30],
      ],
    );
  });

  /** With the strips of full pages, one each, at these places: what is beyond 4 GB is cut off, as ZEN does. */
  function withOffsets(bytes: Uint8Array, places: readonly number[]): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let page = 0;
    for (let at = view.getUint32(4, true); at !== 0; page++) {
      const entries = view.getUint16(at, true);
      for (let entry = at + 2; entry < at + 2 + 12 * entries; entry += 12)
        if (view.getUint16(entry, true) === 273 && page % 2 === 0)
          view.setUint32(entry + 8, places[page / 2] % 2 ** 32, true);
      at = view.getUint32(at + 2 + 12 * entries, true);
    }
    return bytes;
  }

  it('with nothing but thumbnails is an error, not an image without planes', async () => {
    const [, thumbnail] = pages(1, 1, lsmInfo({ scan: 0 }));
    const only = { ...thumbnail, tags: [...(thumbnail.tags ?? []), lsmInfo({ scan: 0 })] };
    await assert.rejects(open([only], 'a.lsm'), { code: 'invalid_image', message: /thumbnails/ });
  });

  it('names and colours of channels', async () => {
    const names = ['Ch1-T1', 'Ch2-T1'].map((name) => [...new TextEncoder().encode(`${name}\0`)]);
    const build = (colours: number) => buildTiff(pages(1, 2, lsmInfo({ c: 2, scan: 0, colours })));
    const list = names.flatMap((name) => [name.length, 0, 0, 0, ...name]);
    const block = [255, 0, 0, 0, 0, 255, 128, 0, ...list];
    const head = Uint32Array.from([24 + block.length, 2, 2, 24, 32, 0]);
    const bytes = Uint8Array.from([...build(build(0).length), ...new Uint8Array(head.buffer), ...block]);
    const image = await openImage(memoryBytes(bytes, 'a.lsm'));
    assert.deepEqual(image.channels, [
      { name: 'Ch1-T1', color: '#ff0000' },
      { name: 'Ch2-T1', color: '#00ff80' },
    ]);
  });
});

describe('ScanImage', () => {
  const software = (lines: readonly string[]) => [text(305, lines.map((line) => `SI.${line}`).join('\n'))];
  const cases: [name: string, lines: string[], planes: number, sizes: [t: number, z: number, c: number]][] = [
    ['channels and frames', ['hChannels.channelSave = [1;2]', 'hStackManager.framesPerSlice = 3'], 6, [3, 1, 2]],
    [
      'slices',
      ['hChannels.channelSave = 1', 'hStackManager.framesPerSlice = 1', 'hStackManager.numSlices = 6'],
      6,
      [1, 6, 1],
    ],
    [
      'without end',
      ['hChannels.channelSave = 2', 'hStackManager.framesPerSlice = Inf', 'hStackManager.numSlices = 1'],
      6,
      [6, 1, 1],
    ],
    [
      'volumes',
      [
        'hChannels.channelSave = 1',
        'hStackManager.framesPerSlice = 1',
        'hStackManager.numSlices = 3',
        'hFastZ.enable = true',
        'hFastZ.numVolumes = 2',
      ],
      6,
      [2, 3, 1],
    ],
  ];
  for (const [name, lines, count, [t, z, c]] of cases)
    it(`${name}`, async () => {
      const image = await open(stackOf(count, software(lines)));
      assert.deepEqual([image.sizes.t, image.sizes.z, image.sizes.c], [t, z, c]);
      assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 4, 5, 6]);
    });

  it('all planes behind one directory', async () => {
    const image = await open(
      together(6, software(['hChannels.channelSave = [1;2]', 'hStackManager.framesPerSlice = 3'])),
    );
    assert.deepEqual([image.sizes.t, image.sizes.z, image.sizes.c], [3, 1, 2]);
    assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 4, 5, 6]);
  });
});

describe('OME-TIFF that its pages contradict', () => {
  const xml = (pixels: string, inside: string, head = '') =>
    `<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"${head}><Image ID="Image:0" Name="a"><Pixels DimensionOrder="XYZCT" Type="uint8" ${pixels}>${inside}</Pixels></Image></OME>`;
  const sizes = (t: number, z = 1, c = 1, y = 5, x = 6) =>
    `SizeX="${x}" SizeY="${y}" SizeZ="${z}" SizeC="${c}" SizeT="${t}"`;

  for (const [how, inside] of [
    ['listed', [0, 1, 2, 3, 4].map((t) => `<TiffData FirstT="${t}" IFD="${t}" PlaneCount="1"/>`).join('')],
    ['listed as far as it goes', [0, 1, 2].map((t) => `<TiffData FirstT="${t}" IFD="${t}"/>`).join('')],
    ['not listed', '<TiffData/>'],
  ] as const)
    it(`a recording that stopped early (${how})`, async () => {
      const image = await open(stackOf(3, [text(270, xml(sizes(5), inside))]));
      assert.deepEqual((await values(image)).flat(2), [1, 2, 3, 0, 0]);
      assert.deepEqual(image.absentPlanes, [3, 4]);
      assert.match(image.notices?.[0] ?? '', /announces 5 planes and holds 3/);
    });

  it('pages that the XML does not tell of are an image of their own', async () => {
    const bytes = memoryBytes(buildTiff(stackOf(5, [text(270, xml(sizes(3), '<TiffData/>'))])), 'long.ome.tif');
    const image = await openImage(bytes);
    assert.deepEqual(image.images, ['a', '2 pages beyond the OME-XML']);
    assert.deepEqual((await values(await openImage(bytes, { series: 1 }))).flat(2), [4, 5]);
  });

  it('pages of another size are as large as they are', async () => {
    const image = await open(stackOf(2, [text(270, xml(sizes(2, 1, 1, 50, 60), '<TiffData/>'))]));
    assert.deepEqual([image.sizes.y, image.sizes.x, image.sizes.t], [5, 6, 2]);
    assert.match(image.notices?.[0] ?? '', /says 50 x 60 pixels, but its pages are 5 x 6/);
  });

  for (const [how, channels] of [
    ['without channels', ''],
    ['with one channel', '<Channel ID="Channel:0:0"/>'],
    ['with three channels', [0, 1, 2].map((c) => `<Channel ID="Channel:0:${c}" SamplesPerPixel="1"/>`).join('')],
  ] as const)
    it(`colour ${how} of unstated samples`, async () => {
      const page: Page = {
        ...SIZE,
        blocks: [Uint8Array.from({ length: AREA * 3 }, (_, i) => i % 3)],
        tags: [
          short(258, 8, 8, 8),
          short(262, 2),
          short(277, 3),
          text(270, xml(sizes(1, 1, 3), `${channels}<TiffData/>`)),
        ],
      };
      const image = await open([page]);
      assert.deepEqual([image.rgb, image.sizes.c], [true, 3]);
      assert.deepEqual((await values(image)).flat(2), [0, 1, 2]);
    });

  for (const [what, broken] of [
    ['no image', '<OME xmlns="x"></OME>'],
    ['no size', xml('SizeX="6" SizeY="5"', '<TiffData/>')],
    ['no such order', xml(sizes(3), '<TiffData/>').replace('XYZCT', 'XYZZT')],
    ['sizes of zero', xml(sizes(0), '<TiffData/>')],
    ['text that breaks off', xml(sizes(3), '<TiffData/>').slice(0, 120)],
  ] as const)
    it(`XML with ${what}: the pages as they are`, async () => {
      const image = await open(stackOf(3, [text(270, broken)]));
      assert.deepEqual((await values(image)).flat(2), [1, 2, 3]);
      assert.match(image.notices?.[0] ?? '', /does not describe its pages/);
    });

  for (const [what, extra] of [
    ['a comment', `<!-- ${xml(sizes(9), '')} -->`],
    ['text as it is', `<Description><![CDATA[${xml(sizes(9), '')}]]></Description>`],
    [
      'notes of a program',
      `<StructuredAnnotations><XMLAnnotation>${xml(sizes(9), '')}</XMLAnnotation></StructuredAnnotations>`,
    ],
    ['no notes', '<StructuredAnnotations/>'],
    ['an attribute', '<Experimenter Name="a > b"/>'],
  ] as const)
    it(`an image in ${what} is none`, async () => {
      const image = await open(stackOf(3, [text(270, xml(sizes(3), '').replace('<Image', `${extra}<Image`))]));
      assert.deepEqual((await values(image)).flat(2), [1, 2, 3]);
      assert.equal(image.notices, undefined);
    });

  it('a file that was renamed is its own', async () => {
    const part = '<TiffData IFD="0" PlaneCount="3"><UUID FileName="before.ome.tif">urn:uuid:1</UUID></TiffData>';
    const image = await open(stackOf(3, [text(270, xml(sizes(3), part))]), 'after.ome.tif');
    assert.deepEqual((await values(image)).flat(2), [1, 2, 3]);
  });
});

describe('OME-TIFF of several positions', () => {
  const position = (i: number) =>
    `<Image ID="Image:${i}" Name="pos${i}"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeZ="2" SizeC="1" SizeT="1">${[0, 1].map((z) => `<TiffData FirstZ="${z}" IFD="${z}" PlaneCount="1"><UUID FileName="Pos${i}.ome.tif">urn:uuid:${i}</UUID></TiffData>`).join('')}</Pixels></Image>`;
  const file = (own: number, withUuid: boolean) => {
    const uuid = withUuid ? ` UUID="urn:uuid:${own}"` : '';
    const xml = `<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"${uuid}>${position(0)}${position(1)}</OME>`;
    const pages = [filled(10 * own + 1, [text(270, xml)]), filled(10 * own + 2)];
    return memoryBytes(buildTiff(pages), `Pos${own}.ome.tif`);
  };

  for (const withUuid of [true, false]) {
    it(`one alone shows its own (${withUuid ? 'with' : 'without'} UUID)`, async () => {
      for (const own of [0, 1]) {
        const image = await openImage(file(own, withUuid));
        assert.deepEqual(image.images, [`pos${own}`]);
        assert.equal(image.name, `pos${own}`);
        assert.deepEqual((await values(image)).flat(2), [10 * own + 1, 10 * own + 2]);
        assert.match(image.notices?.join(' ') ?? '', new RegExp(`pos${1 - own} \\(in Pos${1 - own}`));
      }
    });

    it(`both together offer both (${withUuid ? 'with' : 'without'} UUID)`, async () => {
      for (const series of [0, 1]) {
        const image = await openImage([file(1, withUuid), file(0, withUuid)], { series });
        assert.deepEqual(image.images, ['pos0', 'pos1']);
        assert.deepEqual((await values(image)).flat(2), [10 * series + 1, 10 * series + 2]);
        assert.equal(image.notices, undefined);
      }
    });
  }
});

describe('a time series of several OME-TIFFs', () => {
  const names = [0, 1, 2].map((t) => `t${t}.ome.tif`);
  const parts = names
    .map((name, t) => `<TiffData FirstT="${t}" IFD="0"><UUID FileName="${name}">urn:uuid:${t}</UUID></TiffData>`)
    .join('');
  const whole = `<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeZ="1" SizeC="1" SizeT="3">${parts}</Pixels></Image>`;
  const other = `<Image ID="Image:1" Name="other"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeZ="1" SizeC="1" SizeT="1"><TiffData IFD="0"><UUID FileName="other.ome.tif">urn:uuid:9</UUID></TiffData></Pixels></Image>`;
  const file = (name: string, value: number, uuid: number, xml = whole) =>
    memoryBytes(buildTiff([filled(value, [text(270, `<OME UUID="urn:uuid:${uuid}">${xml}</OME>`)])]), name);
  const beside = async (name: string) => {
    const t = names.indexOf(name);
    return t < 0 ? undefined : file(name, t + 1, t);
  };

  it('opened from the middle shows what is in it: the others are black, absent and named', async () => {
    const image = await openImage(file(names[1], 2, 1));
    assert.deepEqual((await values(image)).flat(2), [0, 2, 0]);
    assert.deepEqual(image.absentPlanes, [0, 2]);
    assert.match(image.notices?.join(' ') ?? '', /t0\.ome\.tif, t2\.ome\.tif is black/);
  });

  it('opened from the middle finds the others beside it, but for those of other positions', async () => {
    const asked: string[] = [];
    const image = await openImage(file(names[1], 2, 1, other + whole), {
      beside: (name) => {
        asked.push(name);
        return beside(name);
      },
    });
    assert.deepEqual(asked, [names[0], names[2]]);
    assert.deepEqual((await values(image)).flat(2), [1, 2, 3]);
    assert.deepEqual(image.files, names);
    assert.equal(image.images?.length, 1);
    assert.match(image.notices?.join(' ') ?? '', /To see other \(in other\.ome\.tif\)/);
  });
});

describe('companion files', () => {
  const companion = `<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:c"><Image ID="Image:0" Name="whole"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeZ="2" SizeC="1" SizeT="1">${[0, 1].map((z) => `<TiffData FirstZ="${z}" IFD="0" PlaneCount="1"><UUID FileName="p${z}.ome.tiff">urn:uuid:p${z}</UUID></TiffData>`).join('')}</Pixels></Image></OME>`;
  const pointer = (z: number) =>
    `<OME xmlns="x" UUID="urn:uuid:p${z}"><BinaryOnly MetadataFile="m.companion.ome" UUID="urn:uuid:c"/></OME>`;
  const part = (z: number) => memoryBytes(buildTiff([filled(z + 1, [text(270, pointer(z))])]), `p${z}.ome.tiff`);
  const xml = memoryBytes(new TextEncoder().encode(companion), 'm.companion.ome');

  it('put their files together', async () => {
    const image = await openImage([part(1), xml, part(0)]);
    assert.equal(image.name, 'whole');
    assert.deepEqual((await values(image)).flat(2), [1, 2]);
    assert.deepEqual(image.files, ['p0.ome.tiff', 'p1.ome.tiff']);
  });

  it('find them beside', async () => {
    const beside = async (name: string) => [part(0), part(1)].find((file) => file.name === name);
    assert.deepEqual((await values(await openImage(xml, { beside }))).flat(2), [1, 2]);
  });

  it('say what is missing; a part alone says what it belongs to', async () => {
    await assert.rejects(openImage(xml), { code: 'unsupported', message: /p0\.ome\.tiff/ });
    const image = await openImage([xml, part(0)]);
    assert.deepEqual((await values(image)).flat(2), [1, 0]);
    assert.deepEqual(image.absentPlanes, [1]);
    assert.match(image.notices?.[0] ?? '', /p1\.ome\.tiff is black/);
    const alone = await openImage(part(1));
    assert.deepEqual((await values(alone)).flat(2), [2]);
    assert.match(alone.notices?.[0] ?? '', /m\.companion\.ome/);
  });
});

describe('Aperio', () => {
  it('the micrometres per pixel of the description are the size of a pixel', async () => {
    const description =
      'Aperio Image Library v11.2.1 \r\n6x5 [0,0 6x5] (8x8) J/GBR Q=30|AppMag = 20|MPP = 0.4990|Left = 25';
    const image = await open([filled(1, [text(270, description)])], 'a.svs');
    assert.deepEqual(image.pixelSize, { y: 0.499, x: 0.499, unit: 'µm' });
  });
});
