import { processRaces } from '../support/saving-processes.js';
import { DAMAGED_OBJECTS, damageTrials, killTrials, type Losses, raceTrials } from '../support/saving-trials.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * What "saved" promises, in numbers: kills at random operations of the store, races of two writers (in one process, of
 * two processes on a folder, through two servers of it), and damage. Kills of real processes and pages have tests of
 * their own: `MICRO_SAM_KILLS=1000 node tests/run.mjs autosave-kill kill-page`.
 */
export default async function run(): Promise<Figure[]> {
  const share = Number(process.env.SAVING_SHARE ?? 1);
  const of = (trials: number) => Math.max(1, Math.round(trials * share));
  const kills = await killTrials(of(10_000), 1);
  const races = joined([
    await raceTrials(of(1000), 2),
    await processRaces(of(700), 'folder'),
    await processRaces(of(300), 'servers'),
  ]);
  const damage = await damageTrials(of(1000), 3);
  for (const loss of [...kills.losses, ...races.losses].slice(0, 10)) console.error(loss);
  return [
    atMost('lost_acknowledged', kills.losses.length, 'kills', 0),
    reported('kill_points', kills.trials, 'kills'),
    atMost('two_writer_losses', races.losses.length, 'races', 0),
    reported('races', races.trials, 'races'),
    atMost('damage_not_restored', damage.failed, `trials with less than ${DAMAGED_OBJECTS - 1} objects`, 0),
    reported('damage_restored', damage.least, `of ${DAMAGED_OBJECTS} objects, at least`),
  ];
}

function joined(all: readonly Losses[]): Losses {
  return {
    trials: all.reduce((sum, { trials }) => sum + trials, 0),
    losses: all.flatMap(({ losses }) => losses),
  };
}
