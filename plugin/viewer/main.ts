import 'ol/ol.css';
import './styles.css';
import type { ImJoyApi } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { download } from '../download.js';
import { listenToDrops } from '../dropped-files.js';
import { rpcWithOpener } from '../opener-rpc.js';
import { type Dispose, letGo } from '../remote-functions.js';
import { ChannelControls } from './channels.js';
import { watchSpace } from './held-space.js';
import { PaintInteraction } from './interactions/paint.js';
import { listenToKeys } from './keys.js';
import { LayerList } from './layer-list.js';
import { LayerStack } from './layer-stack.js';
import { Listeners } from './listeners.js';
import { moveByWheel } from './plane-wheel.js';
import { drawsOnClick, watchBand, watchPointer, watchSecondary } from './pointer.js';
import { viewerFunctions } from './rpc-api.js';
import { ScaleBar } from './scale-bar.js';
import { screenshot } from './screenshot.js';
import { Sections } from './sections.js';
import { Stage } from './stage.js';
import { moveByTrackpad } from './trackpad.js';
import { Sliders, Widgets } from './widgets.js';

/**
 * A viewer that speaks Kaibu's RPC functions, for use without internet and for tests. It has no idea of segmentation: who
 * opens the window adds layers and hears what people do. Everything it needs is in its own bundle.
 */
function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const closing = new AbortController();
const stage = new Stage(element('map'));
const listeners = new Listeners();
const notice = element('notice');

function tell(message: string): void {
  notice.textContent = message;
  notice.hidden = false;
  window.setTimeout(() => {
    notice.hidden = true;
  }, 6000);
}

let list: LayerList | undefined;
const stack = new LayerStack(stage, () => list?.render());
list = new LayerList(element('layers'), stack);
const widgets = new Widgets(element('widgets'), (error) =>
  tell(error instanceof Error ? error.message : String(error)),
);
const sliders = new Sliders(element('sliders'));
const paint = new PaintInteraction(stage, (stroke) => listeners.tell('stroke', stroke));
stage.map.addInteraction(paint);
const takeScreenshot = () => screenshot(stage.map, element('scale-bar'));

function openSidebar(open: boolean): void {
  document.body.classList.toggle('sidebar-closed', !open);
  element('toggle-sidebar').setAttribute('aria-expanded', String(open));
  stage.map.updateSize();
}

const scaleBar = new ScaleBar(stage, element('scale-bar'));
stage.keepClearOf(element('view-buttons'));
listenToKeys(stage, stack, sliders, closing.signal);
moveByWheel(stage, sliders);
moveByTrackpad(stage);
watchSpace(element('map'), closing.signal);
watchSecondary(stage, listeners);
watchBand(stage, listeners);
watchPointer(
  stage,
  stack,
  listeners,
  element('tooltip'),
  () => scaleBar.scale,
  () => paint.active || drawsOnClick(stack),
);

element('zoom-in').addEventListener('click', () => stage.zoomBy(2));
element('zoom-out').addEventListener('click', () => stage.zoomBy(0.5));
element('zoom-fit').addEventListener('click', () => stage.fit());
element('toggle-sidebar').addEventListener('click', () =>
  openSidebar(document.body.classList.contains('sidebar-closed')),
);
element('save-picture').addEventListener('click', async () =>
  download('view.png', await takeScreenshot(), 'image/png'),
);

const takeFiles = (files: readonly File[]) => {
  if (!listeners.mayHear('files')) return tell('Nobody is listening for files: drop them on the annotator instead.');
  if (listeners.waits) tell('What was dropped is opened as soon as the annotator is ready.');
  listeners.tell('files', files);
};
listenToDrops({ onFiles: takeFiles, onSlow: tell, onError: tell }, closing.signal);
new ResizeObserver(() => stage.map.updateSize()).observe(element('map'));
const BELOW_SLIDERS = 12 + 6; // to the edge of the window, and what sets the image off
new ResizeObserver(() => {
  const { offsetHeight: height } = element('sliders');
  stage.coverBelow(height > 0 ? height + BELOW_SLIDERS : 0);
}).observe(element('sliders'));
if (window.innerWidth < 640) openSidebar(false);

let api: ImJoyApi | undefined;
const functions = viewerFunctions({
  stage,
  stack,
  widgets,
  sliders,
  paint,
  channels: new ChannelControls(element('channels')),
  sections: new Sections(element('sections'), stage, (at, click) => listeners.tell('section', at, click)),
  listeners,
  close: () => {
    closing.abort();
    stage.close();
  },
  setBusy: (busy) => {
    element('busy').hidden = !busy;
  },
  openSidebar,
  setScale: (scale) => scaleBar.set(scale),
  setReadout: (text) => {
    element('readout').textContent = text;
    element('readout').hidden = text === '';
  },
  screenshot: takeScreenshot,
  letGo: (received) => letGo(received, api?.disposeObject as Dispose),
});

if (window.self === window.top) {
  tell('This viewer is driven by another window: open it from the annotator.');
} else {
  api = await rpcWithOpener({
    name: 'Kaibu',
    description: 'Viewer for images, objects and prompts',
  });
  await api.export(functions);
}
