import webp from 'webp-wasm';

/** A WebP of 40 x 30 pixels for tests: a ramp, lossless with a hole in its alpha channel, or lossy and opaque. */
export async function encodeWebp(lossless: boolean): Promise<Uint8Array> {
  const data = new Uint8ClampedArray(webpPixels(lossless));
  return Uint8Array.from(
    await webp.encode({ data, width: 40, height: 30 }, lossless ? { lossless: 1 } : { quality: 95 }),
  );
}

export function webpPixels(lossless: boolean): Uint8Array {
  return Uint8Array.from({ length: 40 * 30 * 4 }, (_, i) => {
    const [x, y] = [(i >> 2) % 40, Math.floor((i >> 2) / 40)];
    return [x * 6, y * 8, 128, lossless && x < 5 ? 200 : 255][i & 3];
  });
}
