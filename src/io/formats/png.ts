import type { TaskOptions } from '../../task.js';
import { type ByteSource, readAll } from '../bytes.js';
import type { ImageSource } from '../image.js';
import { openNdarray } from '../ndarray.js';
import { asImageErrors } from '../region.js';
import { decodePng, type Png } from './png-decoder.js';

/**
 * PNG of 1 to 16 bits. Compressed as one stream, so it is decoded whole when opened. Palettes become RGB, their indices
 * stay at hand for those who want labels; an alpha channel stays the last channel.
 */
export async function openPng(source: ByteSource, options: TaskOptions = {}): Promise<ImageSource> {
  const { name } = source;
  const bytes = await readAll(source, options);
  return asImageErrors(name, async () => {
    const png = decodePng(bytes, name);
    const { height, width, data, palette } = png;
    if (palette) {
      const colours = openNdarray({ ...applyPalette(png, palette), axes: 'yxs', name });
      return { ...colours, indices: openNdarray({ data, shape: [height, width], axes: 'yx', name }) };
    }
    if (png.channels === 1) return openNdarray({ data, shape: [height, width], axes: 'yx', name });
    return openNdarray({ data, shape: [height, width, png.channels], axes: 'yxs', name });
  });
}

/** An index that the palette does not have is black, as everywhere. */
function applyPalette({ data, height, width }: Png, { channels, colours }: NonNullable<Png['palette']>) {
  const out = new Uint8Array(data.length * channels);
  for (let i = 0; i < data.length; i++)
    for (let channel = 0; channel < channels; channel++)
      out[i * channels + channel] = colours[data[i]! * channels + channel] ?? 0;
  return { data: out, shape: [height, width, channels] };
}
