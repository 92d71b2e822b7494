import { SamError } from '../../errors.js';
import { type ByteSource, readAll } from '../../io/bytes.js';
import { files } from '../../io/parts.js';
import type { NapariTracks } from '../../io/results/napari-tracks.js';
import type { NamedBytes } from '../../io/stores/zip.js';
import type { Mask } from '../../ndimage/mask.js';
import { lineagesOf } from '../../segmentation/tracking/lineage.js';
import type { TaskOptions } from '../../task.js';
import { loadTracks } from '../edits/tracking.js';
import { layerOf, maxId, needImage, objectAt, recordsFromLabels } from '../layers.js';
import type { AnnotationSession } from '../session.js';
import type { ImageInfo, Lineage, ObjectRecord, SessionState } from '../state.js';

/**
 * Tracks made elsewhere become the committed tracks, to go on annotating. A folder of the Cell Tracking Challenge, or a
 * zip of one, brings its own masks. A table of napari (`_tracks.csv`, `_graph.json`) holds positions only: it says which
 * of the committed objects, say of an automatic segmentation, are one track.
 */
const CTC_TABLE = /(^|\/)(res|man)_track\.txt$/;
const NAPARI_TABLE = /tracks?\.csv$/i;
const NAPARI_GRAPH = /graph\.json$/i;

/** Whether files of these names are tracks. */
export function areTracks(names: readonly string[]): boolean {
  return names.some((name) => CTC_TABLE.test(name) || NAPARI_TABLE.test(name));
}

/**
 * Files that are tracks: a folder of the Cell Tracking Challenge, a zip of one, or a table of napari; else undefined. Of
 * a zip that is something else only the list of its members is read.
 */
export async function trackFiles(given: readonly ByteSource[]): Promise<NamedBytes[] | undefined> {
  if (areTracks(given.map(({ name }) => name)))
    return Promise.all(given.map(async (file) => ({ name: file.name, bytes: await readAll(file) })));
  const [file, ...others] = given;
  if (!file || others.length > 0 || !/\.zip$/i.test(file.name)) return undefined;
  const { openZipArchive } = await files();
  const archive = await openZipArchive(file);
  const names = [...archive.members.keys()].filter((name) => !name.endsWith('/')).sort();
  if (!areTracks(names)) return undefined;
  return Promise.all(names.map(async (name) => ({ name, bytes: await archive.read(name) })));
}

/**
 * One step of undo.
 *
 * @throws SamError invalid_image for tracks that do not fit the image or their own table, no_image, cancelled if another
 *   image was opened meanwhile
 */
export async function importTracks(session: AnnotationSession, given: readonly NamedBytes[]): Promise<void> {
  const image = needImage(session.state);
  const text = (pattern: RegExp) => {
    const file = given.find(({ name }) => pattern.test(name));
    return file && new TextDecoder().decode(file.bytes);
  };
  const table = given.some(({ name }) => CTC_TABLE.test(name)) ? undefined : text(NAPARI_TABLE);
  const found =
    table === undefined
      ? await session.task('read', 'Read tracks', (task) => ctcTracks(image, given, task))
      : tracksOfPositions(session.state, (await files()).parseNapariTracks(table, text(NAPARI_GRAPH)));
  if (session.state.image !== image)
    throw new SamError('cancelled', `The tracks were read for ${image.name}, which is not open any more.`);
  await session.applyInTurn(loadTracks(found.records, found.lineages));
  const tracks = `${found.tracks} ${found.tracks === 1 ? 'track' : 'tracks'}`;
  session.notify({
    level: found.missed > 0 ? 'warning' : 'info',
    text: [`Loaded ${tracks}.`, ...found.notices].join(' '),
  });
}

interface FoundTracks {
  readonly records: readonly ObjectRecord[];
  readonly lineages: readonly Lineage[];
  readonly tracks: number;
  /** Positions where there is no object. */
  readonly missed: number;
  readonly notices: readonly string[];
}

async function ctcTracks(
  { planes, size }: ImageInfo,
  given: readonly NamedBytes[],
  task: TaskOptions,
): Promise<FoundTracks> {
  const { readCtc, tracksToLineages } = await files();
  const { labels, tracks } = await readCtc(given, task);
  const expected = [planes, ...size];
  if (labels.shape.some((length, axis) => length !== expected[axis]))
    throw new SamError(
      'invalid_image',
      `The tracks are ${labels.shape.join(' x ')} (frames, y, x), the open image ${expected.join(' x ')}. Open the series they were made for first.`,
    );
  const records = recordsFromLabels(labels);
  return { records, lineages: tracksToLineages(tracks), tracks: records.length, missed: 0, notices: [] };
}

/** Objects that no position is in stay, as tracks of their own. */
function tracksOfPositions(state: SessionState, { rows, graph }: NapariTracks): FoundTracks {
  const layer = state.layers.committed_objects;
  const tracks = new Map<number, Map<number, Mask>>();
  const claimed = new Map<number, Set<number>>();
  let missed = 0;
  for (const [track, frame, y, x] of rows) {
    const object = objectAt(layer, frame, [Math.round(y), Math.round(x)]);
    const mask = layer.objects.get(object)?.masks.get(frame);
    const frames = claimed.get(object) ?? new Set();
    if (!mask || frames.has(frame)) {
      missed++;
      continue;
    }
    claimed.set(object, frames.add(frame));
    tracks.set(track, (tracks.get(track) ?? new Map<number, Mask>()).set(frame, mask));
  }
  if (tracks.size === 0)
    throw new SamError(
      'invalid_argument',
      `None of the ${rows.length} positions of the table is in a committed object. The table holds no masks: segment and commit the objects of all frames first.`,
    );
  const records: ObjectRecord[] = [...tracks].map(([id, masks]) => ({ id, masks, prompts: [], origin: 'loaded' }));
  let next = Math.max(maxId(layer), ...tracks.keys());
  for (const record of layer.objects.values()) {
    const rest = new Map([...record.masks].filter(([frame]) => !claimed.get(record.id)?.has(frame)));
    if (rest.size > 0) records.push({ ...record, id: tracks.has(record.id) ? ++next : record.id, masks: rest });
  }
  const parents = new Map(
    Object.entries(graph).flatMap(([daughter, [mother]]) => (mother === undefined ? [] : [[Number(daughter), mother]])),
  );
  const all = new Map(layerOf(records).objects);
  const lineages = lineagesOf({ tracks: new Map([...all].map(([id, { masks }]) => [id, masks])), parents });
  const notices =
    missed > 0
      ? [`${missed} of ${rows.length} positions are in no committed object, or in that of another track.`]
      : [];
  return { records, lineages, tracks: tracks.size, missed, notices };
}
