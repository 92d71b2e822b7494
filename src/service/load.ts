import * as v from 'valibot';
import { SamError } from '../errors.js';
import { memoryBytes } from '../io/bytes.js';
import { importTracks, trackFiles } from '../session/loading/import-tracks.js';
import { loadObjects } from '../session/loading/load-objects.js';
import type { AnnotationSession } from '../session/session.js';
import { method } from './call.js';
import { bytesSchema, imageInput, imageName, imageSchema } from './image.js';
import { tracksJson } from './stack.js';

/** Objects and tracks that another program made, from its files. `set_committed_objects` takes them as arrays. */
const schemas = {
  load_objects: v.strictObject({
    labels: imageSchema,
    name: v.optional(v.string()),
    separate: v.optional(v.boolean()),
  }),
  load_tracks: v.strictObject({
    files: v.pipe(
      v.array(v.strictObject({ name: v.pipe(v.string(), v.nonEmpty()), bytes: bytesSchema })),
      v.minLength(1, 'the list is empty'),
    ),
  }),
};

export function loadFunctions(session: AnnotationSession) {
  return {
    /**
     * A label image becomes the committed objects, in one step of undo. With `separate`, pieces that do not touch become
     * objects of their own in another. Returns their ids.
     */
    load_objects: method(
      'load_objects',
      ['labels', 'name', 'separate'],
      schemas.load_objects,
      async ({ labels, name, separate }) => {
        const title = name ?? imageName(labels) ?? 'the labels';
        await loadObjects(session, imageInput(labels, { name: title }), title);
        if (separate && session.state.layers.committed_objects.objects.size > 0) await session.run('separate_objects');
        return [...session.state.layers.committed_objects.objects.keys()];
      },
    ),
    /**
     * Files as `export` gives them for `ctc` or `napari-tracks`, or one zip, become the committed tracks, in one step of
     * undo. Returns what `get_tracks` says of them.
     */
    load_tracks: method('load_tracks', ['files'], schemas.load_tracks, async ({ files }) => {
      const tracks = await trackFiles(files.map(({ name, bytes }) => memoryBytes(bytes, name)));
      if (!tracks)
        throw new SamError(
          'invalid_argument',
          `${files[0]?.name ?? 'Nothing'}${files.length > 1 ? ` and ${files.length - 1} more are` : ' is'} no tracks; expected res_track.txt with mask000.tif …, a zip of these, or <name>_tracks.csv with <name>_graph.json.`,
        );
      await importTracks(session, tracks);
      return tracksJson(session, 'committed_objects');
    }),
  };
}
