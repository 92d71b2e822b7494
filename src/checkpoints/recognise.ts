import { blobBytes } from '../io/bytes.js';
import { files } from '../io/parts.js';

/** Which of the files that somebody hands over are models, by their names; a zip by what is in it, since images are zipped, too. */
export async function checkpointsAmong(given: readonly File[]): Promise<File[]> {
  const found = await Promise.all(given.map(isCheckpoint));
  return given.filter((_, i) => found[i]);
}

async function isCheckpoint(file: File): Promise<boolean> {
  if (/\.(pt|pth|ckpt|safetensors)$/i.test(file.name)) return true;
  if (!/\.zip$/i.test(file.name)) return false;
  const { openZipArchive } = await files();
  const archive = await openZipArchive(blobBytes(file)).catch(() => undefined); // opening it says what is wrong
  const names = [...(archive?.members.keys() ?? [])];
  return names.some((name) => /^(rdf|bioimageio)\.ya?ml$/i.test(name) || /(^|\/)data\.pkl$/.test(name));
}
