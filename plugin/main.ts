import { present } from '../src/items.js';
import { MicroSamApp } from './app/app.js';
import { askServerBeforeLoading } from './app/parts-ahead.js';
import { type DropListeners, listenToDrops } from './dropped-files.js';
import { rpcWithOpener } from './opener-rpc.js';
import { UntilHeard } from './until-heard.js';

/**
 * The plugin's window: a page that ImJoy opens (`rpc-window`). `run(ctx)` is called once by whoever opens it, with
 * settings in `ctx.config` and an image in `ctx.data`; the exported functions are what other plugins call.
 */
askServerBeforeLoading();
const root = present(document.getElementById('panel'), '#panel');
const closing = new AbortController();
const drops = new UntilHeard<(listeners: DropListeners) => void>();
listenToDrops(
  {
    onFiles: (files) => drops.tell((listeners) => listeners.onFiles(files)),
    onSlow: (text) => drops.tell((listeners) => listeners.onSlow(text)),
    onError: (text) => drops.tell((listeners) => listeners.onError(text)),
  },
  closing.signal,
);

try {
  const api = await rpcWithOpener({
    name: 'micro-sam',
    description: 'Segment Anything for Microscopy: click cells in an image and get their masks.',
  });
  const app = new MicroSamApp(api, root, drops, closing);
  await api.export(app.service());
} catch (error) {
  const text = document.createElement('p');
  text.textContent =
    window.parent === window
      ? 'This page is a plugin of ImJoy. Start the annotator with "npm start" and open the address it prints.'
      : `The annotator could not start: ${error instanceof Error ? error.message : String(error)}`;
  root.append(text);
}
