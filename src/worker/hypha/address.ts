import { SamError } from '../../errors.js';

/** Where a worker is found that a Hypha server knows. */
export interface HyphaAddress {
  /** `https://host[:port]`; plain `http` on this machine, or where `hypha+http://` says so. */
  readonly server: string;
  readonly workspace: string;
  readonly service: string;
  readonly token?: string;
}

export const HYPHA_SERVICE = 'micro-sam-worker';

export function isHyphaAddress(address: string): boolean {
  return /^hypha(\+http)?:\/\//i.test(address);
}

/** @param text `hypha://host[:port]/workspace[/service][?token=…]` */
export function parseHyphaAddress(text: string): HyphaAddress {
  const url = isHyphaAddress(text) && URL.canParse(text) ? new URL(text) : undefined;
  const [workspace, service = HYPHA_SERVICE, ...rest] = (url?.pathname ?? '').split('/').filter(Boolean);
  if (!url?.hostname || !workspace || rest.length > 0)
    throw new SamError(
      'invalid_argument',
      `A worker's address on Hypha looks like hypha://hypha.aicell.io/my-workspace/${HYPHA_SERVICE}?token=…, got ${text.replace(/token=[^&]*/, 'token=…')}.`,
    );
  const plain = url.protocol === 'hypha+http:' || isLoopback(url.hostname);
  return {
    server: `${plain ? 'http' : 'https'}://${url.host}`,
    workspace: decodeURIComponent(workspace),
    service: decodeURIComponent(service),
    token: url.searchParams.get('token') ?? undefined,
  };
}

export function formatHyphaAddress({ server, workspace, service, token }: HyphaAddress): string {
  const { host, hostname, protocol } = new URL(server);
  const scheme = protocol === 'http:' && !isLoopback(hostname) ? 'hypha+http' : 'hypha';
  const secret = token === undefined ? '' : `?token=${encodeURIComponent(token)}`;
  return `${scheme}://${host}/${encodeURIComponent(workspace)}/${encodeURIComponent(service)}${secret}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
