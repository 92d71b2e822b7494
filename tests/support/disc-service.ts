import { openImage } from '../../src/io/open.js';
import { fromRpcArray, type RpcArray } from '../../src/io/rpc-array.js';
import { createService, type MicroSamService } from '../../src/service/service.js';
import { AnnotationSession } from '../../src/session/session.js';
import { DiscAnnotator } from './disc-annotator.js';

/** The service over a session whose images are really opened; a disc stands for the model. */
export function discService(): { service: MicroSamService; session: AnnotationSession } {
  const session = new AnnotationSession();
  const service = createService({
    session,
    async openImage(input, options) {
      const source = await openImage(input, options);
      const { name, axes, sizes } = source;
      const size = [sizes.y, sizes.x] as const;
      session.open({ name, axes, size, planes: sizes.t * sizes.z, signature: name }, new DiscAnnotator(size));
    },
  });
  return { service, session };
}

export const arrayImage = (height = 40, width = 60, dtype = 'uint8'): RpcArray => ({
  _rtype: 'ndarray',
  _rvalue: new ArrayBuffer(height * width * (dtype === 'uint8' || dtype === 'bool' ? 1 : 8)),
  _rshape: [height, width],
  _rdtype: dtype,
});

export async function openedService() {
  const { service, session } = discService();
  await service.open_image(arrayImage(), { name: 'cells' });
  return { service, session };
}

export const committedLabels = async (service: MicroSamService) =>
  fromRpcArray(await service.get_layer('committed_objects'));
