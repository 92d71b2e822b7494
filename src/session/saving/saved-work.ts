import type { Store } from '../../io/store.js';
import { deleteAll, listKeys } from '../../io/stores/prefix.js';
import type { ImageInfo, SessionState } from '../state.js';
import { homeOf } from './home.js';
import { Journal, type OpenedJournal } from './journal.js';
import { BRANCHES, keyOf, numbersOf, restore, SNAPSHOTS } from './restore.js';
import { nothingSaved, restorable } from './saved-fields.js';
import { readStored } from './stored.js';

/**
 * Where the work on images is saved: a store, and another one that keeps it while the first does not answer, such as the
 * browser's own while a server is away.
 */
export interface SavingPlaces {
  readonly store: Store;
  readonly meanwhile?: Store;
}

/**
 * What was saved of an image, and the journal to save on in. What was kept elsewhere while the store was away is brought
 * back: as the newest change if nothing else was saved since, else as a branch. Only for callers that may write.
 */
export async function openSavedWork({ store, meanwhile }: SavingPlaces, image: ImageInfo): Promise<OpenedJournal> {
  let opened = await Journal.open(store, image, await homeOf(store, image));
  const { home } = opened.journal;
  if (!meanwhile) return opened;
  // Without the other store, all that matters is in the first.
  const kept = await listKeys(meanwhile, `${home}/${BRANCHES}`).catch(() => []);
  for (const root of rootsOf(kept, home)) opened = await bringBack(opened, { store, meanwhile }, image, root);
  return opened;
}

/** Where changes go while the store is away: a branch of the journal in the other one. */
export function keepMeanwhile(meanwhile: Store, journal: Journal, written: SessionState): Promise<Journal> {
  const root = `${journal.home}/${BRANCHES}${journal.writer}`;
  return Journal.begin(meanwhile, root, written, journal.position);
}

/** What `keepMeanwhile` kept is in the store now. */
export async function forgetMeanwhile(meanwhile: Store, journal: Journal): Promise<void> {
  await deleteAll(meanwhile, `${journal.home}/${BRANCHES}${journal.writer}/`);
}

/** The roots of the branches that these keys below `home` belong to. */
export function rootsOf(keys: readonly string[], home: string): string[] {
  const prefix = `${home}/${BRANCHES}`;
  const writers = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length).split('/')[0]);
  return [...new Set(writers)].map((writer) => prefix + writer);
}

async function bringBack(
  opened: OpenedJournal,
  { store, meanwhile }: Required<SavingPlaces>,
  image: ImageInfo,
  root: string,
): Promise<OpenedJournal> {
  const { state } = await restore(meanwhile, root, image);
  if (!state) return opened;
  const restored = restorable(state);
  const { position } = opened.journal;
  const began = await beginningOf(meanwhile, root);
  const isNext = began?.number === position.number && began.digest === position.digest;
  // A change can have been stored although the writer did not hear of it.
  const wasHeard = began?.number !== position.number - 1 || opened.writer !== root.slice(root.lastIndexOf('/') + 1);
  if (isNext || !wasHeard) {
    await opened.journal.append(asState(opened.restored, image), asState(restored, image));
    await deleteAll(meanwhile, `${root}/`);
    return { ...opened, restored, notice: opened.notice ?? BROUGHT_BACK };
  }
  for (const key of await listKeys(meanwhile, `${root}/`)) {
    const bytes = await meanwhile.get(key);
    if (bytes) await store.create(key, bytes);
  }
  await deleteAll(meanwhile, `${root}/`);
  return { ...opened, notice: opened.notice ?? KEPT_AS_COPY };
}

const BROUGHT_BACK =
  'What you did while your work could not be saved in its place was kept in this browser and is there now.';
const KEPT_AS_COPY =
  'What you did while your work could not be saved in its place was kept in this browser. Other work was saved since, so it is a copy now: open it under "Earlier versions".';

/** The change after which a branch began. */
async function beginningOf(store: Store, root: string) {
  const [first] = numbersOf(await listKeys(store, `${root}/${SNAPSHOTS}`), `${root}/${SNAPSHOTS}`);
  const bytes = first === undefined ? undefined : await store.get(keyOf(root, SNAPSHOTS, first));
  if (first === undefined || !bytes) return undefined;
  const { header } = await readStored(bytes).catch(() => ({ header: undefined }));
  return header && { number: first, digest: header.previous ?? undefined };
}

/** As the journal compares states. */
function asState(restored: Partial<SessionState> | undefined, image: ImageInfo): SessionState {
  const nothing = nothingSaved();
  const settings = (restored?.settings ?? nothing.settings) as SessionState['settings'];
  return { ...nothing, ...restored, settings, image, history: {}, tasks: [] };
}
