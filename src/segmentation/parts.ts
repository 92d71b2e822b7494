import { part } from '../part.js';

export const wholeImages = part('What segments whole images', () => import('./whole-images.js'));
