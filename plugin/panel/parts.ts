import { part } from '../../src/part.js';

export const furtherViews = part('A part of the panel', () => import('./further-views.js'));
