/**
 * Requests that programs and pages should not send to the server, as written on the wire, each with the statuses that are
 * right.
 */
export interface Attack {
  readonly name: string;
  readonly method?: string;
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Statuses that are right; 0 is a closed connection. */
  readonly expect: readonly number[];
}

/** What there is to ask for: addresses of an image and of a zarr, the server's host, and the header with the token. */
interface Server {
  readonly image: string;
  readonly zarr: string;
  readonly host: string;
  readonly authorization: Record<string, string>;
}

export function allAttacks({ image, zarr, host, authorization }: Server): Attack[] {
  return [
    ...badRanges(image),
    ...badMethods(image, zarr),
    ...escapes(zarr),
    ...badEncodings(zarr),
    ...otherAskers(),
    ...withoutToken(),
    ...badKeys(authorization),
    ...badTargets(),
    ...badUpgrades(),
    ...smuggled(),
    ...saidTwice(host, authorization),
  ];
}

function badRanges(image: string): Attack[] {
  const ask = (range: string, ...expect: number[]): Attack => ({
    name: 'range',
    target: image,
    headers: { range },
    expect,
  });
  const { length } = new Uint8Array(4_000_000);
  return [
    ...['5-2', `${length}-`, `${length}-${length + 5}`, '-0', '99999999999999999999-', '3-2', '1-0'].map((range) =>
      ask(`bytes=${range}`, 416),
    ),
    ...['0-0', '-1', `${length - 1}-`, '0-99999999999999999999', '-99999999999999999999', '0-9'].map((range) =>
      ask(`bytes=${range}`, 206),
    ),
    ...[
      'bytes=',
      'bytes=-',
      'bytes=a-b',
      'bytes=0-1,3-4',
      'bytes=0--1',
      'bytes=-1-2',
      'lines=0-1',
      'bytes 0-1',
      'bytes=1.5-2',
      'bytes=0x1-2',
      'bytes=+1-2',
      'bytes=1e3-',
      ',',
      'bytes=0-1;x',
    ].map((range) => ask(range, 200)),
  ];
}

function badMethods(image: string, zarr: string): Attack[] {
  const methods = ['TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS', 'PROPFIND', 'MKCOL', 'SEARCH'];
  const targets = [image, `${zarr}.zattrs`, '/', '/plugin/index.html', '/nowhere'];
  return [
    ...targets.flatMap((target) => methods.map((method) => ({ name: 'method', method, target, expect: [405] }))),
    { name: 'method', method: 'CONNECT', target: '127.0.0.1:22', expect: [0, 400, 405] },
    { name: 'no method', method: 'FETCH', target: '/', expect: [400] },
    { name: 'head', method: 'HEAD', target: image, expect: [200] },
  ];
}

function escapes(zarr: string): Attack[] {
  const id = zarr.split('/')[2];
  const below = (rest: string) => ({ name: 'escape', target: zarr + rest, expect: [404] });
  return [
    ...['link', 'up', 'away/key', 'loop', 'loop/x', 'pipe', 'inner', '', 'within', 'link/', 'away/', '.zattrs/x'].map(
      below,
    ),
    ...[
      '../id_rsa',
      '..%2fid_rsa',
      '%2e%2e/id_rsa',
      '%2e%2e%2fid_rsa',
      'inner/../../id_rsa',
      '..%5cid_rsa',
      'inner/..%2f..%2fid_rsa',
      '%00',
      'link%00',
      '.zattrs%00.png',
      '..%00/',
      '....//id_rsa',
      '..;/id_rsa',
      '.%2e/id_rsa',
      '%2Fetc%2Fpasswd',
      '/etc/passwd',
      '//etc/passwd',
    ].map(below),
    { name: 'within', target: `${zarr}within/0`, expect: [200] },
    { name: 'plain', target: `${zarr}inner/0`, expect: [200] },
    ...[
      `/files/${id}/cells.zarr-private/key`,
      `/files/${id}/../cells.zarr-private/key`,
      `/files/${id}/`,
      `/files/${id}`,
      '/files/',
      '/files',
      `/files/${id}/x/inner/0`,
      '/files/__proto__/x',
      '/files/constructor/x',
      `/files/${id.toUpperCase()}x/cells.zarr/`,
    ].map((target) => ({ name: 'address', target, expect: [404] })),
    ...[
      '/../package.json',
      '/..%2fpackage.json',
      '/plugin/../../package.json',
      '/plugin/..%2f..%2fpackage.json',
      '/plugin/%2e%2e/cli/micro-sam.js',
      '/cli/micro-sam.js',
      '/lib/index.js',
      '/.build',
      '/sizes.json',
      '/plugin',
      '/plugin/',
      '/host',
      '/ort/',
      '/models/..%2fcli%2fmicro-sam.js',
      '/plugin/%00',
      '/host/index.html/x',
      '/%2e%2e/%2e%2e/etc/passwd',
    ].map((target) => ({ name: 'page', target, expect: [404] })),
    ...(process.getuid?.() === 0 ? [] : [below('locked')]),
  ];
}

