import type { MicroSamService } from '../../src/service/service.js';

/**
 * The service under the names of its functions alone, for ImJoy, which asks for them when the window begins: what answers is
 * made with the first call.
 *
 * @param make what makes the service; asked again with the next call if it fails
 */
export function lateService(make: () => Promise<MicroSamService>): MicroSamService {
  let made: Promise<MicroSamService> | undefined;
  const service = () => {
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  const late =
    (name: string) =>
    async (...args: unknown[]) => {
      const functions = (await service()) as Readonly<Record<string, (...args: unknown[]) => unknown>>;
      return functions[name]?.(...args);
    };
  return Object.fromEntries(Object.keys(FUNCTIONS).map((name) => [name, late(name)])) as MicroSamService;
}

/** All there are: the compiler misses one that is left out. */
const FUNCTIONS: Readonly<Record<keyof MicroSamService, true>> = {
  setup: true,
  run: true,
  get_info: true,
  open_image: true,
  annotator_2d: true,
  annotator_3d: true,
  annotator_tracking: true,
  compute_embeddings: true,
  close: true,
  get_state: true,
  get_settings: true,
  set_settings: true,
  set_recording_view: true,
  set_plane: true,
  add_point_prompts: true,
  add_box_prompts: true,
  add_ellipse_prompts: true,
  add_polygon_prompts: true,
  add_scribble_prompts: true,
  get_prompts: true,
  remove_prompts: true,
  clear_prompts: true,
  segment_object: true,
  automatic_segmentation: true,
  estimate_automatic: true,
  set_automatic_thresholds: true,
  accept_automatic: true,
  reject_automatic: true,
  select_objects: true,
  describe_objects: true,
  merge_objects: true,
  split_object: true,
  fill_object_holes: true,
  smooth_objects: true,
  grow_objects: true,
  shrink_objects: true,
  segment_all_slices: true,
  track_object: true,
  get_tracks: true,
  get_lineages: true,
  set_track: true,
  new_track: true,
  divide_track: true,
  link_tracks: true,
  unlink_track: true,
  split_track: true,
  merge_tracks: true,
  swap_tracks: true,
  delete_track: true,
  set_committed_tracks: true,
  next_plane: true,
  previous_plane: true,
  open_series: true,
  image_series_annotator: true,
  get_series: true,
  segment_series: true,
  next_image: true,
  previous_image: true,
  go_to_image: true,
  load_objects: true,
  load_tracks: true,
  connect_worker: true,
  get_model_names: true,
  list_models: true,
  import_model: true,
  delete_model: true,
  load_model: true,
  set_image_settings: true,
  precompute_image_embeddings: true,
  segment_from_points: true,
  segment_from_box: true,
  segment_from_box_and_points: true,
  segment_from_mask: true,
  automatic_instance_segmentation: true,
  evaluate: true,
  train_sam: true,
  get_training: true,
  pause_training: true,
  refine_object: true,
  choose_candidate: true,
  paint: true,
  preview_commit: true,
  commit: true,
  clear_annotations: true,
  undo: true,
  redo: true,
  pick_object: true,
  delete_object: true,
  get_layer: true,
  set_committed_objects: true,
  export: true,
  export_session: true,
  import_session: true,
  screenshot: true,
  on: true,
  off: true,
  cancel: true,
};
