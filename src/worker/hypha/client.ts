import { SamError } from '../../errors.js';
import { unshared } from '../../ndimage/array.js';
import type { SocketLike } from '../channel.js';
import { letProcessEnd } from '../watchful-timer.js';
import { Peer, type Service } from './peer.js';

/**
 * A client of a Hypha server: it finds the services of others and offers its own. The server forwards messages between the
 * clients of a workspace and knows which services they have; see peer.ts for the messages.
 */
export interface HyphaClientOptions {
  /** `https://host[:port]`. */
  readonly server: string;
  /** Default: the one of the token, or a new one. */
  readonly workspace?: string;
  readonly token?: string;
  /** Services by their names. */
  readonly services?: ReadonlyMap<string, Service>;
  /** How to open a WebSocket; the platform's if absent. */
  readonly openSocket?: (url: string) => SocketLike;
  /** A service was registered in the workspace. */
  readonly onService?: (service: ServiceInfo) => void;
  /** The connection has ended, not by `close`. */
  readonly onLost?: (reason: string) => void;
}

export interface ServiceInfo {
  /** `workspace/client:name`. */
  readonly id: string;
  readonly type?: string;
}

interface ConnectionInfo {
  readonly workspace: string;
  readonly client_id: string;
  readonly manager_id: string;
}

const ANSWERS_WITHIN_MS = 30_000;
/** The server gives up connections that say nothing for ten minutes. */
const PING_MS = 30_000;
const NORMAL = 1000;

export class HyphaClient {
  private readonly ping: ReturnType<typeof setInterval>;

  /** @throws SamError `worker_lost` if the server does not answer, or refuses the token or the workspace */
  static async connect(options: HyphaClientOptions): Promise<HyphaClient> {
    const { server } = options;
    const socket = openSocket(options);
    socket.binaryType = 'arraybuffer';
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`no answer within ${ANSWERS_WITHIN_MS / 1000} s`)),
          ANSWERS_WITHIN_MS,
        );
      });
      const info = await Promise.race([greet(socket, options), late]);
      const client = new HyphaClient(socket, info, options);
      await client.introduce();
      return client;
    } catch (error) {
      socket.close(NORMAL);
      const why = error instanceof Error ? error.message : String(error);
      throw new SamError('worker_lost', `The Hypha server at ${server} cannot be used: ${why}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  private readonly peer: Peer;
  private closed = false;

  private constructor(
    private readonly socket: SocketLike,
    private readonly info: ConnectionInfo,
    private readonly options: HyphaClientOptions,
  ) {
    const { services = new Map<string, Service>(), onLost, onService } = options;
    const send = (message: Uint8Array) => socket.send(unshared(message));
    const onEvent = (type: string, data: unknown) => {
      if (type === 'service_added' && isService(data)) onService?.(data);
    };
    this.peer = new Peer({ self: `${info.workspace}/${info.client_id}`, send, services, onEvent });
    this.ping = setInterval(() => socket.send('{"type":"ping"}'), PING_MS);
    letProcessEnd(this.ping);
    socket.addEventListener('message', ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return; // a pong
      try {
        this.peer.receive(new Uint8Array(data));
      } catch {
        socket.close(1007); // "not consistent with the type of the message"
      }
    });
    socket.addEventListener('close', ({ code, reason }) => {
      clearInterval(this.ping);
      const why = `The connection to the Hypha server was lost${reason ? `: ${reason}` : ` (code ${code}).`}`;
      this.peer.close(why);
      if (!this.closed) onLost?.(why);
    });
  }

  get workspace(): string {
    return this.info.workspace;
  }

  /** Those of this kind in the workspace. */
  async services(type: string): Promise<readonly ServiceInfo[]> {
    return (await this.manager('list_services', { type })) as ServiceInfo[];
  }

  /** A token for this workspace. @param life in seconds */
  async token(life: number): Promise<string> {
    return (await this.manager('generate_token', { expires_in: life })) as string;
  }

  /** Calls a function of a service. */
  call({ id }: ServiceInfo, name: string, ...args: readonly unknown[]): Promise<unknown> {
    const [, client, service] = /^([^:@]*):([^:@]*)/.exec(id) ?? [];
    if (client === undefined || service === undefined)
      throw new SamError('worker_lost', `"${id}" is not the id of a Hypha service (workspace/client:service@app).`);
    return this.peer.ask(client, `services.${service}.${name}`, args);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.peer.close();
    this.socket.close(NORMAL);
  }

  /** Tells the server what is offered, and asks to be told of services that come and clients that leave. */
  private async introduce(): Promise<void> {
    const self = `${this.info.workspace}/${this.info.client_id}`;
    for (const name of ['built-in', ...(this.options.services?.keys() ?? [])]) {
      const described = Object.entries(this.peer.describe(name));
      const plain = described.filter(([, value]) => !isMethod(value));
      await this.manager('register_service', { ...Object.fromEntries(plain), id: `${self}:${name}`, app_id: '*' });
    }
    await this.manager('subscribe', ['client_disconnected', 'service_added']);
  }

  private manager(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.peer.ask(`*/${this.info.manager_id}`, `services.default.${name}`, args);
  }
}

function isService(data: unknown): data is ServiceInfo {
  return typeof data === 'object' && data !== null && typeof (data as ServiceInfo).id === 'string';
}

function isMethod(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('_rmethod' in value || Object.values(value).some(isMethod));
}

function openSocket({ server, openSocket: open }: HyphaClientOptions): SocketLike {
  const url = `${server.replace(/^http/, 'ws').replace(/\/$/, '')}/ws`;
  if (!open && typeof WebSocket === 'undefined')
    throw new SamError('unsupported', 'This Node version has no WebSocket: pass openSocket, or use Node 22.');
  return open?.(url) ?? (new WebSocket(url) as SocketLike);
}

/** Says who this is, and hears under which name it is known. */
function greet(socket: SocketLike, { workspace, token }: HyphaClientOptions): Promise<ConnectionInfo> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', () => {
      const client_id = crypto.randomUUID().replaceAll('-', '');
      socket.send(JSON.stringify({ client_id, workspace, token }));
    });
    socket.addEventListener('error', () => reject(new Error('it may not run, or not be reachable from here.')));
    socket.addEventListener('close', ({ code, reason }) =>
      reject(new Error(reason || `it closed the connection (code ${code}).`)),
    );
    socket.addEventListener('message', ({ data }) => {
      if (typeof data !== 'string') return;
      try {
        const said = JSON.parse(data) as ConnectionInfo & { readonly type: string; readonly message?: string };
        if (said.type === 'connection_info') resolve(said);
        else if (said.type === 'error') reject(new Error(said.message));
      } catch (error) {
        reject(error);
      }
    });
  });
}
