import { unshared } from '../../ndimage/array.js';

/** Compression by the platform: 'deflate' is the zlib format that TIFF and PNG use, 'gzip' that of zarr. */
export async function compress(bytes: Uint8Array, format: 'deflate' | 'gzip'): Promise<Uint8Array> {
  const stream = new Blob([unshared(bytes)]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
