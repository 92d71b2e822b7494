import type { Frame, Page } from 'playwright-core';

/** Windows that talk to each other by messages: when they have nothing left to say. */

interface Counting {
  messagesHeard?: number;
}

/** From the next page that is loaded, its windows count the messages that they hear. */
export async function countMessages(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const counting = globalThis as Counting;
    counting.messagesHeard = 0;
    addEventListener('message', () => counting.messagesHeard!++, { capture: true });
  });
}

/**
 * Resolves when no window has heard anything for a while. That nothing comes any more is what takes a wait; on a slow
 * machine, or while one of them is drawing, it takes longer.
 *
 * @param quietMs longer than anything waits by itself before it speaks: 120 ms for a prompt that is dragged
 */
export async function atRest(windows: readonly (Page | Frame)[], quietMs = 150): Promise<void> {
  const heard = async () => (await Promise.all(windows.map((window) => window.evaluate(afterTwoFrames)))).join();
  for (let before = ''; ; ) {
    const now = await heard();
    if (now === before) return;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, quietMs));
  }
}

function afterTwoFrames(): Promise<number> {
  const heard = () => (globalThis as Counting).messagesHeard ?? 0;
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(heard()))));
}
