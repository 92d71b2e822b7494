import assert from 'node:assert/strict';
import type { TrainingRecord } from '../../src/service/training.js';
import { AnnotatorPage } from '../support/annotator-page.js';
import { browserStory, MINUTES } from '../support/browser-story.js';
import { dataPath, withData } from '../support/data.js';
import { startServer } from '../support/start-server.js';

const DSB = (name: string) => dataPath(`a_lm2d/dsb2018/${name}.png`);
const NAMES = ['2817299fd3b8'];

describe("a model made better on one's own objects", function () {
  this.timeout(1_800_000);
  const story = browserStory();

  withData('a page that no server trains for does so itself, in a web worker', async () => {
    const server = await startServer([DSB(NAMES[0]), '--segmentation_result', DSB(`${NAMES[0]}_labels`)]);
    try {
      const context = await story.browser.newContext({ viewport: { width: 1400, height: 900 } });
      const tab = await context.newPage();
      await tab.route('**/settings.json', async (route) => {
        const response = await route.fetch();
        const { training: _, worker: __, ...settings } = await response.json();
        await route.fulfill({ response, json: settings });
      });
      const page = await AnnotatorPage.over(tab, server.url);
      await page.ready();
      await page.until('its objects', ({ layers }) => layers.committed_objects.count > 0);
      const record = await page.call<TrainingRecord>('train_sam', {
        n_canvases: 1,
        n_iterations: 2,
        n_prompt_iterations: 1,
        preset: 'quick',
      });
      assert.equal(record.state, 'done');
      assert.equal(record.where, 'in this page');
      assert.ok((await page.call<string[]>('get_model_names')).includes(record.name));
      await page.call('load_model', record.name);
      await page.until('its embedding', ({ embedding }) => embedding === 'ready', MINUTES);
      await page.call('delete_model', record.name);
      assert.deepEqual(page.errors, []);
      await page.close();
    } finally {
      await server.stop();
    }
  });
});
