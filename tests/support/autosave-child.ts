import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { folderStore } from '../../src/io/stores/fs.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from './disc-annotator.js';
import { openSaved } from './open-saved.js';
import { seededRandom } from './random.js';
import { randomStep, WALK_IMAGE } from './session-walk.js';

/**
 * A process that annotates at random and is killed: prints the digest of the state it restored, of every state it comes
 * through (`state`), and of those that autosave said are safe (`safe`), each before it goes on.
 *
 *   node autosave-child.mjs <folder> <seed>
 */
const [folder, seed] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const session = new AnnotationSession();
const say = (word: string) => {
  const digest = createHash('sha1').update(exportSession(session.state)).digest('hex');
  writeSync(1, `${word} ${digest}\n`);
};
const autosave = await openSaved(session, folderStore(folder), WALK_IMAGE, new DiscAnnotator([60, 80]));
say('safe');
session.subscribe((state, previous) => {
  if (state.layers !== previous.layers || state.prompts !== previous.prompts || state.settings !== previous.settings)
    say('state');
});
for (let step = 0; ; step++) {
  if (random() < 0.1) session.undo();
  else await randomStep(session, random, Number(seed) * 10_000 + step);
  if (random() < 0.5) continue; // so that changes gather, too
  await autosave.flush();
  say('safe');
}
