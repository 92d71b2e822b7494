import { COMMANDS, type CommandId } from '../session/commands.js';
import type { SessionState } from '../session/state.js';
import type { PanelButton } from './panel.js';

/** The button of a command as the table has it; where it cannot be used now, it says why. */
export function commandButton(command: CommandId, state: SessionState, primary = false): PanelButton {
  const { title, keys = [], tooltip, unavailable } = COMMANDS[command];
  const reason = unavailable?.(state);
  return {
    kind: 'button',
    command,
    title,
    keys,
    tooltip,
    enabled: reason === undefined,
    ...(reason !== undefined && { reason }),
    primary,
  };
}
