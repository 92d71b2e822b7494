import type { Store } from '../../src/io/store.js';
import { seededRandom } from '../support/random.js';

/**
 * What every writable Store promises. Runs under mocha in Node and in a browser page, so it imports nothing of Node's.
 * `open` gives an empty store; `reopen` the same data through a new object, where there is such a thing.
 */
export interface StoreUnderTest {
  readonly store: Store;
  reopen?(): Promise<Store>;
  close?(): Promise<void>;
}

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store contract: ${name}`, () => {
    let subject: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.close?.());

    it('gives back exactly the bytes that were set, at any depth of key', async () => {
      const random = seededRandom(1);
      for (const key of ['zarr.json', 'a/b/c', '.zattrs', 'features/c/0/0/0/0', 'with space/ü']) {
        const value = Uint8Array.from({ length: Math.floor(random() * 5000) }, () => random() * 256);
        await store.set(key, value);
        same(await store.get(key), value, key);
      }
    });

    it('knows an empty value from a missing one', async () => {
      await store.set('empty', new Uint8Array(0));
      equal((await store.get('empty'))?.length, 0);
      equal(await store.get('missing'), undefined);
      equal(await store.get('empty/below'), undefined);
      equal(await store.getRange?.('missing', 0, 4), undefined);
    });

    it('gives undefined for a key that is only a folder of other keys', async () => {
      await store.set('folder/key', bytes(1));
      equal(await store.get('folder'), undefined);
    });

    it('replaces a value, by a shorter one too', async () => {
      await store.set('k', bytes(1, 2, 3));
      await store.set('k', bytes(9));
      same(await store.get('k'), bytes(9));
    });

    it('keeps values apart from the arrays they came from and went to', async () => {
      const view = bytes(0, 1, 2, 3).subarray(1, 3);
      await store.set('k', view);
      view[0] = 77;
      same(await store.get('k'), bytes(1, 2));
      (await store.get('k'))![0] = 88;
      same(await store.get('k'), bytes(1, 2));
    });

    it('reads ranges from either end, clipped to the value', async () => {
      if (!store.getRange) return;
      await store.set('k', bytes(0, 1, 2, 3, 4, 5));
      same(await store.getRange('k', 1, 3), bytes(1, 2, 3));
      same(await store.getRange('k', -2, 2), bytes(4, 5));
      same(await store.getRange('k', 4, 99), bytes(4, 5));
      same(await store.getRange('k', -99, 99), bytes(0, 1, 2, 3, 4, 5));
    });

    it('lists the keys with a prefix, whole keys only', async () => {
      for (const key of ['a/1', 'a/2/x', 'ab', 'b']) await store.set(key, bytes(1));
      equal(await listed(store), 'a/1 a/2/x ab b');
      equal(await listed(store, 'a/'), 'a/1 a/2/x');
      equal(await listed(store, 'a'), 'a/1 a/2/x ab');
      equal(await listed(store, 'nothing/'), '');
    });

    it('deletes, and does not mind deleting what is not there', async () => {
      await store.set('k', bytes(1));
      await store.delete('k');
      await store.delete('k');
      equal(await store.get('k'), undefined);
      equal(await listed(store), '');
    });

    it('refuses keys that leave the store', async () => {
      for (const key of ['', '/a', '../a', 'a/../../b', 'a//b', 'a\\b', './a']) {
        await refused(() => store.set(key, bytes(1)), key);
        await refused(() => store.get(key), key);
      }
      equal(await listed(store), '');
    });

    it('survives many writers of one key: the value is one of theirs, whole', async () => {
      const values = Array.from({ length: 16 }, (_, i) => new Uint8Array(20_000).fill(i));
      await Promise.all(values.map((value) => store.set('k', value)));
      const got = await store.get('k');
      equal(got?.length, 20_000);
      equal(new Set(got).size, 1);
    });

    it('creates a key once: the value that was there stays', async () => {
      equal(await store.create('deep/k', bytes(1, 2)), true);
      equal(await store.create('deep/k', bytes(3)), false);
      same(await store.get('deep/k'), bytes(1, 2));
      await store.set('other', bytes(4));
      equal(await store.create('other', bytes(5)), false);
      same(await store.get('other'), bytes(4));
      await store.delete('deep/k');
      equal(await store.create('deep/k', bytes(6)), true);
      same(await store.get('deep/k'), bytes(6));
      equal(await listed(store), 'deep/k other');
      await refused(() => store.create('../k', bytes(1)), '../k');
    });

    it('tells one of many creators that the key is theirs, and keeps their value', async () => {
      const rival = (await subject.reopen?.()) ?? store;
      for (let round = 0; round < 10; round++) {
        const values = Array.from({ length: 8 }, (_, i) => new Uint8Array(5000).fill(i + 1));
        const told = await Promise.all(
          values.map((value, i) => (i % 2 ? store : rival).create(`race/${round}`, value)),
        );
        equal(told.filter((created) => created).length, 1);
        same(await store.get(`race/${round}`), values[told.indexOf(true)]);
      }
    });

    it('still has everything when it is opened again', async () => {
      if (!subject.reopen) return;
      await store.set('a/b', bytes(1, 2, 3));
      const again = await subject.reopen();
      same(await again.get('a/b'), bytes(1, 2, 3));
      equal(await listed(again), 'a/b');
    });
  });
}

async function listed(store: Store, prefix?: string): Promise<string> {
  const keys: string[] = [];
  for await (const key of store.list(prefix)) keys.push(key);
  return keys.sort().join(' ');
}

const bytes = (...values: number[]) => Uint8Array.from(values);

function equal(got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`Got ${got}, expected ${expected}.`);
}

function same(got: Uint8Array | undefined, expected: Uint8Array, what = 'value'): void {
  if (!(got instanceof Uint8Array)) throw new Error(`${what}: got ${got}, expected ${expected.length} bytes.`);
  equal(`${what} ${got.join()}`, `${what} ${expected.join()}`);
}

async function refused(action: () => Promise<unknown>, key: string): Promise<void> {
  const error = await action().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const code = error && typeof error === 'object' && 'code' in error ? error.code : undefined;
  if (code !== 'invalid_argument') throw new Error(`${JSON.stringify(key)} gave ${error}, expected invalid_argument.`);
}
