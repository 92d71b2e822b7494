import type { Page } from 'playwright-core';
import type { AnnotatorPage } from './annotator-page.js';

/** Drops files and folders of the disk on the viewer, as a file manager does: the browser itself makes the events. */
export async function dropPaths(annotator: AnnotatorPage, paths: readonly string[]): Promise<void> {
  const viewer = await annotator.viewer();
  const box = await (await viewer.frameElement()).boundingBox();
  if (!box) throw new Error('The viewer is not on screen.');
  await dropAt(annotator.page, [box.x + box.width / 2, box.y + box.height / 2], paths);
}

/** @param at CSS pixels of the page */
export async function dropAt(page: Page, [x, y]: readonly [number, number], paths: readonly string[]): Promise<void> {
  const client = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await client.send('Input.dispatchDragEvent', { type, x, y, data });
  await client.detach();
}
