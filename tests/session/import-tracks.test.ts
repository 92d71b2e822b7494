import assert from 'node:assert/strict';
import { memoryBytes } from '../../src/io/bytes.js';
import { labelsToCtc } from '../../src/io/results/ctc.js';
import { napariTracks, tracksCsv } from '../../src/io/results/napari-tracks.js';
import { type NamedBytes, zipFiles } from '../../src/io/stores/zip.js';
import { EMPTY_MASK, masksEqual } from '../../src/ndimage/rle.js';
import { describeTracks } from '../../src/session/edits/tracking.js';
import { layerOf, recordsFromLabels } from '../../src/session/layers.js';
import { importTracks, trackFiles } from '../../src/session/loading/import-tracks.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { ObjectRecord } from '../../src/session/state.js';
import { DiscAnnotator } from '../support/disc-annotator.js';
import { dividingPhantom } from '../support/phantom-stack.js';

const FRAMES = 6;
const { labels, parents } = dividingPhantom({ planes: FRAMES, size: [96, 128] });
const [, height, width] = labels.shape;
const truth = recordsFromLabels(labels);
const families: Record<number, number[]>[] = [];
for (const { id } of truth) {
  if (parents.has(id)) continue;
  const daughters = [...parents].filter(([, mother]) => mother === id).map(([daughter]) => daughter);
  families.push(Object.fromEntries([[id, daughters], ...daughters.map((daughter) => [daughter, []])]));
}

function opened(planes = FRAMES): AnnotationSession {
  const session = new AnnotationSession();
  session.open(
    { name: 'series', axes: 'tyx', size: [height, width], planes, signature: 's' },
    new DiscAnnotator([height, width]),
  );
  return session;
}
const asFile = ({ name, bytes }: NamedBytes) => memoryBytes(bytes, name);
const committed = (session: AnnotationSession) => session.state.layers.committed_objects.objects;
const text = (name: string, content: string) => ({ name, bytes: new TextEncoder().encode(content) });

function assertTruth(session: AnnotationSession): void {
  assert.deepEqual(
    [...committed(session).keys()],
    truth.map(({ id }) => id),
  );
  for (const { id, masks } of truth)
    for (const [frame, mask] of masks)
      assert.ok(masksEqual(committed(session).get(id)?.masks.get(frame) ?? EMPTY_MASK, mask), `${id}, frame ${frame}`);
  const mothers = describeTracks(session.state, 'committed_objects').map(({ id, mother }) => [id, mother]);
  assert.deepEqual(
    mothers,
    truth.map(({ id }) => [id, parents.get(id)]),
  );
}

describe('importTracks', () => {
  it('takes a Cell Tracking Challenge result, as a folder or a zip, and one undo takes it back', async () => {
    const files = (await labelsToCtc(labels, { lineages: families })).map(({ name, bytes }) => ({
      name: `series_RES/${name}`,
      bytes,
    }));
    for (const given of [files, [{ name: 'series.zip', bytes: await zipFiles(files) }]]) {
      const session = opened();
      await importTracks(session, (await trackFiles(given.map(asFile)))!);
      assertTruth(session);
      assert.match(session.state.message?.text ?? '', new RegExp(`Loaded ${truth.length} tracks`));
      session.undo();
      assert.equal(committed(session).size, 0);
    }
    const other = { name: 'other.zip', bytes: await zipFiles([text('a.txt', 'a')]) };
    assert.equal(await trackFiles([asFile(other)]), undefined);
  });

  it('takes the tracks of napari for objects that were segmented frame by frame', async () => {
    // Every object of every frame under an id of its own, as automatic segmentation gives them.
    const pieces: ObjectRecord[] = [];
    for (const { masks } of truth)
      for (const [frame, mask] of masks)
        pieces.push({ id: pieces.length + 1, masks: new Map([[frame, mask]]), prompts: [], origin: 'automatic' });
    const alone = pieces.length + 1;
    const corner = { box: [0, 0, 2, 2] as const, runs: Uint32Array.of(0, 4), area: 4 };
    pieces.push({ id: alone, masks: new Map([[0, corner]]), prompts: [], origin: 'automatic' });
    const session = opened();
    session.apply({
      title: 'Commit',
      change: (state) => ({ ...state, layers: { ...state.layers, committed_objects: layerOf(pieces) } }),
    });
    const tracks = napariTracks(labels, families);
    const files = [text('a_tracks.csv', tracksCsv(tracks)), text('a_graph.json', JSON.stringify(tracks.graph))];
    await importTracks(session, files);
    assert.equal(committed(session).get(alone)?.masks.get(0), corner, 'what no track claims stays');
    session.apply({
      title: 'Delete',
      change: (state) => {
        const rest = [...state.layers.committed_objects.objects.values()].filter(({ id }) => id !== alone);
        return { ...state, layers: { ...state.layers, committed_objects: layerOf(rest) }, lineages: state.lineages };
      },
    });
    session.apply({
      title: 'Families',
      change: (state) => ({ ...state, lineages: state.lineages.filter((family) => !(alone in family)) }),
    });
    assertTruth(session);
  });

  it('refuses tracks of another image, and a table without objects, and leaves everything as it was', async () => {
    const session = opened(FRAMES + 1);
    const before = session.state.layers;
    await assert.rejects(importTracks(session, await labelsToCtc(labels)), /6 x 96 x 128 .* 7 x 96 x 128/);
    await assert.rejects(
      importTracks(session, [text('tracks.csv', 'track_id,t,y,x\n1,0,5,5\n')]),
      /None of the 1 positions/,
    );
    for (const graph of ['{', '{"2":"1"}', '7'])
      await assert.rejects(
        importTracks(session, [text('tracks.csv', 'track_id,t,y,x\n1,0,5,5\n'), text('graph.json', graph)]),
        { code: 'invalid_image', message: /graph of the tracks is not JSON/ },
      );
    assert.equal(session.state.layers, before);
  });

  it('a track whose list of mothers is empty has none, and is a family of its own', async () => {
    const session = opened();
    await importTracks(session, await labelsToCtc(labels));
    const tracks = napariTracks(labels);
    const graph = JSON.stringify(Object.fromEntries(truth.map(({ id }) => [id, []])));
    await importTracks(session, [text('tracks.csv', tracksCsv(tracks)), text('graph.json', graph)]);
    const families = truth.map(({ id }) => ({ [id]: [] }));
    assert.deepEqual(session.state.lineages, families);
  });

  it('gives no tracks to an image that was opened while they were read', async () => {
    const session = opened();
    const arriving = importTracks(session, await labelsToCtc(labels));
    session.open(
      { name: 'next', axes: 'tyx', size: [height, width], planes: FRAMES, signature: 'n' },
      new DiscAnnotator([height, width]),
    );
    await assert.rejects(arriving, { code: 'cancelled' });
    assert.equal(committed(session).size, 0);
  });
});
