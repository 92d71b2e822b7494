import { sameGeometry } from './geometry.js';
import type { Geometry } from './window.js';

/** How many writes of one feature may be under way before the first of them is heard of. */
const REMEMBERED = 8;

/**
 * What we have written of each feature lately. A viewer calls back for our writes as for the hand's, at once or long
 * after, when something else has been written already: what it says then is no news.
 */
export class OwnWrites {
  readonly #geometries = new Map<string, Geometry[]>();

  note(id: string, geometry: Geometry): void {
    const known = this.#geometries.get(id) ?? [];
    this.#geometries.set(id, [...known.slice(1 - REMEMBERED), geometry]);
  }

  knows(id: string, geometry: Geometry): boolean {
    return this.#geometries.get(id)?.some((written) => sameGeometry(written, geometry)) ?? false;
  }

  forget(id: string): void {
    this.#geometries.delete(id);
  }
}
