import { SamError } from '../../errors.js';

/**
 * What a key may be, checked in one place: stores turn keys into file names and URLs, so `..`, a leading slash or an
 * empty segment must never get that far.
 */
export function checkKey(key: string): string {
  const bad =
    key === '' ||
    key.includes('\\') ||
    key.includes('\0') ||
    key.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (bad)
    throw new SamError(
      'invalid_argument',
      `${JSON.stringify(key)} is not a store key: expected a relative path such as "labels/cells/zarr.json".`,
      { details: { key } },
    );
  return key;
}

/** `offset` and `length` of a getRange call (negative offset counts from the end) as clipped bounds in `size` bytes. */
export function rangeBounds(size: number, offset: number, length: number): readonly [start: number, end: number] {
  const start = Math.min(size, Math.max(0, offset < 0 ? size + offset : offset));
  return [start, Math.min(size, start + length)];
}

/** `set`, `create` and `delete` of a store that cannot be written. */
export function readOnly(name: string): Record<'set' | 'create' | 'delete', (key: string) => Promise<never>> {
  const refuse = async (key: string): Promise<never> => {
    throw new SamError('unsupported', `${name} can only be read; "${key}" was not written. Choose another place.`, {
      details: { store: name, key },
    });
  };
  return { set: refuse, create: refuse, delete: refuse };
}
