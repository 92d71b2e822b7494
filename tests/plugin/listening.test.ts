import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { askBeforeClosing } from '../../plugin/app/saved-choices.js';
import { listenToDrops } from '../../plugin/dropped-files.js';
import { Windows } from '../../plugin/host/windows.js';
import { watchSpace } from '../../plugin/viewer/held-space.js';
import { listenToKeys } from '../../plugin/viewer/keys.js';

/** The page itself is nobody's element: who listens to it has to stop by itself. */
describe('what listens to a page', () => {
  const TYPES = ['keydown', 'keyup', 'blur', 'dragover', 'dragleave', 'drop', 'beforeunload'];
  const classList = { add() {}, remove() {}, toggle: () => true };
  const element = { classList, style: { setProperty() {} } } as unknown as HTMLElement;
  const page = { document: undefined as unknown as EventTarget, window: undefined as unknown as EventTarget };
  const heard = () =>
    TYPES.filter((type) => Object.values(page).some((target) => getEventListeners(target, type).length > 0));

  const { document: documentBefore, window: windowBefore } = globalThis;
  beforeEach(() => {
    page.document = Object.assign(new EventTarget(), { body: { classList }, getElementById: () => null });
    page.window = new EventTarget();
    Object.assign(globalThis, page);
  });
  after(() => Object.assign(globalThis, { document: documentBefore, window: windowBefore }));

  const nothing = {} as never;
  const drops = { onFiles() {}, onSlow() {}, onError() {} };
  for (const [title, listen, expected] of [
    ['for dropped files', (signal) => listenToDrops(drops, signal), ['dragover', 'dragleave', 'drop']],
    ['for keys of the viewer', (signal) => listenToKeys(nothing, nothing, nothing, signal), ['keydown']],
    ['for the space bar', (signal) => watchSpace(element, signal), ['keydown', 'keyup', 'blur']],
    ['around the windows', (signal) => void new Windows(element, () => {}, signal), ['keydown', ...TYPES.slice(3, 6)]],
    ['before it is closed', (signal) => askBeforeClosing(nothing, nothing, nothing, signal), ['beforeunload']],
  ] as readonly (readonly [string, (signal: AbortSignal) => void, readonly string[]])[])
    it(`${title} stops when it is told to`, () => {
      const closing = new AbortController();
      listen(closing.signal);
      assert.deepEqual(heard(), expected);
      closing.abort();
      assert.deepEqual(heard(), []);
    });
});
