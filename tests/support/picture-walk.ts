import { promptGeometry } from '../../plugin/kaibu/geometry.js';
import { KaibuViewer } from '../../plugin/kaibu/kaibu-viewer.js';
import { FILL, objectFeatures } from '../../plugin/kaibu/object-features.js';
import type { Feature, XY } from '../../plugin/kaibu/window.js';
import { asSamError } from '../../src/errors.js';
import { rasterizeStroke } from '../../src/ndimage/rasterize.js';
import { Presenter } from '../../src/presenter/presenter.js';
import { viewObjects } from '../../src/presenter/view-objects.js';
import type { ViewObject } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { CommandId } from '../../src/session/commands/commands.js';
import { setCommittedObjects } from '../../src/session/edits/edits.js';
import { recordsFromLabels } from '../../src/session/layers.js';
import { AnnotationSession } from '../../src/session/session.js';
import type { SessionState } from '../../src/session/state.js';
import { DiscAnnotator } from './disc-annotator.js';
import { FakeKaibu } from './fake-kaibu.js';
import { vocabulary } from './fast-hand.js';
import { randomInteger } from './random.js';
import { randomStep, WALK_IMAGE } from './session-walk.js';

/**
 * Random work through presenter and adapter, with everything that makes prompts and objects come and go: what the viewer
 * draws in the end, and whether it is quiet then, are compared with the state.
 */
export interface WalkResult {
  readonly steps: number;
  /** Steps after which the picture was another than the state, with what differed. */
  readonly mismatches: readonly string[];
  /** Messages in the second after the walk, with nobody touching anything. */
  readonly idle: readonly string[];
}

/** What is dragged has been moved when it has rested for about so long. */
const RESTED_MS = 150;

const LAYERS = ['current_object', 'auto_segmentation', 'committed_objects'] as const;
const [HEIGHT, WIDTH] = WALK_IMAGE.size;

export async function pictureWalk(options: {
  readonly ours: boolean;
  readonly steps: number;
  readonly random: () => number;
}): Promise<WalkResult> {
  const { ours, steps, random } = options;
  const delay = async () => {
    for (let k = randomInteger(random, 0, 4); k > 0; k--) await Promise.resolve();
    if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
  };
  const session = new AnnotationSession();
  session.open(WALK_IMAGE, new DiscAnnotator(WALK_IMAGE.size));
  const kaibu = new FakeKaibu(ours, delay);
  const viewer = await KaibuViewer.attach(kaibu.window());
  const presenter = new Presenter(session, viewer, {
    readPixels: async () => ({ data: new Uint8Array(HEIGHT * WIDTH * 3), shape: [HEIGHT, WIDTH, 3] }),
  });
  await settled(session, presenter);
  const mismatches: string[] = [];
  for (let step = 0; step < steps; step++) {
    const name = await act(session, kaibu, random, step);
    // In between, steps follow each other without waiting for the picture.
    if (random() < 0.5) continue;
    const difference = await lastingDifference(session, presenter, kaibu);
    if (difference) mismatches.push(`step ${step}, ${name}: ${difference}`);
  }
  const last = await lastingDifference(session, presenter, kaibu);
  if (last) mismatches.push(`at the end: ${last}`);
  const before = kaibu.messages.length;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  presenter.close();
  return { steps, mismatches, idle: kaibu.messages.slice(before) };
}

async function act(session: AnnotationSession, kaibu: FakeKaibu, random: () => number, step: number): Promise<string> {
  const { state } = session;
  const some = <T>(values: Iterable<T>): T | undefined => {
    const all = [...values];
    return all[randomInteger(random, 0, Math.max(1, all.length))];
  };
  const at = () => [randomInteger(random, 0, WIDTH) + 0.5, randomInteger(random, 0, HEIGHT) + 0.5] as const;
  const attempt = (done: Promise<unknown>) =>
    done.catch((error) => {
      if (asSamError(error).code === 'internal') throw error;
    });
  const isFree = () => session.shown.settings.tool === 'polygon' || session.shown.settings.tool === 'corners';
  const others: Record<string, () => unknown> = {
    draw: () =>
      kaibu.draw('point_prompts', {
        type: 'Feature',
        geometry: { type: 'Point', coordinates: at() },
        properties: { id: `drawn${step}`, label: 'positive' },
      }),
    shape: () => {
      const [x, y] = at();
      const corners: XY[] = [
        [x, y],
        [x, y + 9],
        [x + 11, y + 9],
        [x + 11, y],
        [x, y],
      ];
      kaibu.draw('prompts', {
        type: 'Feature',
        geometry: { type: 'Polygon', coordinates: [isFree() ? [...corners.slice(0, 3), corners[0]] : corners] },
        properties: { id: `shape${step}` },
      });
    },
    tool: () => session.run('set_settings', { tool: some(['point', 'box', 'polygon', 'ellipse', 'corners'] as const) }),
    move: () => {
      const layer = some(['point_prompts', 'prompts'] as const) as string;
      const feature = some(kaibu.layers.get(layer)?.features.values() ?? []);
      if (!feature) return;
      kaibu.drag(layer, { ...feature, geometry: movedBy(feature.geometry, at()[0] / 10, at()[1] / 10) });
    },
    word: async () => {
      const words = Object.entries(vocabulary(random, step)) as [CommandId, unknown][];
      const [id, args] = words[randomInteger(random, 0, words.length)];
      await attempt((session.run as (id: CommandId, args?: unknown) => Promise<void>)(id, args));
    },
    load: () => {
      const [x, y] = at().map(Math.floor);
      const mask = rasterizeStroke([[y, x]], 4, WALK_IMAGE.size);
      const records =
        mask.area > 0 ? [{ id: 1, masks: new Map([[0, mask]]), prompts: [], origin: 'loaded' as const }] : [];
      return attempt(session.applyInTurn(setCommittedObjects(records)));
    },
    model: () => session.useAnnotator(new DiscAnnotator(WALK_IMAGE.size)),
    secondary: () => kaibu.listeners.secondary?.([...at()], Date.now()),
    automatic: () => {
      const labels = { data: new Uint32Array(HEIGHT * WIDTH), shape: [HEIGHT, WIDTH] };
      for (let id = 1; id <= 3; id++) {
        const [x, y] = at().map(Math.floor);
        for (let r = y; r < Math.min(HEIGHT, y + 6); r++)
          labels.data.fill(id, r * WIDTH + x, r * WIDTH + Math.min(WIDTH, x + 7));
      }
      const objects = new Map(recordsFromLabels(labels, 'automatic').map((record) => [record.id, record]));
      session.apply({
        title: 'find',
        change: (s) => ({ ...s, layers: { ...s.layers, auto_segmentation: { objects } } }),
      });
    },
    choose: () => attempt(session.run('choose_automatic', { id: some(state.layers.auto_segmentation.objects.keys()) })),
    edit: () => attempt(session.run('edit_automatic')),
    accept: () => attempt(session.run('accept_automatic')),
    pick: () => attempt(session.run('pick_object', { id: some(state.layers.committed_objects.objects.keys()) ?? 1 })),
    undo: () => attempt(session.run('undo')),
    redo: () => attempt(session.run('redo')),
    delete: () => attempt(session.run('delete')),
    sign: () => attempt(session.run('toggle_label')),
  };
  if (random() < 0.4) return (await randomStep(session, random, step)).name;
  const name = some(Object.keys(others)) ?? 'draw';

  await others[name]();
  return name;
}

