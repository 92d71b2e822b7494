/** What segments whole images and volumes without prompts, as one part of the program: loaded when that is first asked for. */
export { deepenAmg } from './amg/initialize.js';
export { automaticVolume, diameterOf, generateAutomatic, initializeAutomatic, rejectedPoints } from './automatic.js';
