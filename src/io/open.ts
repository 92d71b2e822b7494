import type { ImageSource } from './image.js';
import type { ImageInput } from './image-input.js';
import { isNdarray, openNdarray } from './ndarray.js';
import type { OpenOptions } from './open-options.js';
import { files } from './parts.js';
import { asImageErrors } from './region.js';

export type { ImageInput } from './image-input.js';

/** `openImage`: anything that holds an image, as an ImageSource. What reads files is loaded when there is the first one. */
export async function openImage(input: ImageInput, options: OpenOptions = {}): Promise<ImageSource> {
  const opened = await asImageErrors(options.name ?? 'The image', async () => {
    options.signal?.throwIfAborted();
    if (isNdarray(input)) return openNdarray({ name: options.name ?? 'array', ...input });
    const { openFile } = await files();
    return openFile(input, options);
  });
  return {
    ...opened,
    ...(options.name !== undefined && { name: options.name }),
    ...(options.pixelSize && { pixelSize: options.pixelSize }),
  };
}
