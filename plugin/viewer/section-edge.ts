/**
 * The edge between the map and the sections: a drag, or the arrow keys, make the sections larger or smaller; a double click
 * as they were. In narrow windows, where the sections lie below the map, it lies above them.
 */
export function sectionEdge(sections: HTMLElement): HTMLElement {
  const edge = document.createElement('div');
  edge.className = 'section-edge';
  edge.tabIndex = 0;
  edge.setAttribute('role', 'separator');
  edge.setAttribute('aria-label', 'Size of the sections');
  edge.title = 'Drag to make the sections larger; double click: as they were';
  let share = USUAL;
  const set = (wanted: number) => {
    share = Math.min(MOST, Math.max(LEAST, wanted));
    document.body.style.setProperty('--sections', `${share}fr`);
    document.body.style.setProperty('--map', `${1 - share}fr`);
    edge.setAttribute('aria-valuenow', String(Math.round(100 * share)));
  };
  const below = () => edge.offsetWidth > edge.offsetHeight;
  /** Of the room that map and sections have together. */
  const at = (event: PointerEvent) => {
    const map = document.querySelector('main')?.getBoundingClientRect();
    const box = sections.getBoundingClientRect();
    if (!map) return share;
    return below()
      ? (box.bottom - event.clientY) / (box.bottom - map.top)
      : (box.right - event.clientX) / (box.right - map.left);
  };
  set(USUAL);
  edge.addEventListener('pointerdown', (event) => edge.setPointerCapture(event.pointerId));
  edge.addEventListener('pointermove', (event) => {
    if (edge.hasPointerCapture(event.pointerId)) set(at(event));
  });
  edge.addEventListener('dblclick', () => set(USUAL));
  edge.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: STEP, ArrowUp: STEP, ArrowRight: -STEP, ArrowDown: -STEP }[event.key];
    if (step === undefined) return;
    set(share + step);
    event.preventDefault();
    event.stopPropagation();
  });
  return edge;
}

const USUAL = 1 / 3;
const LEAST = 0.15;
const MOST = 0.85;
const STEP = 0.05;
