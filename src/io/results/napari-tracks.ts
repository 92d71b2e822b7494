import * as v from 'valibot';
import { SamError } from '../../errors.js';
import type { LabelImage } from '../../ndimage/array.js';
import { threeAxes } from '../../ndimage/label.js';
import { maskCentroid, masksFromLabels } from '../../ndimage/rle.js';
import { type Lineages, tracksOf } from './ctc.js';

/**
 * Tracks as napari's Tracks layer takes them: a table with the columns track_id, t, y, x, one row per object and frame,
 * sorted by track and time, and a graph, daughter → [mother]. Positions are those of pixel indices: the middle of the
 * first pixel is (0, 0).
 *
 *     rows = pandas.read_csv('cells_tracks.csv').to_numpy()
 *     graph = {int(k): v for k, v in json.load(open('cells_graph.json')).items()}
 *     viewer.add_tracks(rows, graph=graph)
 */
export interface NapariTracks {
  /** [track id, frame, y, x]. */
  readonly rows: readonly (readonly [number, number, number, number])[];
  readonly graph: Readonly<Record<number, readonly number[]>>;
}

/** @param labels [T, H, W], the label of a track in all its frames */
export function napariTracks(labels: LabelImage, lineages: Lineages = []): NapariTracks {
  const [frames] = threeAxes(labels.shape);
  const rows: [number, number, number, number][] = [];
  for (let frame = 0; frame < frames; frame++)
    for (const [id, mask] of masksFromLabels(labels, frame)) {
      const [y, x] = maskCentroid(mask);
      rows.push([id, frame, y - 0.5, x - 0.5]);
    }
  rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const daughters = tracksOf(labels, lineages).filter(({ parent }) => parent !== 0);
  return { rows, graph: Object.fromEntries(daughters.map(({ label, parent }) => [label, [parent]])) };
}

export function tracksCsv({ rows }: NapariTracks): string {
  return ['track_id,t,y,x', ...rows.map((row) => row.join(','))].map((line) => `${line}\r\n`).join('');
}

/**
 * @throws SamError invalid_image naming the line that is not four numbers, the track the graph does not have, or a graph
 *   that is none
 */
export function parseNapariTracks(csv: string, graph = '{}'): NapariTracks {
  const lines = csv.split(/\r?\n/).filter((line) => line.trim() !== '');
  const rows = lines.slice(/^\s*"?track/i.test(lines[0] ?? '') ? 1 : 0).map((line, i) => {
    const cells = line.split(',').map((cell) => Number(cell));
    if (cells.length !== 4 || !cells.every(Number.isFinite))
      throw new SamError('invalid_image', `Row ${i + 1} of the tracks is "${line}"; expected track_id, t, y, x.`);
    return cells as [number, number, number, number];
  });
  const known = new Set(rows.map(([id]) => id));
  const parents: Record<number, number[]> = {};
  for (const [daughter, mothers] of Object.entries(parseGraph(graph))) {
    const list = [mothers].flat();
    const unknown = [Number(daughter), ...list].find((id) => !known.has(id));
    if (unknown !== undefined)
      throw new SamError('invalid_image', `The graph names track ${unknown}, which has no row in the table.`);
    parents[Number(daughter)] = list;
  }
  return { rows, graph: parents };
}

/** Daughter → mothers, or as some write it, the one mother. */
const graphSchema = v.record(v.string(), v.union([v.number(), v.array(v.number())]));

function parseGraph(text: string): v.InferOutput<typeof graphSchema> {
  try {
    return v.parse(graphSchema, JSON.parse(text));
  } catch (cause) {
    throw new SamError('invalid_image', 'The graph of the tracks is not JSON of the form {"daughter": [mother]}.', {
      cause,
    });
  }
}
