import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/**
 * A folder of a file server that two machines have mounted: here two mounts of this one, each with a cache of its own.
 * SFTP by sshfs and OpenSSH's server, SMB by smbnetfs and Samba's; neither needs more than FUSE.
 */
export interface NetworkFolder {
  readonly mounts: readonly [string, string];
  /** The same folder on the server, without any cache. */
  readonly shared: string;
  /** The network is gone; what is connected is broken off. */
  cut(): void;
  /** It is there again. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

/** By what it is called; undefined gives the reason where it cannot be had here. */
export const NETWORK_FOLDERS: Readonly<Record<string, () => Promise<NetworkFolder>>> = {
  SFTP: sftpFolder,
  SMB: smbFolder,
};

const SFTP_SERVERS = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server'];

async function sftpFolder(): Promise<NetworkFolder> {
  const program = SFTP_SERVERS.find((file) => spawnSync('test', ['-x', file]).status === 0);
  if (program === undefined) throw new Error('there is no sftp-server');
  const root = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-sftp-'));
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'] });
    sockets.add(socket);
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
    socket.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      child.kill();
    });
    child.on('close', () => socket.destroy());
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as net.AddressInfo;
  const breakOff = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const options = `directport=${port},reconnect`;
  return mounted(root, (mount) => ['sshfs', '-o', options, `127.0.0.1:${path.join(root, 'shared')}`, mount], {
    cut: breakOff,
    mend: () => listen(port),
    stop: breakOff,
  });
}

/** libsmbclient knows no other port. */
const SMB_PORT = 445;

async function smbFolder(): Promise<NetworkFolder> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'micro-sam-smb-'));
  const folders = ['state', 'lock', 'cache', 'pid', 'private'].map((name) => path.join(root, name));
  for (const folder of folders) mkdirSync(folder);
  const [state, lock, cache, pid, own] = folders;
  const configuration = path.join(root, 'smb.conf');
  writeFileSync(
    configuration,
    `[global]
server role = standalone
smb ports = ${SMB_PORT}
interfaces = 127.0.0.1
bind interfaces only = yes
map to guest = Bad User
guest account = ${os.userInfo().username}
state directory = ${state}
lock directory = ${lock}
cache directory = ${cache}
pid directory = ${pid}
private dir = ${own}
log file = ${path.join(root, 'log')}
disable netbios = yes
load printers = no
[work]
path = ${path.join(root, 'shared')}
guest ok = yes
read only = no
`,
  );
  let server: ChildProcess | undefined;
  const start = async () => {
    server = spawn('smbd', ['-F', '--no-process-group', '-s', configuration], { stdio: 'ignore', detached: true }); // ending, it ends its group
    const ended = new Promise<never>((_, reject) => {
      server?.once('error', reject);
      server?.once('exit', (code) => reject(new Error(`smbd ended with ${code}`)));
    });
    ended.catch(() => undefined);
    while (!(await Promise.race([isListening(SMB_PORT), ended])));
  };
  const stop = () => {
    if (server === undefined) return;
    for (const child of childrenOf(server.pid)) process.kill(child);
    server.kill();
  };
  if (await isListening(SMB_PORT)) throw new Error(`somebody else listens on port ${SMB_PORT}`);
  await start();
  return mounted(
    root,
    (mount, n) => {
      const home = path.join(root, `home-${n}`, '.smb');
      mkdirSync(home, { recursive: true });
      const write = (name: string, text: string) => writeFileSync(path.join(home, name), text, { mode: 0o600 });
      write('smb.conf', '[global]\nclient min protocol = SMB2\nname resolve order = host\n');
      write('smbnetfs.conf', 'auth "" "guest" ""\n');
      write('smbnetfs.host', 'host 127.0.0.1 visible=true\nlink 127.0.0.1/work\n');
      return ['env', `HOME=${path.dirname(home)}`, 'smbnetfs', mount];
    },
    { cut: stop, mend: start, stop },
    path.join('127.0.0.1', 'work'),
  );
}

/** @param below where in a mount the folder is */
async function mounted(
  root: string,
  command: (mount: string, n: number) => readonly string[],
  { stop, ...network }: Pick<NetworkFolder, 'cut' | 'mend'> & { stop(): void },
  below = '.',
): Promise<NetworkFolder> {
  const shared = path.join(root, 'shared');
  mkdirSync(shared);
  const mounts = ['here', 'there'].map((name) => path.join(root, name));
  const close = async () => {
    for (const mount of mounts) await run('umount', ['-l', mount]).catch(() => undefined);
    stop();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    for (const [n, mount] of mounts.entries()) {
      mkdirSync(mount);
      const [program = '', ...args] = command(mount, n);
      await run(program, args);
    }
    const [here, there] = mounts.map((mount) => path.join(mount, below));
    await readdir(here as string);
    return { ...network, mounts: [here as string, there as string], shared, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Not spawnSync: the server may be in this process. */
function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`))));
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => setTimeout(() => resolve(false), 50)); // whoever waits asks again
  });
}

/** Samba has a process for each who is connected. */
function childrenOf(pid: number | undefined): number[] {
  const { stdout } = spawnSync('ps', ['--ppid', String(pid), '-o', 'pid='], { encoding: 'utf8' });
  return stdout.split('\n').map(Number).filter(Boolean);
}
