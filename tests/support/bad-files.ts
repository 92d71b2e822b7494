import { encodeTiff } from '../../src/io/tiff/writer.js';

/** Small files that cannot be opened, and the sound picture that some are made from. */

export async function cutTiff(): Promise<Uint8Array> {
  const data = Uint16Array.from({ length: 90_000 }, (_, i) => (i * 7919) % 4000);
  const bytes = await encodeTiff({ data, shape: [300, 300] }, { compression: 'none' });
  return bytes.slice(0, bytes.length / 2);
}

/** 4 x 3 grey pixels. */
export async function smallPng(): Promise<Uint8Array> {
  const { encode } = await import('fast-png');
  return encode({
    width: 4,
    height: 3,
    data: Uint8Array.from({ length: 12 }, (_, i) => i * 20),
    channels: 1,
    depth: 8,
  });
}

export async function pngOfSize(width: number, height: number): Promise<Uint8Array> {
  const bytes = (await smallPng()).slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(16, width);
  view.setUint32(20, height);
  return bytes;
}
