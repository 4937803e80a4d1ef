import { useEffect } from 'react';

import { makeStore } from '../lib/store';

export interface Crumb {
  name: string;
  href?: string;
}

export const crumbStore = makeStore<Crumb[]>([]);

/** Says where the person is: the top bar and the browser's title show it. */
export function useCrumbs(crumbs: Crumb[]): void {
  const text = JSON.stringify(crumbs);
  useEffect(() => {
    const parsed = JSON.parse(text) as Crumb[];
    crumbStore.set(parsed);
    document.title = [...parsed.map((crumb) => crumb.name).reverse(), 'Polder'].join(' · ');
  }, [text]);
}
