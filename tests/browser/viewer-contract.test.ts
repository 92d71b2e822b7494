import { viewerContract } from '../contracts/viewer.js';
import { type ViewerSite, viewerSite } from '../support/viewer-page.js';

/** The adapter over our viewer, over our viewer without its extra functions, and over a real Kaibu where one is served. */
describe('the adapter in a browser', () => {
  let site: ViewerSite;
  before(async () => {
    site = await viewerSite();
  });
  after(() => site.close());

  viewerContract('our viewer', () => site.open());
  viewerContract('our viewer with only what Kaibu has', () => site.open('?plain'));
  if (process.env.KAIBU_URL)
    viewerContract('Kaibu', () => site.open(`?src=${encodeURIComponent(process.env.KAIBU_URL ?? '')}`));
});
