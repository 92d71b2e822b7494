import { changeSettings } from '../edits/edits.js';
import type { SessionState, Tool } from '../state.js';
import { type Command, command } from './command.js';

/** Commands that change what is in hand: the tool, and the width of brush and eraser. */

/** Switches to one tool. */
function toolCommand<Id extends string>(entry: {
  readonly id: Id;
  readonly tool: Tool;
  readonly title: string;
  readonly key?: string;
  readonly tooltip: string;
}): Command {
  const { id, tool, title, key, tooltip } = entry;
  const use = changeSettings({ tool });
  return command({
    id,
    title,
    group: 'tools',
    scope: 'session',
    ...(key && { keys: [key] }),
    tooltip,
    predict: (state) => use.change(state),
    run: (session) => void session.apply(use),
  });
}

/** One pixel while the brush is narrow, about a tenth of its width when it is wide; 1 to 100 pixels. */
function otherBrush({ settings }: SessionState, direction: 1 | -1) {
  const { brushSize } = settings;
  const step = Math.max(1, Math.round(brushSize / 10));
  return changeSettings({ brushSize: Math.min(Math.max(brushSize + direction * step, 1), Math.max(100, brushSize)) });
}

export const TOOL_COMMANDS = {
  use_point: toolCommand({
    id: 'use_point',
    tool: 'point',
    title: 'Tool: Point',
    tooltip: 'A click is a point of the object, or outside of it. P switches to it, and from it to boxes.',
  }),
  use_box: toolCommand({
    id: 'use_box',
    tool: 'box',
    title: 'Tool: Box',
    key: 'M',
    tooltip: 'Drag a box around an object.',
  }),
  use_polygon: toolCommand({
    id: 'use_polygon',
    tool: 'polygon',
    title: 'Tool: Lasso',
    key: 'L',
    tooltip: 'Draw around an object with the mouse held down.',
  }),
  use_ellipse: toolCommand({
    id: 'use_ellipse',
    tool: 'ellipse',
    title: 'Tool: Ellipse',
    key: 'Shift+M',
    tooltip: 'Drag an ellipse over an object, from corner to corner.',
  }),
  use_corners: toolCommand({
    id: 'use_corners',
    tool: 'corners',
    title: 'Tool: Polygon',
    key: 'Shift+L',
    tooltip: 'Click the corners of an outline around an object; a double click closes it.',
  }),
  use_scribble: toolCommand({
    id: 'use_scribble',
    tool: 'scribble',
    title: 'Tool: Scribble',
    key: 'G',
    tooltip: 'Draw a stroke over an object: points along it are given to the model.',
  }),
  use_brush: toolCommand({
    id: 'use_brush',
    tool: 'brush',
    title: 'Tool: Brush',
    key: 'B',
    tooltip: 'Paint an object, or what is missing of one.',
  }),
  use_eraser: toolCommand({
    id: 'use_eraser',
    tool: 'eraser',
    title: 'Tool: Eraser',
    key: 'Shift+B',
    tooltip: 'Wipe away what is too much of an object.',
  }),
  use_fill: toolCommand({
    id: 'use_fill',
    tool: 'fill',
    title: 'Tool: Fill hole',
    key: 'F',
    tooltip: 'Click a hole in an object to fill it.',
  }),
  use_split: toolCommand({
    id: 'use_split',
    tool: 'split',
    title: 'Tool: Split',
    key: 'I',
    tooltip: 'Drag a line across an object to cut it, or click its two parts one after the other.',
  }),
  use_pan: toolCommand({
    id: 'use_pan',
    tool: 'pan',
    title: 'Tool: Select',
    key: 'Q',
    tooltip: 'Click objects and prompts; drag to move the image.',
  }),
  smaller_brush: command({
    id: 'smaller_brush',
    title: 'Smaller brush',
    group: 'tools',
    scope: 'session',
    keys: [','],
    tooltip: 'Make brush and eraser narrower.',
    predict: (state) => otherBrush(state, -1).change(state),
    run: (session) => void session.apply(otherBrush(session.state, -1)),
  }),
  larger_brush: command({
    id: 'larger_brush',
    title: 'Larger brush',
    group: 'tools',
    scope: 'session',
    keys: ['.'],
    tooltip: 'Make brush and eraser wider.',
    predict: (state) => otherBrush(state, 1).change(state),
    run: (session) => void session.apply(otherBrush(session.state, 1)),
  }),
};
