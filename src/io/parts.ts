import { part } from '../part.js';

export const files = part('What reads and writes files', () => import('./files.js'));
