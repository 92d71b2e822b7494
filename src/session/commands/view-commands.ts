import { command, elsewhere, needsImage } from './command.js';

/** Commands that move the view; a viewer that has keys of its own for them carries them out itself. */
export const VIEW_COMMANDS = {
  zoom_in: command({
    id: 'zoom_in',
    title: 'Zoom in',
    group: 'view',
    scope: 'view',
    keys: ['+'],
    tooltip: 'Enlarge the view. The wheel and pinching do it, too.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  zoom_out: command({
    id: 'zoom_out',
    title: 'Zoom out',
    group: 'view',
    scope: 'view',
    keys: ['-'],
    tooltip: 'Show more of the image.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  zoom_fit: command({
    id: 'zoom_fit',
    title: 'Whole image',
    group: 'view',
    scope: 'view',
    keys: ['0'],
    tooltip: 'Show the whole image.',
    unavailable: needsImage,
    run: elsewhere,
  }),
  move_left: moving('move_left', 'Move the view left', 'ArrowLeft'),
  move_right: moving('move_right', 'Move the view right', 'ArrowRight'),
  move_up: moving('move_up', 'Move the view up', 'ArrowUp'),
  move_down: moving('move_down', 'Move the view down', 'ArrowDown'),
};

function moving<Id extends string>(id: Id, title: string, key: string) {
  return command({
    id,
    title,
    group: 'view',
    scope: 'view',
    keys: [key],
    tooltip:
      'With any tool: Space, the middle or the right button and dragging, or two fingers on a trackpad, move the view, too. ' +
      'What is selected in the viewer is moved instead.',
    unavailable: needsImage,
    run: elsewhere,
  });
}
