import os from 'node:os';
import path from 'node:path';

/** Where trained models are looked for by name. */
export function trainedModelsFolder(): string {
  return path.join(userDataFolder(), 'trained');
}

/** Where this program may keep data of the user, by the custom of each system. */
export function userDataFolder(): string {
  const home = os.homedir();
  if (process.platform === 'win32')
    return path.join(process.env.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'), 'micro-sam');
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Application Support', 'micro-sam');
  return path.join(process.env.XDG_DATA_HOME ?? path.join(home, '.local', 'share'), 'micro-sam');
}
