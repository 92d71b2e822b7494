import { part } from '../part.js';

export const further = part('What serves scripts, series and training', () => import('./further.js'));
