import { readPlane } from '../../src/io/image.js';
import type { TypedArray, YX } from '../../src/ndimage/array.js';
import type { AnnotatorPage } from './annotator-page.js';
import { openItem } from './formats.js';
import { type Colour, coloursAt, eventually } from './screen.js';

/** Extremes of grey pictures, colours of colour pictures, against the pixels as Node reads them. */
export async function checkPicture(annotator: AnnotatorPage, file: string): Promise<void> {
  const source = await openItem(file);
  try {
    const { plane } = await annotator.state();
    const pixels = await readPlane(source, plane);
    const [height, width, count = 1] = pixels.shape;
    if (source.rgb && !isGrey(pixels.data, count)) {
      if (source.dtype !== 'uint8') return;
      const places: YX[] = [0.11, 0.37, 0.52, 0.83].map((part) => [
        Math.floor(part * height),
        Math.floor((1 - part) * width),
      ]);
      const expected = places.map(([y, x]): Colour => {
        const at = (y * width + x) * count;
        return [pixels.data[at], pixels.data[at + 1], pixels.data[at + 2]];
      });
      await eventually(`the colours ${JSON.stringify(expected)}`, async () => {
        const colours = await coloursAt(annotator, places);
        return JSON.stringify(colours) === JSON.stringify(expected) ? colours : undefined;
      });
      return;
    }
    if (count > 1 && !source.rgb) return;
    const grey = pixels.data.filter((_, i) => i % count === 0);
    const [darkest, brightest] = extremes(grey).map((at): YX => [Math.floor(at / width), at % width]);
    await eventually('dark and bright on screen as in the file', async () => {
      const [dark, bright] = await coloursAt(annotator, [darkest, brightest]);
      if ([dark, bright].some(([red, green, blue]) => red !== green || green !== blue)) return undefined;
      // Of a stack, the contrast is that of several planes.
      return (planes(source) === 1 ? dark[0] === 0 && bright[0] === 255 : bright[0] > dark[0]) ? true : undefined;
    });
  } finally {
    await source.close();
  }
}

function isGrey(data: TypedArray, count: number): boolean {
  return data.every((value, i) => i % count > 2 || value === data[i - (i % count)]); // the fourth is opacity
}

const planes = (source: { readonly sizes: { readonly t: number; readonly z: number } }) =>
  source.sizes.t * source.sizes.z;

function extremes(data: TypedArray): [lowest: number, highest: number] {
  let [low, high] = [0, 0];
  data.forEach((value, i) => {
    if (value < data[low]) low = i;
    if (value > data[high]) high = i;
  });
  return [low, high];
}
