import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { foldedName } from '../../io/folder/file-names.js';
import { folderStore } from '../../io/stores/fs.js';
import type { LabelImage } from '../../ndimage/array.js';
import type { PlaneLabels } from '../../segmentation/automatic.js';
import { RECORDS } from './result-records.js';

/**
 * Planes of a stack that is being segmented, beside the results: when the work is stopped, killed or fails, the next run of
 * the same work goes on after them. Each file is gzipped uint32 labels; it appears whole or not at all.
 */
export class KeptPlanes implements PlaneLabels {
  /** How many planes are there, as far as they were asked for or kept. */
  count = 0;
  private readonly folder: string;
  private readonly store: ReturnType<typeof folderStore>;

  /**
   * @param stem what the results are called
   * @param work all that the labels depend on; planes of other work are not taken
   * @param size [height, width] of the planes
   */
  constructor(
    folder: string,
    stem: string,
    work: unknown,
    private readonly size: readonly [number, number],
  ) {
    const name = createHash('sha1').update(foldedName(stem)).digest('hex');
    const key = createHash('sha1').update(JSON.stringify(work)).digest('hex');
    this.folder = path.join(folder, RECORDS, 'planes', name);
    this.store = folderStore(path.join(this.folder, key));
  }

  async get(plane: number): Promise<LabelImage | undefined> {
    const bytes = await this.store.get(String(plane));
    const [height, width] = this.size;
    try {
      const raw = bytes && gunzipSync(bytes, { maxOutputLength: 4 * height * width });
      if (raw?.length !== 4 * height * width) return undefined;
      this.count++;
      return { data: new Uint32Array(Uint8Array.from(raw).buffer), shape: [height, width] };
    } catch {
      return undefined; // damaged: segmented again
    }
  }

  async set(plane: number, { data }: LabelImage): Promise<void> {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    await this.store.set(String(plane), gzipSync(bytes, { level: 1 }));
    this.count++;
  }

  /** The work is done, or begins anew. */
  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
    this.count = 0;
  }
}
