import { handTime } from '../hand-time.js';
import { keyPress } from '../key-press.js';
import { isTyping } from '../typing.js';
import type { LayerStack } from './layer-stack.js';
import { VectorLayer } from './layers/vector-layer.js';
import type { Stage } from './stage.js';
import type { Sliders } from './widgets.js';

const BROWSER_KEEPS = ['Tab', 'F5', 'F11', 'F12'];

/**
 * Keys go to the selected layer, or where nobody listens to it to the topmost one that has a listener, who may take
 * them; what nobody takes moves the plane slider ([ and ]) or the view
 * (+, -, 0 and the arrows). Keys typed into a control stay there.
 *
 * @param signal ends it
 */
export function listenToKeys(stage: Stage, stack: LayerStack, sliders: Sliders, signal: AbortSignal): void {
  const down = (event: KeyboardEvent) => {
    if (isTyping(event.target, event.code)) return;
    if (event.target instanceof HTMLButtonElement && (event.code === 'Enter' || event.code === 'Space')) return;
    const { code, ctrl } = keyPress(event);
    if (BROWSER_KEEPS.includes(code) || (ctrl && !/^(Key[ZYASOK]|Arrow\w+)$/.test(code))) return;
    event.preventDefault();
    // One after the other, also where they wait for layers.
    heard = heard.then(async () => {
      const layer = await hearing(stack);
      void press(event, layer, stage, sliders);
    });
  };
  document.addEventListener('keydown', down, { signal });
}

let heard: Promise<void> = Promise.resolve();

async function press(
  event: KeyboardEvent,
  layer: VectorLayer | undefined,
  stage: Stage,
  sliders: Sliders,
): Promise<void> {
  const { code, ctrl, shift, alt } = keyPress(event);
  if (code === 'Escape') layer?.cancelDrawing();
  if (layer) {
    const taken = await layer.key({
      code,
      meta_key: ctrl && event.metaKey,
      ctrl_key: ctrl && event.ctrlKey,
      shift_key: shift,
      alt_key: alt,
      pressed_at: handTime(event),
    });
    if (taken) return;
  }
  switch (code) {
    case 'BracketLeft':
      sliders.step(-1);
      break;
    case 'BracketRight':
      sliders.step(1);
      break;
    case 'Equal':
    case 'NumpadAdd':
      stage.zoomBy(1.5);
      break;
    case 'Minus':
    case 'NumpadSubtract':
      stage.zoomBy(1 / 1.5);
      break;
    case 'Digit0':
    case 'Numpad0':
      stage.fit();
      break;
    case 'ArrowLeft':
      stage.move({ by: [0, -ARROW_STEP] });
      break;
    case 'ArrowRight':
      stage.move({ by: [0, ARROW_STEP] });
      break;
    case 'ArrowUp':
      stage.move({ by: [-ARROW_STEP, 0] });
      break;
    case 'ArrowDown':
      stage.move({ by: [ARROW_STEP, 0] });
      break;
  }
}

/** Part of what is on screen. */
const ARROW_STEP = 0.15;

/** Before the first image, and while one takes the place of another, no layer hears: keys wait for those to come. */
async function hearing(stack: LayerStack): Promise<VectorLayer | undefined> {
  while (stack.waitsForListener < PATIENCE_MS) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  return listenerAmong(stack);
}

const POLL_MS = 25;
const PATIENCE_MS = 10_000;

/** Without this, a look at another layer's settings would leave the annotator deaf. */
function listenerAmong({ selected, layers }: LayerStack): VectorLayer | undefined {
  const vectors = [selected, ...[...layers].reverse()].filter((layer) => layer instanceof VectorLayer);
  return vectors.find(({ hears }) => hears) ?? vectors[0];
}
