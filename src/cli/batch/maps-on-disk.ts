import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Tensor } from '../../ndimage/array.js';

/**
 * Maps of the tiles of one large image, 1.5 MB each, in a temporary file instead of memory: they are written once and read
 * block by block when the objects are grown.
 */
export class MapsOnDisk {
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-maps-'));
  private readonly file = openSync(path.join(this.folder, 'maps'), 'w+');
  private end = 0;

  /** @returns the same maps, whose data are read at each use */
  keep({ data, shape }: Tensor<Uint16Array>): Tensor<Uint16Array> {
    const [start, bytes] = [this.end, data.byteLength];
    for (let done = 0; done < bytes; )
      done += writeSync(
        this.file,
        new Uint8Array(data.buffer, data.byteOffset + done, bytes - done),
        0,
        bytes - done,
        start + done,
      );
    this.end += bytes;
    const read = () => this.read(start, bytes);
    return {
      shape,
      get data() {
        return read();
      },
    };
  }

  close(): void {
    closeSync(this.file);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private read(start: number, bytes: number): Uint16Array {
    const found = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const read = readSync(this.file, found, done, bytes - done, start + done);
      if (read === 0) throw new Error(`The temporary file ${this.folder}/maps ends too early.`);
      done += read;
    }
    return new Uint16Array(found.buffer);
  }
}
