import { encode } from 'jpeg-js';

/** A JPEG for tests, from 1 or 3 channels of 8 bits; always stored as colour. */
export function encodeJpeg(
  pixels: Uint8Array,
  height: number,
  width: number,
  channels: 1 | 3,
  quality = 90,
): Uint8Array {
  const data = Uint8Array.from({ length: height * width * 4 }, (_, i) => {
    const pixel = i >> 2;
    if (i % 4 === 3) return 255;
    return pixels[channels === 3 ? pixel * 3 + (i % 4) : pixel];
  });
  return Uint8Array.from(encode({ data, width, height }, quality).data);
}
