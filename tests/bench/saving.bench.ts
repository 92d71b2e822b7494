import { processRaces } from '../support/saving-processes.js';
import { DAMAGED_OBJECTS, damageTrials, killTrials, type Losses, raceTrials } from '../support/saving-trials.js';
import { seriesKillTrials } from '../support/series-kills.js';
import { atMost, type Figure, reported } from './figure.js';

/**
 * What "saved" promises, in numbers: kills at random operations of the store, races of two writers (in one process, of
 * two processes on a folder, through two servers of it), and damage. `SAVING_PARTS=races` runs one part, `SAVING_SHARE=0.1`
 * a tenth. Kills of real processes and pages have tests of
 * their own: `MICRO_SAM_KILLS=1000 node tests/run.mjs autosave-kill kill-page`.
 */
export default async function run(): Promise<Figure[]> {
  const share = Number(process.env.SAVING_SHARE ?? 1);
  const parts = (process.env.SAVING_PARTS ?? 'kills,series,races,damage').split(',');
  const of = (trials: number) => Math.max(1, Math.round(trials * share));
  const figures: Figure[] = [];
  if (parts.includes('kills')) {
    const { trials, losses } = await killTrials(of(10_000), 1);
    figures.push(atMost('lost_acknowledged', told(losses), 'kills', 0), reported('kill_points', trials, 'kills'));
  }
  if (parts.includes('series')) {
    const { trials, losses } = await seriesKillTrials(of(1000), 4);
    figures.push(atMost('series_lost', told(losses), 'kills', 0), reported('series_kills', trials, 'kills'));
  }
  if (parts.includes('races')) {
    const { trials, losses } = joined([
      await raceTrials(of(1000), 2),
      await processRaces(of(700), 'folder'),
      await processRaces(of(300), 'servers'),
    ]);
    figures.push(atMost('two_writer_losses', told(losses), 'races', 0), reported('races', trials, 'races'));
  }
  if (parts.includes('damage')) {
    const { failed, least } = await damageTrials(of(1000), 3);
    const fewer = `trials with less than ${DAMAGED_OBJECTS - 1} objects`;
    figures.push(atMost('damage_not_restored', failed, fewer, 0));
    figures.push(reported('damage_restored', least, `of ${DAMAGED_OBJECTS} objects, at least`));
  }
  return figures;
}

function told(losses: readonly string[]): number {
  for (const loss of losses.slice(0, 10)) console.error(loss);
  return losses.length;
}

function joined(all: readonly Losses[]): Losses {
  return {
    trials: all.reduce((sum, { trials }) => sum + trials, 0),
    losses: all.flatMap(({ losses }) => losses),
  };
}