function badEncodings(zarr: string): Attack[] {
  return ['%', '%2', '%zz', '%ff', '%c3%28', '%u0041', 'a%', '%e2%82', '%ed%a0%80', '%f8%88%80%80%80'].flatMap((part) =>
    [zarr, '/plugin/', '/files/', '/'].map((root) => ({
      name: 'percent sign',
      target: root + part,
      expect: [400],
    })),
  );
}

function otherAskers(): Attack[] {
  const from = (headers: Record<string, string>) => ({ name: 'asker', target: '/', headers, expect: [403] });
  return [
    ...[
      'evil.example',
      'localhost.evil.example:80',
      '127.0.0.1',
      '127.0.0.1:1',
      '[::1]:80',
      '0.0.0.0',
      '127.0.0.1.nip.io',
      'localhost',
      '',
      'a@127.0.0.1',
    ].map((host) => from({ host })),
    ...['http://evil.example', 'null', 'https://imjoy.io', 'http://127.0.0.1:1', 'file://', 'http://localhost'].map(
      (origin) => from({ origin }),
    ),
  ];
}

function withoutToken(): Attack[] {
  const targets = ['/settings.json', '/autosave/', '/autosave/x', '/output/', '/output/x', '/autosave/%'];
  const keys = ['', 'Bearer', 'Bearer ', 'Bearer x', `Bearer ${'0'.repeat(32)}`, 'Basic eDp4', 'bearer x'];
  return targets.flatMap((target) =>
    keys.map((authorization) => ({
      name: 'token',
      target,
      ...(authorization && { headers: { authorization } }),
      expect: [401],
    })),
  );
}

function badKeys(headers: Record<string, string>): Attack[] {
  const keys = [
    '..%2fx',
    '%2e%2e%2fx',
    'a%2f..%2f..%2fx',
    '%00',
    'a%00b',
    '..%5cx',
    'a//b',
    '%2fabs',
    'a/',
    '.partial-1',
    'a/.partial-1',
    'a%2f%2fb',
    '%',
    '%ff',
    '%zz',
  ];
  const methods = ['GET', 'PUT', 'DELETE'];
  return [
    ...['/autosave/', '/output/'].flatMap((root) =>
      keys.flatMap((key) =>
        methods.map((method) => ({ name: 'key', method, target: root + key, headers, expect: [400] })),
      ),
    ),
    ...['POST', 'TRACE', 'PATCH', 'OPTIONS'].map((method) => ({
      name: 'store method',
      method,
      target: '/autosave/x',
      headers,
      expect: [405],
    })),
    {
      name: 'too long',
      method: 'PUT',
      target: '/autosave/x',
      headers: { ...headers, 'content-length': '99999999999' },
      expect: [413],
    },
    {
      name: 'no length',
      method: 'PUT',
      target: '/autosave/x',
      headers: { ...headers, 'content-length': '-1' },
      expect: [400],
    },
    {
      name: 'bad chunks',
      method: 'PUT',
      target: '/autosave/x',
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      body: 'zz\r\n',
      expect: [400],
    },
    {
      name: 'two lengths',
      method: 'PUT',
      target: '/autosave/x',
      headers: { ...headers, 'transfer-encoding': 'chunked', 'content-length': '3' },
      body: '0\r\n\r\n',
      expect: [400],
    },
    { name: 'list', target: '/autosave/?prefix=..%2f..%2f', headers, expect: [400] },
    { name: 'list', target: '/autosave/?prefix=%00%2f', headers, expect: [400] },
  ];
}

