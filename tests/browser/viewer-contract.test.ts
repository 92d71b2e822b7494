import { viewerContract } from '../contracts/viewer.js';
import { type ViewerSite, viewerSite } from '../support/viewer-page.js';

const KAIBU = process.env.KAIBU_URL;
const answers =
  KAIBU !== undefined &&
  (await fetch(KAIBU, { signal: AbortSignal.timeout(20_000) }).then(
    ({ ok }) => ok,
    () => false,
  ));

/** The adapter over our viewer, over our viewer without its extra functions, and over a real Kaibu where one is served. */
describe('the adapter in a browser', () => {
  let site: ViewerSite;
  before(async () => {
    site = await viewerSite();
  });
  after(() => site.close());

  viewerContract('our viewer', (deaf) => site.open(deaf ? '?deaf' : ''));
  viewerContract('our viewer with only what Kaibu has', (deaf) => site.open(deaf ? '?plain&deaf' : '?plain'));
  if (KAIBU !== undefined && answers)
    viewerContract('Kaibu', (deaf) => site.open(`?src=${encodeURIComponent(KAIBU)}${deaf ? '&deaf' : ''}`));
  else if (KAIBU !== undefined) it.skip(`Kaibu, which does not answer at ${KAIBU}`);
});
