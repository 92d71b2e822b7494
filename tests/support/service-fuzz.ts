import { isDeepStrictEqual } from 'node:util';
import { SamError } from '../../src/errors.js';
import { createService, type MicroSamService } from '../../src/service/service.js';
import { AnnotationSession } from '../../src/session/session.js';
import { brightWorker } from './bright-worker.js';
import { DiscAnnotator } from './disc-annotator.js';
import { arrayImage } from './disc-service.js';
import { randomInteger, seededRandom } from './random.js';
import { type FuzzOutcome, other } from './worker-fuzz.js';

/** Good calls of functions that take arguments; the others are called without, and with what is not theirs. */
const GOOD: Readonly<Partial<Record<keyof MicroSamService, readonly unknown[]>>> = {
  open_image: [arrayImage(), 'cells', { axes: 'yx' }],
  annotator_2d: [arrayImage(), { name: 'cells', segmentation_result: arrayImage() }],
  add_point_prompts: [
    [
      [5, 6],
      [9, 8],
    ],
    [1, 0],
    { plane: 1, track_id: 1, state: 'track' },
  ],
  add_box_prompts: [[[2, 2, 9, 12]], { plane: 0 }],
  add_ellipse_prompts: [[[2, 2, 9, 12]], { plane: 0 }],
  add_polygon_prompts: [
    [
      [
        [2, 2],
        [9, 12],
        [2, 12],
      ],
    ],
    { plane: 0 },
  ],
  remove_prompts: [['p1-0']],
  segment_object: [{ batched: false, task: 'mine', progress: () => {} }],
  segment_all_slices: [{ projection: 'box', iou_threshold: 0.5, task: 'mine' }],
  track_object: [{ id: 1, direction: 'both', motion_smoothing: 0.5 }],
  segment_from_points: [arrayImage(), [[5, 6]], [1], { plane: 0, multimask_output: true, axes: 'yx' }],
  segment_from_box: [arrayImage(), [2, 2, 9, 12], { box_extension: 0.1, task: 'mine' }],
  segment_from_mask: [arrayImage(), arrayImage(), { use_points: true }],
  automatic_instance_segmentation: [arrayImage(), { mode: 'ais', ndim: 2, min_object_size: 4 }],
  precompute_image_embeddings: [arrayImage(), { tile_shape: [512, 512], halo: [8, 8] }],
  evaluate: [arrayImage(), arrayImage(), {}],
  automatic_segmentation: [{ mode: 'auto', region: [0, 0, 9, 9], points_per_side: 4 }],
  set_settings: [{ tool: 'box', brush_size: 9, iou_threshold: 0.5, track_state: 'division' }],
  set_image_settings: [{ channels: [0], tile_shape: [512, 512], halo: [1, 1], pixel_size: [1, 1] }],
  set_plane: [1],
  set_track: [2],
  divide_track: [1, { frame: 1 }],
  link_tracks: [1, 2],
  merge_tracks: [[1, 2]],
  swap_tracks: [[1, 2], 1],
  split_track: [1, 1],
  paint: [
    [
      [5, 5],
      [6, 9],
    ],
    { tool: 'brush', radius: 2 },
  ],
  commit: [{ layer: 'current_object', preserve_mode: 'objects', preservation_threshold: 0.5 }],
  preview_commit: [{ preserve_mode: 'none' }],
  pick_object: [1],
  delete_object: [1, { layer: 'committed_objects' }],
  clear_annotations: [{ all_slices: true }],
  get_layer: ['committed_objects', { as: 'rle', plane: 0 }],
  set_committed_objects: [arrayImage(40 * 3, 60)],
  set_committed_tracks: [arrayImage(40 * 3, 60), [{ 1: [2] }]],
  load_objects: [arrayImage(), 'labels', true],
  load_tracks: [[{ name: 'a.zip', bytes: new Uint8Array(9) }]],
  export: ['geojson', { layer: 'committed_objects' }],
  import_session: ['{}'],
  open_series: [[arrayImage()], ['a']],
  go_to_image: [0],
  cancel: ['mine'],
  on: ['state', () => {}],
  off: ['s1'],
};

/**
 * Calls of the service in which some arguments are of another kind, too many, misspelt or left out. Each may be carried out,
 * or refused with an error of ours and everything as it was; nothing else may happen.
 */
export async function fuzzService(count: number, seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const failures: string[] = [];
  let refused = 0;
  let service = await opened(seed);
  const names = (Object.keys(service) as (keyof MicroSamService)[]).filter(
    (name) => name !== 'close' && name !== 'run',
  );
  for (let i = 0; i < count; i++) {
    if (i % 1000 === 999) service = await opened(seed + i); // what was carried out adds up
    const name = names[randomInteger(random, 0, names.length)];
    const args = changedArguments(GOOD[name] ?? [], random);
    const { message: _, ...before } = await service.get_state();
    try {
      await (service[name] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
    } catch (error) {
      refused++;
      const call = `${name} ${seed}/${i}`;
      if (!(error instanceof SamError) || error.code === 'internal')
        failures.push(`${call}: ${error instanceof Error ? error.stack : error}`);
      const { message: __, ...after } = await service.get_state();
      if (!isDeepStrictEqual(after, before)) failures.push(`${call}: refused, but the state is another. ${error}`);
    }
  }
  return { cases: count, failures, refused };
}

/** A series, a volume or a single image, with a step to undo and one to do again. */
async function opened(seed: number): Promise<MicroSamService> {
  const session = new AnnotationSession();
  const axes = (['tyx', 'zyx', 'yx'] as const)[seed % 3];
  const planes = axes === 'yx' ? 1 : 3;
  session.open({ name: 'cells', axes, size: [40, 60], planes, signature: 's' }, new DiscAnnotator([40, 60], planes));
  await session.run('set_settings', { batched: true });
  await session.run('set_settings', { preserveMode: 'pixels' });
  await session.run('undo');
  const worker = brightWorker();
  return createService({ session, openImage: async () => undefined, headless: { worker: () => worker } });
}

function changedArguments(good: readonly unknown[], random: () => number): unknown[] {
  const args = good.map((argument) => (random() < 0.6 ? argument : other(argument, random)));
  if (random() < 0.1) args.length = randomInteger(random, 0, args.length + 1);
  const kind = random();
  if (kind < 0.1) args.push(other(0, random));
  else if (kind < 0.2) args.push({ plan: 0 });
  else if (kind < 0.25) args.push({ _rkwargs: true, __proto__x: 1 });
  return args;
}