function badTargets(): Attack[] {
  const ask = (target: string, ...expect: number[]): Attack => ({ name: 'target', target, expect });
  return [
    ask('*', 400),
    ask('http://evil.example/', 400),
    ask('nowhere', 400),
    ask('?', 400),
    ask('//evil.example/', 404),
    ask('/\\evil.example', 404),
    ask(`/${'a'.repeat(10_000)}`, 404),
    ask(`/${'a'.repeat(20_000)}`, 431),
    ask('/a b', 400),
    ask('/\x01', 400, 404),
    ask('/settings.json/', 404),
    ask('/settings.json%00', 404),
    ask('/autosave', 404),
    { name: 'header', target: '/', headers: { 'x-long': 'a'.repeat(20_000) }, expect: [431] },
    { name: 'expectation', target: '/', headers: { expect: 'miracles' }, expect: [417] },
    { name: 'upgrade', target: '/', headers: { connection: 'upgrade, close', upgrade: 'websocket' }, expect: [403] },
  ];
}

/** Requests for a WebSocket, whose handlers see them before any of HTTP does. */
function badUpgrades(): Attack[] {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const ask = (target: string, more: Record<string, string> = {}, ...expect: number[]): Attack => ({
    name: 'upgrade',
    target,
    headers: { ...headers, ...more },
    expect,
  });
  const targets = [
    '//',
    '///',
    '/\\',
    '//[',
    'http://[',
    'http://',
    '/',
    '*',
    '?',
    '/leases/',
    '/leases%00',
    '/LEASES',
  ];
  const others: Record<string, string>[] = [
    { host: 'evil.example' },
    { host: '127.0.0.1:1' },
    { origin: 'http://evil.example' },
    { origin: 'null' },
  ];
  return [
    ...targets.map((target) => ask(target, {}, 400, 403)),
    ...['/leases', '/ws'].flatMap((target) => [
      ...others.map((more) => ask(target, more, 403)),
      ask(target, { 'sec-websocket-key': 'short' }, 400),
      ask(target, { 'sec-websocket-version': '99' }, 400, 426),
      ask(target, { upgrade: 'h2c' }, 400),
      { ...ask(target, {}, 405), method: 'POST' },
    ]),
  ];
}

/** What a proxy and a server might take for two requests, or for other ones. */
function smuggled(): Attack[] {
  const hidden = 'GET /settings.json HTTP/1.1\r\nHost: x\r\n\r\n';
  const ask = (headers: Record<string, string>, ...expect: number[]): Attack => ({
    name: 'smuggling',
    target: '/',
    headers,
    body: hidden,
    expect,
  });
  return [
    ask({ 'transfer-encoding': 'chunked, identity' }, 400, 200),
    ask({ 'transfer-encoding': 'xchunked' }, 400),
    ask({ 'transfer-encoding ': 'chunked' }, 400),
    ask({ 'content-length': '0, 5' }, 400),
    ask({ 'content-length': '+5' }, 400),
    ask({ 'content-length': '5 5' }, 400),
    ask({ 'content-length': '0x5' }, 400),
    ask({ 'x-folded': 'a\r\n b' }, 400, 200),
    ask({ 'x-nul': 'a\0b' }, 400),
    ask({ 'x-cr': 'a\rhost: evil.example' }, 400),
    ask({ 'x y': 'a' }, 400),
  ];
}

/** Of two hosts, origins or tokens one would be looked at, and perhaps the other meant. */
function saidTwice(host: string, { authorization }: Record<string, string>): Attack[] {
  const ask = (target: string, headers: Record<string, string>): Attack => ({
    name: 'said twice',
    target,
    headers,
    expect: [400, 403],
  });
  return [
    ask('/', { host, Host: 'evil.example' }),
    ask('/', { origin: `http://${host}`, Origin: 'http://evil.example' }),
    ask('/settings.json', { authorization, Authorization: 'Bearer x' }),
    ask('/autosave/', { authorization, Authorization: authorization }),
  ];
}
