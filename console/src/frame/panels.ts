import { makeStore } from '../lib/store';

/** What lies over the page: one thing at a time. */
export const panels = makeStore<'palette' | 'shortcuts' | null>(null);
