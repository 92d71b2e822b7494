import type { YX } from '../../src/ndimage/array.js';
import { ellipseRing } from '../../src/ndimage/ellipse.js';
import { maskContains } from '../../src/ndimage/rle.js';
import type { ViewerEvent } from '../../src/presenter/viewer.js';
import type { Prompt } from '../../src/segmentation/prompts.js';
import type { ViewerHarness } from '../contracts/viewer.js';
import { FakeViewer } from './fake-viewer.js';

type Painted = Extract<ViewerEvent, { kind: 'painted' }>;

/** Hands for the FakeViewer: turn what a person does into the events that a real viewer would make of it. */
export function fakeHands(viewer = new FakeViewer(), { deaf = false } = {}): ViewerHarness {
  const log: ViewerEvent[] = [];
  let drawn = 0;
  const listen = () => void viewer.on((event) => log.push(event));
  if (!deaf) listen();

  const imageSize = () => viewer.image?.pixels.shape ?? [0, 0];
  const plane = () => viewer.slider?.at ?? 0;
  const add = (shape: (id: string, plane: number) => Prompt) => viewer.draw(shape(`hand-${++drawn}`, plane()));
  const clip = ([y, x]: YX): YX => {
    const [height, width] = imageSize();
    return [Math.min(Math.max(y, 0), height), Math.min(Math.max(x, 0), width)];
  };

  function pick(at: YX): void {
    for (const layer of ['current_object', 'committed_objects', 'auto_segmentation'] as const) {
      const found = viewer.layers[layer].findLast(({ mask }) => maskContains(mask, at[0], at[1]));
      if (found) {
        viewer.act({ kind: 'object-picked', layer, id: found.id });
        return;
      }
    }
  }

  const stroke = (tool: Painted['tool'], path: readonly YX[]) =>
    viewer.act({ kind: 'painted', tool, path, radius: viewer.tool?.brushSize ?? 0 });

  async function click(at: YX): Promise<void> {
    const [height, width] = imageSize();
    if (at[0] < 0 || at[1] < 0 || at[0] >= height || at[1] >= width)
      viewer.act({ kind: 'prompt-refused', why: 'outside' });
    else if (viewer.tool?.kind === 'pan') pick(at);
    else if (viewer.tool?.kind === 'fill') stroke('fill', [at]);
    else if (viewer.tool?.kind === 'point') {
      const { positive } = viewer.tool;
      add((id, plane) => ({ kind: 'point', id, plane, at, positive }));
    }
  }

  return {
    viewer,
    listen: async () => listen(),
    events: async () => [...log],
    async clearEvents() {
      log.length = 0;
    },
    async event<K extends ViewerEvent['kind']>(kind: K) {
      const found = log.find((event) => event.kind === kind);
      if (!found) throw new Error(`No event ${kind}, but ${log.map((event) => event.kind)}.`);
      return found as Extract<ViewerEvent, { kind: K }>;
    },
    click,
    aim: async (at) => () => click(at),
    look: async (at) => new TextEncoder().encode(JSON.stringify(viewer.prompts.filter(isAt(at)))),
    async drag(path) {
      const ring = path.map(clip);
      const ys = ring.map(([y]) => y);
      const xs = ring.map(([, x]) => x);
      const box = [Math.min(...ys), Math.min(...xs), Math.max(...ys), Math.max(...xs)] as const;
      const kind = viewer.tool?.kind;
      if (kind === 'brush' || kind === 'eraser' || kind === 'scribble' || kind === 'split') stroke(kind, path);
      else if (viewer.tool?.kind === 'box') add((id, plane) => ({ kind: 'box', id, plane, box }));
      else if (viewer.tool?.kind === 'polygon') add((id, plane) => ({ kind: 'polygon', id, plane, ring }));
      else if (viewer.tool?.kind === 'ellipse') {
        const [y0, x0] = ring[0];
        const [y1, x1] = ring[ring.length - 1];
        add((id, plane) => ({ kind: 'ellipse', id, plane, ring: ellipseRing([y0, x0, y1, x1]) }));
      }
    },
    async press(key) {
      const parts = key.split('+');
      const letter = parts.at(-1) ?? '';
      viewer.act({
        kind: 'key',
        code: letter.length === 1 ? `Key${letter.toUpperCase()}` : letter,
        ctrl: parts.includes('Control'),
        shift: parts.includes('Shift'),
        alt: parts.includes('Alt'),
      });
    },
    async clickCommand(title) {
      const command = viewer.commands.find((one) => one.title === title);
      if (command) viewer.act({ kind: 'command', id: command.id });
    },
    async nextPlane() {
      if (!viewer.slider) return;
      viewer.slider = { ...viewer.slider, at: viewer.slider.at + 1 };
      viewer.act({ kind: 'plane', plane: viewer.slider.at });
    },
    settle: async () => {},
    closeWindow: () => viewer.close(),
    close: async () => {},
  };
}

function isAt([y, x]: YX): (prompt: Prompt) => boolean {
  return (prompt) => prompt.kind === 'point' && Math.hypot(prompt.at[0] - y, prompt.at[1] - x) < 12;
}
