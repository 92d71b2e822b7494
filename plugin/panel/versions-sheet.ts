import { counted } from '../../src/items.js';
import { colorOf } from '../../src/presenter/colors.js';
import { objectsInPlane, paintPlane } from '../../src/session/layers.js';
import type { SavedVersion } from '../../src/session/saving/versions.js';
import type { ImageInfo, ObjectLayer } from '../../src/session/state.js';
import { make, setText } from './dom.js';
import { Sheet } from './menu.js';

/** Earlier states of the work on this image, each with its time, what it holds and a small picture of it. */
export function versionsSheet(
  versions: AsyncIterable<SavedVersion>,
  image: ImageInfo,
  choose: (version: SavedVersion) => void,
): Sheet {
  const list = make('div', { className: 'menu versions' });
  const state = make('p', { className: 'facts', role: 'status' }, 'Reading what is saved …');
  const explanation = make(
    'p',
    { className: 'facts' },
    'Opening one replaces what is shown. Undo brings that back, and it stays saved as well.',
  );
  const sheet = new Sheet('Earlier versions', explanation, state, list);
  const fill = async () => {
    for await (const version of versions) {
      const button = make(
        'button',
        { type: 'button' },
        picture(version, image),
        make('span', { className: 'title' }, titleOf(version)),
        make('span', { className: 'detail' }, detailOf(version)),
      );
      button.addEventListener('click', () => {
        sheet.close();
        choose(version);
      });
      list.append(button);
    }
    setText(state, list.childElementCount === 0 ? 'There is no earlier version of the work on this image yet.' : '');
  };
  fill().catch((error: Error) => setText(state, `What is saved cannot be read: ${error.message}`));
  return sheet;
}

const KINDS = { earlier: '', copy: 'Copy: ', rescued: 'Rescued from damaged files' };

function titleOf({ kind, time }: SavedVersion): string {
  const when = time === undefined ? '' : new Date(time).toLocaleString();
  return KINDS[kind] + when || 'Time unknown';
}

function detailOf({ state: { layers, prompts } }: SavedVersion): string {
  const parts = [counted(layers?.committed_objects.objects.size ?? 0, 'committed object')];
  const suggested = layers?.auto_segmentation.objects.size ?? 0;
  if (suggested > 0) parts.push(counted(suggested, 'automatic object'));
  if (prompts && prompts.length > 0) parts.push(counted(prompts.length, 'prompt'));
  return parts.join(', ');
}

const PICTURE = 56;

/** The committed objects of the plane that has most of them, in their colours. */
function picture({ state }: SavedVersion, image: ImageInfo): HTMLCanvasElement {
  const [height, width] = image.size;
  const scale = PICTURE / Math.max(height, width);
  const canvas = make('canvas', {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  });
  const layer = state.layers?.committed_objects;
  const context = canvas.getContext('2d');
  if (!layer || !context) return canvas;
  const { data } = paintPlane(layer, fullestPlane(layer, image), image.size);
  for (let y = 0; y < canvas.height; y++)
    for (let x = 0; x < canvas.width; x++) {
      const id = data[Math.floor((y + 0.5) / scale) * width + Math.floor((x + 0.5) / scale)];
      if (!id) continue;
      context.fillStyle = colorOf(id);
      context.fillRect(x, y, 1, 1);
    }
  return canvas;
}

function fullestPlane(layer: ObjectLayer, { planes }: ImageInfo): number {
  let [best, most] = [0, 0];
  for (let plane = 0; plane < planes; plane++) {
    const count = [...objectsInPlane(layer, plane)].length;
    if (count > most) [best, most] = [plane, count];
  }
  return best;
}
