import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { COLUMNS, objectTable } from '../../src/presenter/table/object-table.js';
import { layerOf } from '../../src/session/layers.js';
import type { ObjectRecord } from '../../src/session/state.js';
import { seededRandom } from '../support/random.js';
import { atMost, type Figure, median, reported } from './figure.js';

/** The table of 10,000 objects: the slowest of sorting by a column, filtering, and one object more. */
const OBJECTS = 10_000;

export default async (): Promise<Figure[]> => {
  const random = seededRandom(1);
  const disc = (id: number): ObjectRecord => ({
    id,
    masks: new Map([
      [0, rasterizeStroke([[20 + random() * 4000, 20 + random() * 4000]], 4 + random() * 8, [4096, 4096])],
    ]),
    prompts: [],
    origin: 'automatic',
    predictedIou: random(),
    ...(random() < 0.3 && { objectClass: 1 + Math.floor(random() * 9), name: `cell ${id}` }),
  });
  const records = Array.from({ length: OBJECTS }, (_, k) => disc(k + 1));
  // Processor time: others may be at work on the same machine.
  const time = (work: () => void) => {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  const first = time(() => objectTable(layerOf(records), { column: 'size', descending: true }, ''));
  const intensity = ({ id }: ObjectRecord) => (id * 7919) % 4096;
  const rounds = Array.from({ length: 5 }, () => {
    const layer = layerOf([...records, disc(OBJECTS + 1)]);
    const sorted = COLUMNS.map((column) => time(() => objectTable(layer, { column, descending: true }, '', intensity)));
    const filtered = time(() =>
      objectTable(
        layer,
        { column: 'score', descending: false },
        'size > 200 score < 0.8 intensity > 500 cell',
        intensity,
      ),
    );
    return Math.max(...sorted, filtered);
  });
  return [
    atMost('table_10000_objects_ms', median(rounds), 'ms', 100),
    reported('table_10000_objects_first_ms', first, 'ms'),
  ];
};
