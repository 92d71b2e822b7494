import type { ImageSource } from '../image.js';
import { canonicalUnit, metresPer } from '../pixel-size.js';
import { pixelSizeFrom } from '../pixel-size-of.js';
import { TAG, type TiffFile } from './container.js';
import type { TiffPage } from './page.js';
import { hyperstack, listPlanes, type TiffImage } from './planes.js';

/**
 * MetaMorph stacks (.stk): one directory whose tag UIC2 counts the planes, which lie one behind the other, and says of each
 * its distance in z and when it was taken; UIC1 has the calibration. Reference: MetaMorph Stack (STK) Image File Format,
 * Molecular Devices 2010.
 */
/** Per plane: z distance (2 numbers), date and time created, date and time changed. */
const PER_PLANE = 6;
const MAX_PLANES = 1_000_000;
const UIC1 = { x: 4, y: 5, units: 6 } as const;

export async function metaMorphImages(file: TiffFile, first: TiffPage): Promise<TiffImage[] | undefined> {
  if (!first.directory.has(TAG.metaMorph2)) return undefined;
  const count = first.directory.count(TAG.metaMorph2);
  if (count < 1 || count > MAX_PLANES) return undefined;
  const planes = await listPlanes(file, first, count);
  const facts = await planeFacts(file, first, count);
  const steps = facts.map(({ distance }) => distance);
  const [step] = steps;
  const isDepth = count > 1 && step !== undefined && !steps.includes(0);
  const isTime = !isDepth && facts.length > 1 && facts.every(({ time }, i) => i === 0 || time !== facts[i - 1]?.time);
  return [
    hyperstack({
      name: file.source.name,
      first,
      planes,
      sizes: { c: 1, t: isTime ? count : 1, z: isTime ? 1 : count },
      order: 'tzc',
      pixelSize: await pixelSizeOf(file, first, isDepth ? Math.abs(step) : undefined),
    }),
  ];
}

/** Distances and times of the planes; none if the tag is damaged. */
async function planeFacts(file: TiffFile, { directory }: TiffPage, count: number) {
  const at = directory.position(TAG.metaMorph2);
  const bytes = count * PER_PLANE * 4;
  if (at === undefined || at + bytes > file.source.size) return [];
  const block = await file.source.read(at, bytes);
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  return Array.from({ length: count }, (_, plane) => {
    const field = (i: number) => view.getUint32((plane * PER_PLANE + i) * 4, file.littleEndian);
    const [numerator, denominator] = [field(0), field(1)];
    return { distance: denominator === 0 ? 0 : numerator / denominator, time: `${field(2)} ${field(3)}` };
  });
}

/** UIC1 is a list of numbers and what they are, or where it is. */
async function pixelSizeOf(
  file: TiffFile,
  { directory }: TiffPage,
  distance: number | undefined,
): Promise<ImageSource['pixelSize']> {
  const { source, littleEndian } = file;
  const start = directory.position(TAG.metaMorph1);
  const count = Math.min(directory.count(TAG.metaMorph1), 200);
  if (start === undefined || start + count * 8 > source.size) return undefined;
  const uints = async (offset: number, length: number) => {
    if (offset < 8 || offset + length * 4 > source.size) return [];
    const bytes = await source.read(offset, length * 4);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length }, (_, i) => view.getUint32(4 * i, littleEndian));
  };
  const list = await uints(start, count * 2);
  const entry = (id: number) => list.find((_, i) => i % 2 === 1 && list[i - 1] === id) ?? 0;
  const ratio = async (id: number) => {
    const [numerator = 0, denominator = 0] = await uints(entry(id), 2);
    return numerator / denominator;
  };
  const [x, y] = [await ratio(UIC1.x), await ratio(UIC1.y)];
  const [length = 0] = await uints(entry(UIC1.units), 1);
  if (length === 0 || length > 64 || entry(UIC1.units) + 4 + length > source.size) return undefined;
  const text = new TextDecoder('windows-1252').decode(await source.read(entry(UIC1.units) + 4, length));
  const unit = canonicalUnit(text.replace(/\0.*$/s, ''));
  if (metresPer(unit) === undefined) return undefined;
  return pixelSizeFrom({
    x: { length: x, unit },
    y: { length: y, unit },
    z: distance === undefined ? undefined : { length: distance, unit },
  });
}
