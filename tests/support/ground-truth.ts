import { readFileSync } from 'node:fs';
import { decode } from 'fast-png';
import { fromArrayBuffer } from 'geotiff';
import type { LabelImage, Tensor, TypedArray } from '../../src/ndimage/array.js';
import { dataItems, dataPath } from './data.js';

/** A real 2D image with instance labels. Read with the libraries directly, so that our readers are not in the loop. */
export interface GroundTruth {
  readonly id: string;
  /** [H, W] or [H, W, C]. */
  readonly pixels: Tensor;
  readonly labels: LabelImage;
}

/** The 15 nuclei images that the reference figures are means of. */
export function nucleiIds(): string[] {
  return dataItems()
    .map((item) => item.id)
    .filter((id) => id.startsWith('dsb-') || id === 'stardist-img2d');
}

export async function readGroundTruth(id: string): Promise<GroundTruth> {
  const item = dataItems().find((candidate) => candidate.id === id);
  if (!item?.labels) throw new Error(`No labelled item ${id}.`);
  return { id, pixels: await readPixels(item.file), labels: await readLabelImage(item.labels) };
}

/** @param file as in the list of the data */
export async function readLabelImage(file: string): Promise<LabelImage> {
  const { data, shape } = await readPixels(file);
  return { data: Uint32Array.from(data), shape: shape.slice(0, 2) };
}

async function readPixels(file: string): Promise<Tensor> {
  const bytes = readFileSync(dataPath(file));
  if (file.endsWith('.png')) {
    const { data, width, height, channels } = decode(bytes);
    return { data: data as TypedArray, shape: channels === 1 ? [height, width] : [height, width, channels] };
  }
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const image = await (await fromArrayBuffer(buffer)).getImage();
  const data = (await image.readRasters({ interleave: true })) as unknown as TypedArray;
  const channels = image.getSamplesPerPixel();
  const [height, width] = [image.getHeight(), image.getWidth()];
  return { data, shape: channels === 1 ? [height, width] : [height, width, channels] };
}
