import type { Store } from '../io/store.js';
import { writeArrayMetadata, writeGroup } from '../io/zarr/writer.js';
import type { EarlyFeatures } from '../model/sam-tensors.js';
import { tensor } from '../ndimage/array.js';
import { planeArray, readPlane, writePlane } from './plane-array.js';

/**
 * Further features beside the embeddings (`Embedding.early`, `Embedding.levels`): a group `early` or `levels` of the same
 * zarr, which micro-sam does not look at, with an array `early/<name>` in half precision, or one for each tile,
 * `early/<tile>/<name>`.
 */
export class FurtherArrays {
  /** Names and shapes, once they are known. */
  private shapes?: Promise<Shapes | undefined>;
  /** Arrays whose metadata are written. */
  private readonly begun = new Map<string, Promise<void>>();

  /** @param planes of a stack; `undefined` for an image of one plane without an axis for it */
  constructor(
    private readonly store: Store,
    private readonly planes: number | undefined,
    private readonly group: 'early' | 'levels' = 'early',
  ) {}

  /** All of a plane or tile; `undefined` if one is missing or damaged. */
  async get(plane: number, tile?: number): Promise<EarlyFeatures | undefined> {
    const shapes = await this.known();
    if (!shapes) return undefined;
    const found = await Promise.all(
      Object.entries(shapes).map(async ([name, shape]) => {
        const array = planeArray(shape, this.planes, 'float16');
        const bytes = await readPlane(this.store, this.pathOf(name, tile), array, plane);
        return bytes && ([name, tensor(new Uint16Array(bytes), shape)] as const);
      }),
    );
    return found.every((entry) => entry !== undefined) ? Object.fromEntries(found) : undefined;
  }

  async set(features: EarlyFeatures, plane: number, tile?: number): Promise<void> {
    const shapes = Object.fromEntries(Object.entries(features).map(([name, { shape }]) => [name, shape]));
    if (JSON.stringify(await this.known()) !== JSON.stringify(shapes)) {
      await writeGroup(this.store, this.group, 3, { shapes });
      this.shapes = Promise.resolve(shapes);
      this.begun.clear();
    }
    for (const [name, { data, shape }] of Object.entries(features)) {
      const array = planeArray(shape, this.planes, 'float16');
      const path = this.pathOf(name, tile);
      const begun = this.begun.get(path) ?? writeArrayMetadata(this.store, path, array);
      this.begun.set(path, begun);
      begun.catch(() => this.begun.delete(path));
      await begun;
      await writePlane(this.store, path, array, plane, data);
    }
  }

  private known(): Promise<Shapes | undefined> {
    this.shapes ??= readShapes(this.store, this.group);
    return this.shapes;
  }

  private pathOf(name: string, tile: number | undefined): string {
    return `${this.group}/${tile === undefined ? '' : `${tile}/`}${name}`;
  }
}

type Shapes = Readonly<Record<string, readonly number[]>>;

async function readShapes(store: Store, group: string): Promise<Shapes | undefined> {
  const bytes = await store.get(`${group}/zarr.json`);
  if (!bytes) return undefined;
  try {
    const { shapes } = JSON.parse(new TextDecoder().decode(bytes)).attributes;
    const fits = (entry: [string, unknown]) =>
      /^\w+$/.test(entry[0]) && Array.isArray(entry[1]) && entry[1].length === 4 && entry[1].every(Number.isInteger);
    return Object.entries(shapes).every(fits) ? shapes : undefined;
  } catch {
    return undefined; // damaged: computed anew
  }
}
