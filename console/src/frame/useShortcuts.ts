import { useEffect } from 'react';
import { useLocation } from 'wouter';

import { ROOMS } from '../rooms';
import { panels } from './panels';
import { keepTyped } from './typedAhead';

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}

/** Listens for the keys that work everywhere. */
export function useShortcuts(): void {
  const [, navigate] = useLocation();
  useEffect(() => {
    let waiting = 0;
    const onKey = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        panels.set((panel) => (panel === 'palette' ? null : 'palette'));
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || panels.get()) return;
      if (event.key === '?') panels.set('shortcuts');
      else if (event.key === 'g') waiting = Date.now();
      else if (Date.now() - waiting < 1200) {
        const path = event.key === 'l' ? '/load' : ROOMS.find((room) => room.key === event.key)?.path;
        waiting = 0;
        if (path) {
          event.preventDefault();
          navigate(path);
        }
      }
    };
    window.addEventListener('keydown', onKey);
    window.addEventListener('keydown', keepTyped, { capture: true });
    return () => {
      window.removeEventListener('keydown', onKey);
      window.removeEventListener('keydown', keepTyped, { capture: true });
    };
  }, [navigate]);
}
