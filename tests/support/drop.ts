import type { AnnotatorPage } from './annotator-page.js';

/** Drops files and folders of the disk on the viewer, as a file manager does: the browser itself makes the events. */
export async function dropPaths(annotator: AnnotatorPage, paths: readonly string[]): Promise<void> {
  const viewer = await annotator.viewer();
  const box = await (await viewer.frameElement()).boundingBox();
  if (!box) throw new Error('The viewer is not on screen.');
  const client = await annotator.page.context().newCDPSession(annotator.page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await client.send('Input.dispatchDragEvent', { type, x, y, data });
  await client.detach();
}
