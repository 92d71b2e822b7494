/**
 * Whether a key belongs to the control it is pressed in rather than to the annotator: letters to a text field, arrows to
 * a slider. A slider or a box that was just used does not swallow S, C or [.
 */
export function isTyping(target: EventTarget | null, code: string): boolean {
  if (!(target instanceof Element)) return false;
  const control = target.closest('input, select, textarea, dialog');
  if (!control) return false;
  if (!(control instanceof HTMLInputElement)) return true;
  if (control.type === 'range') return /^(Arrow|Page|Home|End)/.test(code);
  if (control.type === 'checkbox') return code === 'Space';
  return true;
}
