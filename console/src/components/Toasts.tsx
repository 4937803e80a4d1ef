import { makeStore, useStore } from '../lib/store';
import classes from './Toasts.module.css';

interface Toast {
  id: number;
  text: string;
  action: { name: string; act: () => void } | null;
}

const toasts = makeStore<Toast[]>([]);
let last = 0;

/** Says what has just happened when no page shows it, with a way to undo it. Rare. */
export function toast(text: string, action: Toast['action'] = null): void {
  const id = (last += 1);
  toasts.set((list) => [...list.slice(-2), { id, text, action }]);
  setTimeout(() => close(id), 8_000);
}

function close(id: number): void {
  toasts.set((list) => list.filter((item) => item.id !== id));
}

export function Toasts() {
  const list = useStore(toasts);
  return (
    <div className={classes.toasts} role="status" aria-live="polite">
      {list.map((item) => (
        <div key={item.id} className={classes.toast}>
          <span>{item.text}</span>
          {item.action && (
            <button
              type="button"
              onClick={() => {
                item.action?.act();
                close(item.id);
              }}
            >
              {item.action.name}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
