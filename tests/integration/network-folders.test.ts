import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { LeaseFile } from '../../src/cli/serve/lease-file.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { exportSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import { storeContract } from '../contracts/store.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { NETWORK_FOLDERS, type NetworkFolder } from '../support/network-folders.js';
import { openSaved } from '../support/open-saved.js';
import { seededRandom } from '../support/random.js';
import { processRaces } from '../support/saving-processes.js';
import { randomStep, WALK_IMAGE } from '../support/session-walk.js';

/** Races through the network: `MICRO_SAM_RACES=200 node tests/run.mjs --integration network-folders`. */
const RACES = Number(process.env.MICRO_SAM_RACES ?? 10);

/** Real file servers, each mounted twice, as two machines would; skipped where their programs are not installed. */
for (const [name, open] of Object.entries(NETWORK_FOLDERS))
  describe(`a folder of the network, by ${name}`, function () {
    this.timeout(300_000);
    let network: NetworkFolder | undefined;
    let here: string;
    let there: string;
    before(async function () {
      network = await open().catch((error: Error) => {
        console.log(`    skipped: ${error.message}`);
        return undefined;
      });
      if (!network) return this.skip();
      [here, there] = network.mounts;
    });
    after(() => network?.close());

    let count = 0;
    storeContract(`a folder by ${name}`, async () => {
      const folder = `store-${count++}`;
      return {
        store: folderStore(path.join(here, folder)),
        reopen: async () => folderStore(path.join(there, folder)),
      };
    });

    it(`loses nothing when two machines save the same images at once, ${RACES} times each way`, async () => {
      for (const through of ['folder', 'servers'] as const) {
        const places = [here, there, network!.shared].map((mount) => path.join(mount, through));
        await mkdir(places[0] as string);
        const { losses } = await processRaces(RACES, through, places as [string, string, string]);
        assert.deepEqual(losses, [], through);
      }
    });

    it('has one lease of an image for both machines', async () => {
      const [mine, yours] = [here, there].map((mount, n) => new LeaseFile(path.join(mount, 'lease'), `server ${n}`));
      assert.equal(await mine!.acquire(), true);
      assert.equal(await yours!.acquire(), false);
      await yours!.take();
      assert.equal(await mine!.touch(), false);
      assert.equal(await yours!.touch(), true);
    });

    it('keeps all that was done while the network was away, once it is back', async () => {
      const store = folderStore(path.join(here, 'cut'));
      const session = new AnnotationSession();
      const autosave = await openSaved(session, store, WALK_IMAGE, new DiscAnnotator([60, 80]));
      const random = seededRandom(5);
      const work = async (steps: number) => {
        for (let step = 0; step < steps; step++) await randomStep(session, random, step);
      };
      await work(10);
      await autosave.flush();
      network?.cut();
      await work(10);
      const saved = await Promise.race([
        autosave.flush().then(
          () => true,
          () => false,
        ),
        new Promise<undefined>((resolve) => setTimeout(resolve, 1000)),
      ]);
      assert.notEqual(saved, true, 'nothing is said to be saved that cannot be');
      await network?.mend();
      await work(10);
      await untilSaved(() => autosave.flush());
      await autosave.close();
      const again = new AnnotationSession();
      await (await openSaved(again, folderStore(path.join(there, 'cut')), WALK_IMAGE)).close();
      assert.equal(exportSession(again.state), exportSession(session.state));
    });
  });

/** A mount takes its time to connect again. */
async function untilSaved(flush: () => Promise<void>): Promise<void> {
  for (;;)
    try {
      return await flush();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
}
