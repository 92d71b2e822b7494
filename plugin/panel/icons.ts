/** Pictures of the tools: 20 x 20 units, strokes only. */
export const TOOL_ICONS: Readonly<Record<string, string>> = {
  point: '<circle cx="10" cy="10" r="3.2"/><path d="M10 2v3M10 15v3M2 10h3M15 10h3"/>',
  box: '<rect x="3.5" y="4.5" width="13" height="11" stroke-dasharray="3 2"/>',
  polygon: '<path d="M4 7l5-4 7 4-1.5 8-8 2z"/>',
  corners:
    '<path d="M5 15L4 7l8-3 5 6-4 6z"/><circle cx="4" cy="7" r="1.5"/><circle cx="12" cy="4" r="1.5"/><circle cx="17" cy="10" r="1.5"/>',
  scribble: '<path d="M3 13c3-9 5-9 5-3s2 6 4 0 3-4 5-4"/>',
  ellipse: '<ellipse cx="10" cy="10" rx="7.5" ry="5" stroke-dasharray="3 2"/>',
  brush: '<path d="M17 3l-7.5 8M9.5 11c-2-.5-4 .5-4 3 0 1.5-1 2-2.5 2 2 1.5 7 1.5 7.5-2 .1-1-.3-2-1-3z"/>',
  eraser: '<path d="M8 16.5l-4.5-4.5 8-8 5 5-7.5 7.5zM6.5 8.5l5 5M8 16.5h9"/>',
  fill: '<circle cx="10" cy="10" r="7"/><circle cx="10" cy="10" r="2.5" fill="currentColor"/>',
  split: '<path d="M4 16L16 4M5 8a4 4 0 0 1 4-4M15 12a4 4 0 0 1-4 4"/>',
  pan: '<path d="M10 2v16M2 10h16M10 2L8 4.5M10 2l2 2.5M10 18l-2-2.5M10 18l2-2.5M2 10l2.5-2M2 10l2.5 2M18 10l-2.5-2M18 10l-2.5 2"/>',
};
