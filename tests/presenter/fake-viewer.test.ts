import { viewerContract } from '../contracts/viewer.js';
import { fakeHands } from '../support/fake-hands.js';

viewerContract('fake viewer', async (deaf) => fakeHands(undefined, { deaf }));
