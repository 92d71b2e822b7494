import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import { SamError } from '../../src/errors.js';
import type { Sample } from '../../src/training/annotated.js';
import { serveTraining } from '../../src/training/serve-training.js';
import type { TrainingJob } from '../../src/training/training-job.js';
import { remoteTraining } from '../../src/training/training-messages.js';
import { type PortLike, portChannel } from '../../src/worker/channel.js';
import { bytesChannel } from '../support/bytes-channel.js';

function ports() {
  const { port1, port2 } = new MessageChannel();
  return { here: portChannel(port1 as unknown as PortLike), there: portChannel(port2 as unknown as PortLike) };
}

for (const [name, link] of Object.entries({ bytes: bytesChannel, ports }))
  describe(`a training over ${name}`, () => {
    it('is given the samples as they were, with only their own bytes, and its failure is told', async () => {
      const whole = Uint8Array.from({ length: 64 }, (_, i) => i);
      const sample = {
        name: 'a',
        kind: 'part',
        image: { data: new Uint8Array(whole.buffer, 4, 12), shape: [2, 2, 3] },
        labels: { data: new Uint32Array(whole.buffer, 16, 4), shape: [2, 2] },
      } as unknown as Sample;
      let given: TrainingJob['data'] | undefined;
      const host = remoteTraining({
        where: 'there',
        nice: false,
        parts: [],
        open() {
          const { here, there } = link();
          serveTraining(there, async ({ data }) => {
            given = data;
            throw new SamError('unsupported', 'There is no place here.');
          });
          return here;
        },
      });
      const job = { name: 'mine', data: { training: [sample], heldBack: [sample, sample] } } as unknown as TrainingJob;
      await assert.rejects(host.measure(job), { code: 'unsupported', message: 'There is no place here.' });
      assert.deepEqual(given, job.data);
      for (const { image, labels } of given?.training ?? [])
        assert.deepEqual([image.data.buffer.byteLength, labels.data.buffer.byteLength], [12, 16]);
    });
  });
