import { createInterface } from 'node:readline';
import { folderStore } from '../../src/io/stores/fs.js';
import { serverStore } from '../../src/io/stores/server.js';
import { raceOnce } from './saving-trials.js';
import { WALK_IMAGE } from './session-walk.js';

/**
 * A process that saves work on images in step with another: for each line `<image> <seed>` it annotates that image and
 * prints, as one line of JSON, what it was told is saved.
 *
 *   node race-child.mjs <folder>
 *   node race-child.mjs <address of a server's store> <token>
 */
const [place, token] = process.argv.slice(2);
const store = token === undefined ? folderStore(place) : serverStore({ url: place, token });
for await (const line of createInterface({ input: process.stdin })) {
  const [image, seed] = line.split(' ');
  console.log(JSON.stringify(await raceOnce(store, { ...WALK_IMAGE, signature: image }, Number(seed))));
}
