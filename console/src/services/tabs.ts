import { makeStore, remember, remembered } from '../lib/store';
import { uuid } from './client';
import type { ChartSpec, SavedQuery } from './types';

/** One tab of the editor. Kept by the browser; the address names the open one. */
export interface QueryTab {
  id: string;
  sql: string;
  /** The saved query that it shows, if any. */
  savedId: string | null;
  name: string | null;
  chart: ChartSpec | null;
  view: 'table' | 'chart';
  /** How it shows plans; a tree when nothing was chosen. */
  plan?: 'plan' | 'text' | 'table';
  /** Statements of one tab share a conversation: transactions and settings. */
  session: string;
  /** What ran last, so that a reload can show it again. */
  last: { sql: string; ms: number; at: number } | null;
}

const KEY = 'polder.tabs';

function blank(): QueryTab {
  return { id: uuid().slice(0, 8), sql: '', savedId: null, name: null, chart: null, view: 'table', session: uuid(), last: null };
}

const kept = remembered<QueryTab[]>(KEY, []);
export const tabStore = makeStore<QueryTab[]>(Array.isArray(kept) && kept.length > 0 ? kept : [blank()]);

let saving = 0;
function saveSoon(): void {
  clearTimeout(saving);
  saving = window.setTimeout(() => remember(KEY, tabStore.get()), 250);
}
tabStore.watch(saveSoon);
window.addEventListener('pagehide', () => remember(KEY, tabStore.get()));

/** Tabs whose query should run as soon as they are shown. */
const runSoon = new Set<string>();
export const takeRun = (id: string): boolean => runSoon.delete(id);

export function updateTab(id: string, change: Partial<QueryTab>): void {
  tabStore.set((tabs) => tabs.map((tab) => (tab.id === id ? { ...tab, ...change } : tab)));
}

/** Opens a tab, in place of an empty one; gives the address of it. */
function open(tab: QueryTab, run: boolean): string {
  tabStore.set((tabs) => {
    const used = tabs.filter((other) => other.sql.trim() !== '' || other.savedId);
    return [...used, tab];
  });
  if (run) runSoon.add(tab.id);
  return `/query?tab=${tab.id}`;
}

export function openSql(sql: string, options: { chart?: ChartSpec | null; view?: 'table' | 'chart'; run?: boolean; name?: string } = {}): string {
  return open({ ...blank(), sql, chart: options.chart ?? null, view: options.view ?? 'table', name: options.name ?? null }, options.run ?? false);
}

export function openSaved(query: SavedQuery): string {
  const shown = tabStore.get().find((tab) => tab.savedId === query.id);
  if (shown) {
    if (!shown.last) runSoon.add(shown.id);
    return `/query?tab=${shown.id}`;
  }
  const view = query.chart && query.chart.kind !== 'table' ? 'chart' : 'table';
  return open({ ...blank(), sql: query.sql, savedId: query.id, name: query.name, chart: query.chart, view }, true);
}

/** Closes a tab; the last one closed leaves an empty one. Gives the tab to show instead. */
export function closeTab(id: string): string {
  const tabs = tabStore.get();
  const index = tabs.findIndex((tab) => tab.id === id);
  const rest = tabs.filter((tab) => tab.id !== id);
  const next = rest.length > 0 ? rest : [blank()];
  tabStore.set(next);
  return (next[Math.min(Math.max(0, index), next.length - 1)] ?? next[0])?.id ?? '';
}

/** What a tab is called: its query's name, else its first words. */
export function titleOf(tab: QueryTab): string {
  if (tab.name) return tab.name;
  const text = tab.sql.replace(/--.*$/gm, '').replace(/\s+/g, ' ').trim();
  return text === '' ? 'New query' : text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
