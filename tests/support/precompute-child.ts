import { openEmbeddings } from '../../src/embeddings/image-embeddings.js';
import { precomputeEmbeddings } from '../../src/embeddings/precompute.js';
import { openNdarray } from '../../src/io/ndarray.js';
import { folderStore } from '../../src/io/stores/fs.js';
import { HASH_MODEL, hashEncoder } from './hash-encoder.js';
import { noiseVolume } from './labels.js';

/** Precomputes the embeddings of a small volume into a folder; is killed while it does. Arguments: folder, planes. */
const [folder, planes] = process.argv.slice(2);
const embeddings = await openEmbeddings({
  source: openNdarray(noiseVolume(Number(planes))),
  worker: hashEncoder(),
  model: HASH_MODEL,
  store: folderStore(folder),
});
process.send?.('started');
await precomputeEmbeddings(embeddings);
process.exit(0);
