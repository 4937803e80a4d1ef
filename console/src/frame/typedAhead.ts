import { panels } from './panels';

let typed = '';

/** What was typed between Ctrl-K and the palette's field being there. */
export function takeTyped(): string {
  const taken = typed;
  typed = '';
  return taken;
}

/** Keeps letters for the palette that is about to appear, which would otherwise go into the page below. */
export function keepTyped(event: KeyboardEvent): void {
  if (panels.get() !== 'palette') {
    typed = '';
    return;
  }
  if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLInputElement && event.target.closest('[role=dialog]')) return;
  event.preventDefault();
  event.stopPropagation();
  typed += event.key;
}
