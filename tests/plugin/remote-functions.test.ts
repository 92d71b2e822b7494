import assert from 'node:assert/strict';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Handed, letGo, release, remoteFunctions } from '../../plugin/remote-functions.js';
import { rpcPeer } from '../support/rpc-peer.js';

describe('functions for another window', () => {
  it('do nothing once they are released, and hold nothing any more', () => {
    const done: string[] = [];
    const sent = remoteFunctions({ name: 'a', set_image: () => done.push('set_image') }); // imjoy-rpc keeps this very object
    const { set_image: before } = sent;
    sent.set_image();
    release(sent);
    assert.equal(sent.set_image(), undefined);
    assert.deepEqual(done, ['set_image']);
    assert.notEqual(sent.set_image, before);
    assert.deepEqual([sent.name, sent._rintf], ['a', true]);
  });

  it('tell the imjoy-rpc that keeps them when they are released, which is not sent along', async () => {
    const told: string[] = [];
    const handed = new Handed();
    const one = handed.hand({ name: 'one' }) as unknown as { on(event: string, listener: () => void): void };
    one.on('close', () => told.push('closed'));
    one.on('change', () => told.push('a change'));
    assert.deepEqual(Object.keys(one), ['name', '_rintf']);
    handed.release(1);
    handed.release(1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(told, ['closed']);
  });

  it('are disposed of by the window that got them, and by no other', async () => {
    const disposed: unknown[] = [];
    const config = { _rintf: 'an id of imjoy-rpc', render: () => undefined };
    for (const value of [config, { ...config, _rintf: true }, {}, null, 'text', undefined])
      letGo(value, (object) => disposed.push(object), 1);
    letGo(config, undefined, 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(disposed, [config]);
  });

  it('may still be called from two windows away when they are released, and answer nothing', async () => {
    interface Config {
      render(): Promise<unknown>;
    }
    const [near, far] = [new MessageChannel(), new MessageChannel()];
    let kept: Config | undefined;
    const show = async (config: Config) => {
      kept = config;
    };
    void rpcPeer(far.port2, { show }, 'viewer');
    const viewer = await rpcPeer(far.port1, {}, 'host, to the viewer');
    void rpcPeer(near.port2, { show: (config: Config) => viewer.show(config) }, 'host, to the plugin');
    const host = await rpcPeer(near.port1, {}, 'plugin');
    const handed = new Handed();
    await host.show(handed.hand({ type: 'remote', render: () => 'a picture' }));
    assert.equal(await kept?.render(), 'a picture');
    const onItsWay = kept?.render();
    handed.release();
    assert.equal(await onItsWay, undefined);
    assert.equal(await kept?.render(), undefined);
    for (const { port1 } of [near, far]) port1.close();
  });

  it('are kept nowhere once they are released, neither those of the plugin nor those of the viewer', async () => {
    interface Rpc {
      readonly _object_store: object;
      disposeObject(object: object): Promise<void>;
    }
    const rpcs: Record<string, Rpc> = {};
    const peer = (port: MessagePort, api: object, name: string) =>
      rpcPeer(port, api, name, (rpc) => {
        rpcs[name] = rpc as Rpc;
      });
    const [near, far] = [new MessageChannel(), new MessageChannel()];
    let shown: { config: object; api: ReturnType<typeof remoteFunctions> } | undefined;
    const show = (config: object) => {
      shown = { config, api: remoteFunctions({ update: () => 'done' }) };
      return shown.api;
    };
    void peer(far.port2, { show }, 'viewer');
    const viewer = await peer(far.port1, {}, 'host to viewer');
    void peer(near.port2, { show: (config: object) => viewer.show(config) }, 'host to plugin');
    const host = await peer(near.port1, {}, 'plugin');
    const kept = () => Object.values(rpcs).map(({ _object_store }) => Object.keys(_object_store).length);
    const before = kept();
    for (let image = 0; image < 20; image++) {
      const handed = new Handed();
      const layer = (await host.show(handed.hand({ render: () => image }))) as { update(): Promise<string> };
      assert.equal(await layer.update(), 'done');
      handed.release(1);
      letGo(layer, (object) => rpcs.plugin.disposeObject(object), 1);
      release(shown!.api, 1);
      letGo(shown!.config, (object) => rpcs.viewer.disposeObject(object), 1);
    }
    for (let tries = 0; tries < 1000 && kept().join() !== before.join(); tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(kept(), before);
    for (const { port1 } of [near, far]) port1.close();
  });
});
