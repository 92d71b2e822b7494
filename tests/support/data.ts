import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * The real images with ground truth that live beside the project; absent on most machines. Tests that need them are
 * declared with `withData`, which marks them as skipped, visibly, where the folder is missing.
 */
export const DATA_ROOT = path.resolve(process.env.MICRO_SAM_TEST_DATA ?? path.join('..', 'shared', 'data'));
export const hasData = existsSync(path.join(DATA_ROOT, 'manifest.json'));

export interface DataItem {
  readonly id: string;
  readonly category: string;
  readonly file: string;
  readonly axes: string | null;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly pixels_sha256_le?: string;
  readonly labels: string | null;
  readonly labels_sha256_le?: string;
  readonly objects?: number;
}

export function dataItems(): DataItem[] {
  return JSON.parse(readFileSync(path.join(DATA_ROOT, 'manifest.json'), 'utf8')).items;
}

export function dataPath(relative: string): string {
  return path.join(DATA_ROOT, relative);
}

/** `it`, skipped where the data folder is absent. */
export function withData(title: string, body?: (this: Mocha.Context) => unknown): void {
  if (hasData) it(title, body as Mocha.AsyncFunc);
  else it.skip(title);
}
