import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { Handed, release, remoteFunctions } from '../../plugin/remote-functions.js';
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

  it('tell whoever keeps them when they are released, also where that one is gone', async () => {
    const told: string[] = [];
    const handed = new Handed();
    const [one, two] = ['one', 'two'].map((name) => handed.hand({ name }));
    one.on('close', () => told.push('one'));
    one.on('change', () => told.push('a change'));
    two.on('close', () => Promise.reject(new Error('gone')));
    two.on('close', () => {
      throw new Error('gone, too');
    });
    two.on('close', () => told.push('two'));
    handed.release(1);
    handed.release(1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(told, ['one', 'two']);
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
});
