import assert from 'node:assert/strict';
import { openImage } from '../../src/io/open.js';
import type { RpcArray } from '../../src/io/rpc-array.js';
import { arrayImage, committedLabels, openedService } from '../support/disc-service.js';

describe('layers of the service', () => {
  it('labels come and go unchanged, in every dtype Python has for them', async () => {
    const values = Array.from({ length: 40 * 60 }, (_, i) => (i % 7 === 0 ? 0 : Math.floor(i / 300) + 1));
    const arrays: [string, ArrayBuffer][] = [
      ['uint8', Uint8Array.from(values).buffer],
      ['uint16', Uint16Array.from(values).buffer],
      ['int32', Int32Array.from(values).buffer],
      ['int64', BigInt64Array.from(values, BigInt).buffer],
      ['uint64', BigUint64Array.from(values, BigInt).buffer],
      ['float64', Float64Array.from(values).buffer],
    ];
    for (const [_rdtype, _rvalue] of arrays) {
      const { service } = await openedService();
      await service.set_committed_objects({ _rtype: 'ndarray', _rshape: [40, 60], _rdtype, _rvalue });
      const sent = (await service.get_layer()) as RpcArray;
      assert.equal(sent._rdtype, 'uint32');
      assert.deepEqual([...new Uint32Array(sent._rvalue)], values, _rdtype);
    }
    const { service } = await openedService();
    const half = {
      _rtype: 'ndarray',
      _rshape: [40, 60],
      _rdtype: 'float32',
      _rvalue: new Float32Array(2400).fill(0.5).buffer,
    };
    await assert.rejects(service.set_committed_objects(half), /whole numbers/);
    const large = { ...half, _rdtype: 'int64', _rvalue: new BigInt64Array(2400).fill(2n ** 53n + 1n).buffer };
    await assert.rejects(service.set_committed_objects(large), { code: 'unsupported', message: /9007199254740993/ });
  });

  it('polygons enclose, and run lengths are, what the labels are', async () => {
    const { service } = await openedService();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const { features } = (await service.get_layer('committed_objects', { as: 'polygons' })) as unknown as {
      features: { geometry: { type: string; coordinates: number[][][] } }[];
    };
    assert.equal(features.length, 1);
    const ring = features[0].geometry.coordinates.flat(
      features[0].geometry.type === 'MultiPolygon' ? 1 : 0,
    )[0] as unknown as number[][];
    let twice = 0;
    for (let i = 0; i + 1 < ring.length; i++) twice += ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1];
    assert.equal(Math.abs(twice) / 2, 200);
    assert.deepEqual(await service.get_layer('committed_objects', { as: 'rle' }), [
      { id: 1, plane: 0, box: [5, 10, 15, 30], runs: [0, 200], area: 200 },
    ]);
  });

  it('an exported label image opens again with the same labels', async () => {
    const { service } = await openedService();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const [file] = await service.export('tiff');
    assert.equal(file.name, 'cells_labels.tif');
    const source = await openImage(new Blob([file.bytes.slice()]), { name: file.name });
    const { data } = await source.readRegion({ channels: [0] });
    const labels = [...(await committedLabels(service)).data];
    assert.deepEqual([...data], labels);
    await service.delete_object(1);
    assert.deepEqual(await service.load_objects(file.bytes, { name: file.name }), [1]);
    assert.deepEqual([...(await committedLabels(service)).data], labels);
    await assert.rejects(service.load_objects(arrayImage(40, 61)), /invalid_argument: .*\[40,61\].*\[40,60\]/);
    await assert.rejects(service.load_objects(new Uint8Array(9)), /unsupported: /);
    assert.deepEqual([...(await committedLabels(service)).data], labels);
  });

  it('a session goes out and in, and the import can be undone', async () => {
    const { service } = await openedService();
    await service.add_box_prompts([[5, 10, 15, 30]]);
    await service.commit();
    const text = await service.export_session();
    await service.delete_object(1);
    await service.import_session(text);
    assert.equal((await service.get_state()).layers.committed_objects.count, 1);
    await service.undo();
    assert.equal((await service.get_state()).layers.committed_objects.count, 0);
  });

  it('previews what a commit would overwrite or leave out', async () => {
    const { service } = await openedService();
    await service.add_box_prompts([[0, 0, 10, 10]]);
    await service.commit();
    await service.add_box_prompts([[0, 0, 5, 20]]);
    assert.deepEqual(await service.preview_commit(), {
      added: [2],
      dropped: [],
      overwritten: [{ id: 1, pixels: 50, fraction: 0.5, removed: false }],
    });
    assert.deepEqual(await service.preview_commit({ preservation_threshold: 0.5 }), {
      added: [],
      dropped: [{ id: 1, keeps: 1, fraction: 0.5 }],
      overwritten: [],
    });
  });
});
