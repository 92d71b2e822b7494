import { COMMANDS, type CommandId } from '../../session/commands/commands.js';
import type { SessionSettings, SessionState } from '../../session/state.js';

/** The buttons, choices and sliders of the panel, as plain data. */

export interface PanelSection {
  readonly id: string;
  readonly title: string;
  /** Closed until somebody opens it. */
  readonly folded?: boolean;
  readonly controls: readonly PanelControl[];
}

export type PanelControl = PanelButton | PanelChoice | PanelToggle | PanelRange;

export interface PanelButton {
  readonly kind: 'button';
  readonly command: CommandId;
  readonly title: string;
  readonly keys: readonly string[];
  readonly tooltip: string;
  readonly enabled: boolean;
  /** Why it is not enabled. */
  readonly reason?: string;
  /** The likely next step. */
  readonly primary: boolean;
}

interface Parameter<Name extends keyof SessionSettings> {
  readonly setting: Name;
  readonly title: string;
  readonly tooltip: string;
}

export interface PanelChoice extends Parameter<keyof SessionSettings> {
  readonly kind: 'choice';
  readonly value: string;
  readonly options: readonly { readonly value: string; readonly title: string; readonly key?: string }[];
}

export interface PanelToggle extends Parameter<keyof SessionSettings> {
  readonly kind: 'toggle';
  readonly value: boolean;
  /** What it means, shown while it is on. */
  readonly note?: string;
}

export interface PanelRange extends Parameter<keyof SessionSettings> {
  readonly kind: 'range';
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

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

/** The model's own estimate of its mask's IoU, which goes beyond 1. */
export function confidenceText(predictedIou: number): string {
  return Math.min(1, Math.max(0, predictedIou)).toFixed(2);
}
