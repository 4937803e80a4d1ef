import { useEffect, useRef } from 'react';

import { makeStore } from '../lib/store';
import type { PaletteItem } from './paletteItems';

/** What a page offers beside what is offered everywhere. */
export type PageAction = Omit<PaletteItem, 'group'>;

export const pageActionStore = makeStore<PageAction[]>([]);

/** Offers by Ctrl-K what the page that is open can do, for as long as it is open. */
export function usePageActions(actions: PageAction[]): void {
  const latest = useRef(actions);
  latest.current = actions;
  const told = JSON.stringify(actions.map(({ id, name }) => [id, name]));
  useEffect(() => {
    // What it does is asked for when it is chosen: the page goes on meanwhile.
    const act = (id: string) => (): void => latest.current.find((action) => action.id === id)?.act();
    pageActionStore.set(latest.current.map((action) => ({ ...action, act: act(action.id) })));
    return () => pageActionStore.set([]);
  }, [told]);
}
