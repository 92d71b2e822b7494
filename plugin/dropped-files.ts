import { isHiddenName } from '../src/io/folder/hidden-names.js';
import { rootOfKeys } from '../src/io/zarr/keys.js';

/** What a page does with what is dropped on it. */
export interface DropListeners {
  /** Never none. */
  onFiles(files: File[]): void;
  /** Listing a folder takes longer than a moment. */
  onSlow(text: string): void;
  /** A sentence for people. */
  onError(text: string): void;
}

/**
 * Takes files dropped anywhere on the page; while they are over it, its body has the class `dropping`.
 *
 * @param signal ends it
 */
export function listenToDrops({ onFiles, onSlow, onError }: DropListeners, signal: AbortSignal): void {
  const over = (event: DragEvent) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  };
  const leave = (event: DragEvent) => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    const slow = setTimeout(() => onSlow('Reading what was dropped …'), SLOW_MS);
    droppedFiles(event.dataTransfer)
      .finally(() => clearTimeout(slow))
      .then(
        (files) => {
          if (files.length > 0) onFiles(files);
          else onError('There was no file in what was dropped. Drop image files, or a folder of them.');
        },
        (error) => onError(error instanceof Error ? error.message : String(error)),
      );
  };
  document.addEventListener('dragover', over, { signal });
  document.addEventListener('dragleave', leave, { signal });
  document.addEventListener('drop', drop, { signal });
}

const SLOW_MS = 300;

/**
 * The files of a drop, those of dropped folders too. If they are a zarr, each is named by its path, since chunks mean
 * nothing without; else plain names, without what operating systems leave in folders.
 *
 * Has to be called in the event itself: a drop is empty afterwards.
 */
async function droppedFiles(transfer: DataTransfer | null): Promise<File[]> {
  const entries = [...(transfer?.items ?? [])]
    .map((item) => item.webkitGetAsEntry?.())
    .filter((entry) => entry != null);
  if (!entries.some((entry) => entry.isDirectory)) return [...(transfer?.files ?? [])];
  const found: { path: string; file: File }[] = [];
  for (const entry of entries) await collect(entry, found);
  if (rootOfKeys(found.map(({ path }) => path)) !== undefined)
    return found.map(({ path, file }) => new File([file], path, { type: file.type, lastModified: file.lastModified }));
  return found.map(({ file }) => file).filter(({ name }) => !isHiddenName(name));
}

/** A zarr with more chunks than this takes too long to list; a server hands out chunk by chunk. */
const MOST_FILES = 50_000;

async function collect(entry: FileSystemEntry, found: { path: string; file: File }[]): Promise<void> {
  if (found.length > MOST_FILES)
    throw new Error(
      `The folder holds more than ${MOST_FILES} files. Open it with "npm start -- FOLDER" instead, which reads only what is looked at.`,
    );
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Gives a hundred at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    await Promise.all(some.map((child) => collect(child, found)));
  }
}
