import { buildTiff, short, text } from './tiff-builder.js';

/** Recordings of several files, as microscopes write them; every plane of 6 x 5 pixels has one value. */

const [WIDTH, HEIGHT] = [6, 5];

/** A file of a recording: which planes it holds, with their values, and of which image. */
export interface RecordingFile {
  readonly name: string;
  readonly image: number;
  /** [z, value] of each page. */
  readonly planes: readonly (readonly [z: number, value: number])[];
}

/** The OME-XML of all images of a recording, which lists the files that their planes are in. */
export function recordingXml(files: readonly RecordingFile[], uuid?: string): string {
  const images = [...new Set(files.map(({ image }) => image))].sort((a, b) => a - b);
  const data = ({ name, planes }: RecordingFile) =>
    planes.map(
      ([z], page) => `<TiffData FirstZ="${z}" IFD="${page}"><UUID FileName="${name}">${uuidOf(name)}</UUID></TiffData>`,
    );
  const xml = images.map((image) => {
    const own = files.filter((file) => file.image === image);
    const depth = own.reduce((sum, { planes }) => sum + planes.length, 0);
    return `<Image ID="Image:${image}" Name="pos${image}"><Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="${WIDTH}" SizeY="${HEIGHT}" SizeZ="${depth}" SizeC="1" SizeT="1">${own.flatMap(data).join('')}</Pixels></Image>`;
  });
  return `<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"${uuid ? ` UUID="${uuid}"` : ''}>${xml.join('')}</OME>`;
}

/**
 * The bytes of each file by its name.
 *
 * @param metadata where the OME-XML is: in every file, in the first one, to which the others point (MicroManager), or in a
 * companion file of this name
 */
export function recording(
  files: readonly RecordingFile[],
  metadata: 'each' | 'first' | `${string}.companion.ome`,
): Map<string, Uint8Array> {
  const described = metadata === 'first' ? files[0].name : metadata;
  const bytes = new Map<string, Uint8Array>();
  if (metadata !== 'each' && metadata !== 'first')
    bytes.set(metadata, new TextEncoder().encode(recordingXml(files, uuidOf(metadata))));
  for (const file of files) {
    const points = metadata !== 'each' && file.name !== described;
    const pointer = `<OME UUID="${uuidOf(file.name)}"><BinaryOnly MetadataFile="${described}" UUID="${uuidOf(described)}"/></OME>`;
    const description = text(270, points ? pointer : recordingXml(files, uuidOf(file.name)));
    const pages = file.planes.map(([, value], page) => ({
      width: WIDTH,
      height: HEIGHT,
      blocks: [new Uint8Array(WIDTH * HEIGHT).fill(value)],
      tags: [short(258, 8), short(262, 1), ...(page === 0 ? [description] : [])],
    }));
    bytes.set(file.name, buildTiff(pages));
  }
  return bytes;
}

function uuidOf(name: string): string {
  return `urn:uuid:${name}`;
}

/** Two positions, of which the first is in two files because one grew too large. */
export const POSITIONS: readonly RecordingFile[] = [
  {
    name: 's_MMStack_Pos0.ome.tif',
    image: 0,
    planes: [
      [0, 1],
      [1, 2],
    ],
  },
  { name: 's_MMStack_Pos0_1.ome.tif', image: 0, planes: [[2, 3]] },
  {
    name: 's_MMStack_Pos1.ome.tif',
    image: 1,
    planes: [
      [0, 4],
      [1, 5],
    ],
  },
];

/** One image with its planes in a file each. */
export const SLICES: readonly RecordingFile[] = [0, 1, 2].map((z) => ({
  name: `slice${z}.ome.tif`,
  image: 0,
  planes: [[z, 11 + z]],
}));

/** A plane of an NDTiff: its place on each axis, and its value. */
export interface NdTiffPlane {
  readonly axes: Readonly<Record<string, number | string>>;
  readonly value: number;
}

/** An NDTiff with `perFile` planes in each file, 0.25 µm a pixel, beside its index. */
export function ndTiff(planes: readonly NdTiffPlane[], perFile: number): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const index: number[] = [];
  const put = (...numbers: number[]) => index.push(...new Uint8Array(Uint32Array.from(numbers).buffer));
  const putText = (words: string) => {
    const bytes = new TextEncoder().encode(words);
    put(bytes.length);
    index.push(...bytes);
  };
  const metadata = new TextEncoder().encode('{"PixelSizeUm": 0.25}');
  for (let k = 0; k * perFile < planes.length; k++) {
    const name = `run_NDTiffStack${k === 0 ? '' : `_${k}`}.tif`;
    const held = planes.slice(k * perFile, (k + 1) * perFile);
    const pages = held.map(({ value }) => ({
      width: WIDTH,
      height: HEIGHT,
      blocks: [new Uint8Array(WIDTH * HEIGHT).fill(value)],
      tags: [short(258, 8), short(259, 1), short(262, 1)],
    }));
    const tiff = buildTiff(pages);
    for (const { axes, value } of held) {
      const offset = tiff.findIndex((_, at) => tiff.subarray(at, at + WIDTH * HEIGHT).every((byte) => byte === value));
      putText(JSON.stringify(axes));
      putText(name);
      put(offset, WIDTH, HEIGHT, 0, 0, tiff.length, metadata.length, 0);
    }
    files.set(name, Uint8Array.of(...tiff, ...metadata));
  }
  files.set('NDTiff.index', Uint8Array.from(index));
  return files;
}

/** Two time points of two channels and two slices, over two files. */
export const STEPS: readonly NdTiffPlane[] = [0, 1].flatMap((time) =>
  ['DAPI', 'GFP'].flatMap((channel, c) =>
    [0, 1].map((z) => ({ axes: { time, channel, z }, value: 100 + 4 * time + 2 * c + z })),
  ),
);