function movedBy(geometry: Feature['geometry'], dx: number, dy: number): Feature['geometry'] {
  const moved = <T>(place: T): T =>
    (Array.isArray(place) && typeof place[0] === 'number'
      ? [place[0] + dx, place[1] - dy]
      : (place as unknown[]).map(moved)) as T;
  return { ...geometry, coordinates: moved(geometry.coordinates) } as Feature['geometry'];
}

/** What differs, and goes on doing so when everything has come to rest. */
async function lastingDifference(
  session: AnnotationSession,
  presenter: Presenter,
  kaibu: FakeKaibu,
): Promise<string | undefined> {
  for (let round = 0; ; round++) {
    await settled(session, presenter);
    const difference = differenceOf(session.shown, kaibu);
    if (!difference || round === 20) return difference;
    await new Promise((resolve) => setTimeout(resolve, RESTED_MS));
  }
}

async function settled(session: AnnotationSession, presenter: Presenter): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await session.settled();
    await presenter.idle();
    for (let k = 0; k < 12; k++) await new Promise((resolve) => setImmediate(resolve));
  }
}

function differenceOf(state: SessionState, kaibu: FakeKaibu): string | undefined {
  const drawn = new Map<string, string>();
  for (const layer of ['point_prompts', 'prompts'])
    for (const [id, { geometry, properties }] of kaibu.layers.get(layer)?.features ?? [])
      drawn.set(id, textOf(geometry, String(properties?.label ?? 'positive')));
  const wanted = new Map(
    state.prompts.map((prompt) => [prompt.id, textOf(promptGeometry(prompt, HEIGHT), signOf(prompt))]),
  );
  const prompts = compared(wanted, drawn);
  if (prompts) return `prompts ${prompts}`;
  for (const layer of LAYERS) {
    const objects = viewObjects(state, layer, 0);
    const shown = kaibu.layers.get(layer);
    const difference = kaibu.extras
      ? compared(new Map(objects.map((one) => [one.id, labelText(one)])), shown?.objects ?? new Map())
      : compared(
          featureTexts(objectFeatures(objects, HEIGHT, FILL.committed_objects)),
          featureTexts(shown?.features.values() ?? []),
        );
    if (difference) return `${layer} ${difference}`;
  }
  return undefined;
}

const signOf = (prompt: Prompt) => (prompt.kind === 'point' && !prompt.positive ? 'negative' : 'positive');

/** A closed ring may begin anywhere and go either way round; what is dragged over the edge is drawn beyond it, but counts up to it. */
function textOf(geometry: Feature['geometry'], sign: string): string {
  const near = (value: number, high: number) => Math.round(1e5 * Math.min(Math.max(value, 0), high));
  const place = ([x, y]: XY) => `${near(x, WIDTH)} ${near(y, HEIGHT)}`;
  if (geometry.type === 'Point') return `${place(geometry.coordinates)} ${sign}`;
  if (geometry.type !== 'Polygon') return `${JSON.stringify(geometry)} ${sign}`;
  return `${geometry.coordinates.map((ring) => [...new Set(ring.map(place))].sort())} ${sign}`;
}

const labelText = ({ color, mask }: ViewObject) =>
  JSON.stringify([Number.parseInt(color.slice(1), 16), [...mask.box], [...mask.runs]]);

function featureTexts(features: Iterable<Feature>): Map<string, string> {
  return new Map([...features].map(({ properties, geometry }) => [String(properties?.id), JSON.stringify(geometry)]));
}

function compared<K>(wanted: ReadonlyMap<K, string>, drawn: ReadonlyMap<K, string>): string | undefined {
  for (const [id, text] of wanted)
    if (drawn.get(id) !== text)
      return `${id} should be ${text.slice(0, 120)}, is ${String(drawn.get(id)).slice(0, 120)}`;
  for (const id of drawn.keys()) if (!wanted.has(id)) return `${id} is drawn and should not be there`;
  return undefined;
}
