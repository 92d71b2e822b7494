import { type ImJoyApi, setupRPC } from 'imjoy-rpc/dist/imjoy-rpc.js';
import { VERSION } from '../src/version.js';

/**
 * imjoy-rpc of a window, with one peer: the window that opened it. Other frames and windows can send messages here, too;
 * imjoy-rpc would take them from anybody who knows or guesses its id, and would answer to whatever page there is.
 */
export function rpcWithOpener(description: { readonly name: string; readonly description: string }): Promise<ImJoyApi> {
  const origin = openerOrigin();
  hearOnly(window.parent, origin);
  return setupRPC({
    ...description,
    type: 'rpc-window',
    version: VERSION,
    ...(origin !== undefined && { target_origin: origin }),
  });
}

/** Registered first, so that what is stopped here reaches nobody. The first message tells an origin that is not known. */
function hearOnly(opener: Window, known: string | undefined): void {
  let origin = known;
  window.addEventListener(
    'message',
    (event) => {
      if (event.source === opener && (origin === undefined || event.origin === origin)) origin = event.origin;
      else event.stopImmediatePropagation();
    },
    { capture: true },
  );
}

/** Of the page around this frame, where the browser tells it; sandboxed ones have none. */
function openerOrigin(): string | undefined {
  const { ancestorOrigins } = window.location as { readonly ancestorOrigins?: DOMStringList };
  const told = ancestorOrigins?.[0] ?? (URL.canParse(document.referrer) ? new URL(document.referrer).origin : 'null');
  return told === 'null' ? undefined : told;
}
