/** Version of the program. `npm version` writes it here and wherever else it must stand (see docs/contributing.md). */
export const VERSION = '0.1.0';
