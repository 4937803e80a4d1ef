import { ActionIcon, Tooltip } from '@mantine/core';
import { useLocation } from 'wouter';

import { IconLayoutSidebar, IconPlus, IconX } from '../../components/icons';
import { toast } from '../../components/Toasts';
import { closeTab, openSql, type QueryTab, tabStore, titleOf } from '../../services/tabs';
import type { SavedQuery } from '../../services/types';
import { forgetRun, type Run } from './runs';
import { isDirty } from './saving';
import classes from './TabStrip.module.css';

interface Props {
  tabs: QueryTab[];
  shown: string;
  runs: ReadonlyMap<string, Run>;
  saved: SavedQuery[];
  side: boolean;
  onSide: () => void;
}

/** The open queries. A dot means: differs from what is saved; a ring: running. */
export function TabStrip({ tabs, shown, runs, saved, side, onSide }: Props) {
  const [, navigate] = useLocation();
  const show = (id: string): void => navigate(`/query?tab=${id}`);
  const close = (tab: QueryTab): void => {
    const before = tabStore.get();
    const next = closeTab(tab.id);
    forgetRun(tab);
    if (tab.id === shown) show(next);
    if (tab.sql.trim() === '' || (tab.savedId && !isDirty(tab, saved))) return;
    toast(`Closed “${titleOf(tab)}”`, {
      name: 'Undo',
      act: () => {
        tabStore.set(before);
        show(tab.id);
      },
    });
  };
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const move = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const tab = tabs[index];
    if (event.key === 'Delete' && tab) close(tab);
    const next = move === 0 ? undefined : tabs[(index + move + tabs.length) % tabs.length];
    if (!next) return;
    show(next.id);
    document.getElementById(`query-tab-${next.id}`)?.focus();
  };
  return (
    <div className={classes.strip}>
      <Tooltip label={side ? 'Hide tables and history' : 'Tables, saved queries, history'}>
        <ActionIcon onClick={onSide} aria-label="Side panel" aria-pressed={side} className={classes.side}>
          <IconLayoutSidebar size={18} stroke={1.6} />
        </ActionIcon>
      </Tooltip>
      <div role="tablist" aria-label="Open queries" className={classes.tabs}>
        {tabs.map((tab, index) => (
          <div key={tab.id} role="presentation" className={classes.tab} data-shown={tab.id === shown || undefined} onAuxClick={(event) => event.button === 1 && close(tab)}>
            <button
              type="button"
              role="tab"
              id={`query-tab-${tab.id}`}
              aria-selected={tab.id === shown}
              aria-controls="query-results"
              tabIndex={tab.id === shown ? 0 : -1}
              onClick={() => show(tab.id)}
              onKeyDown={(event) => onKeyDown(event, index)}
              title={titleOf(tab)}
            >
              {runs.get(tab.id)?.phase === 'running' && <span className={classes.ring} role="img" aria-label="running" />}
              <span className="ellipsis">{titleOf(tab)}</span>
              {isDirty(tab, saved) && <span className={classes.dirty} role="img" aria-label="not saved" />}
            </button>
            <span role="presentation" className={classes.closer} onClick={() => close(tab)} title="Close (Delete)" data-close={tab.id}>
              <IconX size={13} aria-hidden="true" />
            </span>
          </div>
        ))}
      </div>
      <Tooltip label="New query">
        <ActionIcon onClick={() => navigate(openSql(''))} aria-label="New query">
          <IconPlus size={16} />
        </ActionIcon>
      </Tooltip>
    </div>
  );
}
