import assert from 'node:assert/strict';
import { asSamError } from '../../src/errors.js';
import { fullMask, translateMask } from '../../src/ndimage/rle.js';
import { describeTracks, loadTracks, type TrackLayer, trackIds } from '../../src/session/edits/tracking.js';
import { recordsFromLabels } from '../../src/session/layers.js';
import { exportSession, importSession } from '../../src/session/saving/session-file.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ImageInfo, ObjectRecord } from '../../src/session/state.js';
import { dividingPhantom } from '../support/phantom-stack.js';
import { randomInteger, seededRandom } from '../support/random.js';

const FRAMES = 8;
const image: ImageInfo = { name: 'walk', axes: 'tyx', size: [60, 80], planes: FRAMES, signature: 'walk' };

const { labels: LABELS } = dividingPhantom({ planes: FRAMES, size: [60, 80] });

/** Two random tracks of each layer, with prompts, projected frames and an end. */
function begun(random: () => number): AnnotationSession {
  const session = new AnnotationSession({ autoSegment: false });
  session.open(image);
  session.apply(loadTracks(recordsFromLabels(LABELS), [{ 1: [4, 5], 4: [], 5: [] }]));
  session.apply({
    title: 'Track',
    change(state) {
      const objects = new Map<number, ObjectRecord>();
      for (let id = 1; id <= 3; id++) {
        const first = randomInteger(random, 0, 3);
        const last = randomInteger(random, first + 1, FRAMES);
        const masks = new Map<number, ReturnType<typeof fullMask>>();
        for (let f = first; f <= last && f < FRAMES; f++) masks.set(f, translateMask(fullMask([4, 4]), 10 * id, f));
        objects.set(id, {
          id,
          masks,
          projected: new Set([...masks.keys()].slice(1)),
          origin: 'interactive',
          prompts: [
            {
              kind: 'point',
              id: `t${id}`,
              plane: first,
              at: [10 * id, first],
              positive: true,
              track: { id, state: 'track' },
            },
          ],
          trackEnd: { reason: 'lost', frame: last },
        });
      }
      return { ...state, layers: { ...state.layers, current_object: { objects } } };
    },
  });
  return session;
}

describe('edits of tracks', () => {
  it('a random walk is undone and redone exactly, survives a session file, and keeps families sound', () =>
    walks(1, 4));

  it('so are more random walks (thorough)', () => walks(5, 16));

  async function walks(firstSeed: number, lastSeed: number): Promise<void> {
    let done = 0;
    for (let seed = firstSeed; seed <= lastSeed; seed++) {
      const random = seededRandom(seed);
      const session = begun(random);
      const int = (high: number) => randomInteger(random, 0, high);
      const texts = [exportSession({ ...session.state, currentTrack: 1, plane: 0 })];
      for (let i = 0; i < 40; i++) {
        const layer: TrackLayer = int(2) === 0 ? 'current_object' : 'committed_objects';
        const ids =
          layer === 'current_object' ? trackIds(session.state) : [...session.state.layers[layer].objects.keys()];
        const pick = () => ids[int(ids.length)] ?? 1;
        const steps = [
          () => session.run('split_track', { id: pick(), frame: int(FRAMES), layer }),
          () => session.run('merge_tracks', { ids: [pick(), pick()], layer }),
          () => session.run('swap_tracks', { ids: [pick(), pick()], frame: int(FRAMES), layer }),
          () => session.run('link_tracks', { mother: pick(), daughter: pick(), layer }),
          () => session.run('unlink_track', { daughter: pick(), layer }),
          () => session.run('divide_track', { id: pick(), frame: int(FRAMES) }),
          () => (int(4) === 0 ? session.run('delete_track', { id: pick(), layer }) : Promise.resolve()),
          () => (int(6) === 0 ? session.run('commit', { preserveMode: 'pixels' }) : Promise.resolve()),
        ];
        const before = session.state;
        try {
          await steps[int(steps.length)]();
        } catch (error) {
          assert.notEqual(asSamError(error).code, 'internal', String(error));
          assert.equal(session.state.layers, before.layers, 'a refused edit changes nothing');
          continue;
        }
        const text = exportSession({ ...session.state, currentTrack: 1, plane: 0 });
        if (text === texts.at(-1)) continue;
        texts.push(text);
        done++;
        checkFamilies(session, 'current_object');
        checkFamilies(session, 'committed_objects');
        const again = importSession(exportSession(session.state), image);
        assert.deepEqual(again.lineages, session.state.lineages);
        assert.deepEqual(again.currentLineages, session.state.currentLineages);
      }
      for (let i = texts.length - 2; i >= 0; i--) {
        assert.ok(session.undo());
        assert.ok(
          exportSession({ ...session.state, currentTrack: 1, plane: 0 }) === texts[i],
          `seed ${seed}, undo to ${i}`,
        );
      }
      for (let i = 1; i < texts.length; i++) {
        assert.ok(session.redo());
        assert.ok(
          exportSession({ ...session.state, currentTrack: 1, plane: 0 }) === texts[i],
          `seed ${seed}, redo to ${i}`,
        );
      }
    }
    assert.ok(done > 6 * (lastSeed - firstSeed + 1), `only ${done} edits were made`);
  }
});

/** A daughter begins after her mother ends, and no track descends from itself. */
function checkFamilies(session: AnnotationSession, layer: TrackLayer): void {
  const tracks = new Map(describeTracks(session.state, layer).map((track) => [track.id, track]));
  for (const track of tracks.values()) {
    const seen = new Set<number>();
    for (let id: number | undefined = track.id; id !== undefined; id = tracks.get(id)?.mother) {
      assert.ok(!seen.has(id), `track ${id} is its own ancestor`);
      seen.add(id);
    }
    const mother = track.mother === undefined ? undefined : tracks.get(track.mother);
    if (mother?.range && track.range) assert.ok(track.range[0] > mother.range[1], `${track.id} begins too early`);
  }
}
