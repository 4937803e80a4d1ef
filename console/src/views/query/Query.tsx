import { useMediaQuery } from '@mantine/hooks';
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useLocation, useSearch } from 'wouter';

import { IconLayoutSidebar, IconPlayerPlay, IconPlayerStop } from '../../components/icons';
import { useCrumbs } from '../../frame/crumbs';
import { usePageActions } from '../../frame/pageActions';
import { remember, remembered, useStore } from '../../lib/store';
import { isReadOnly } from '../../lib/sql';
import { useRefresh, useSavedQueries } from '../../services/hooks';
import { openSaved, openSql, tabStore, takeRun, titleOf, updateTab } from '../../services/tabs';
import type { ChartSpec } from '../../services/types';
import { Editor, type EditorHandle } from './Editor';
import { Results } from './Results';
import { Side } from './Side';
import { SplitBar } from './SplitBar';
import { TabStrip } from './TabStrip';
import { Toolbar } from './Toolbar';
import { cancelRun, runStore, startRun } from './runs';
import classes from './Query.module.css';

const SPLIT_KEY = 'polder.query.split';
const SIDE_KEY = 'polder.query.side';
/** As in Query.module.css: here the side has no room beside the editor. */
const NARROW = '(max-width: 720px)';
/** A reload runs the last statement again by itself when it only asked and was quicker than this. */
const RERUN_MS_MAX = 5_000;

/** The editor, its tabs, and their results. */
export default function Query() {
  const [, navigate] = useLocation();
  const search = new URLSearchParams(useSearch());
  const tabs = useStore(tabStore);
  const runs = useStore(runStore);
  const refresh = useRefresh();
  const client = useQueryClient();
  const saved = useSavedQueries().data;
  const editor = useRef<EditorHandle>(null);
  const [split, setSplit] = useState(() => remembered(SPLIT_KEY, 0.38));
  const [side, toggleSide] = useSide();
  const tab = tabs.find((item) => item.id === search.get('tab')) ?? tabs[tabs.length - 1];
  const run = tab ? runs.get(tab.id) : undefined;
  useCrumbs([{ name: 'Query', href: '/query' }, ...(tab ? [{ name: titleOf(tab) }] : [])]);
  useSharedLink();
  usePageActions(
    tab
      ? [
          run?.phase === 'running'
            ? { id: 'cancel', name: 'Cancel the statement', icon: IconPlayerStop, keys: 'Esc', act: () => cancelRun(tab.id) }
            : { id: 'run', name: 'Run the statement', icon: IconPlayerPlay, keys: 'Ctrl ↵', act: () => editor.current?.run() },
          { id: 'side', name: side ? 'Hide tables and history' : 'Show tables and history', icon: IconLayoutSidebar, act: toggleSide },
        ]
      : [],
  );

  // An address with a saved query's id opens it; one without a tab gets the tab it shows.
  const wanted = search.get('saved');
  const shownInUrl = search.get('tab');
  useEffect(() => {
    if (wanted) {
      const query = saved?.find((item) => item.id === wanted);
      if (query) navigate(openSaved(query), { replace: true });
    } else if (tab && shownInUrl !== tab.id && !location.hash) navigate(`/query?tab=${tab.id}`, { replace: true });
  }, [wanted, saved, tab, shownInUrl, navigate]);

  const start = useCallback(
    (sql: string, offset: number) => {
      if (!tab || sql.trim() === '') return;
      // The count in the top bar learns of what takes longer than a moment.
      setTimeout(() => void client.invalidateQueries({ queryKey: ['running'] }), 700);
      void startRun(tab, sql, offset, () => {
        if (!isReadOnly(sql)) refresh();
        else for (const key of ['running', 'queries']) void client.invalidateQueries({ queryKey: [key] });
      });
    },
    [tab, refresh, client],
  );

  const tabId = tab?.id;
  useEffect(() => {
    if (!tab) return;
    const asked = takeRun(tab.id);
    const known = runStore.get().has(tab.id);
    if (asked) start(tab.sql, 0);
    else if (!known && tab.last && tab.last.ms < RERUN_MS_MAX && isReadOnly(tab.last.sql)) start(tab.last.sql, Math.max(0, tab.sql.indexOf(tab.last.sql)));
    // Only a change of tab decides this, not every keystroke in it.
  }, [tabId]);

  if (!tab) return null;
  return (
    <div className={classes.room} data-side={side || undefined}>
      <h1 className="hidden-visually">Query</h1>
      {side && <Side tab={tab} onInsert={(text) => editor.current?.insert(text)} onClose={toggleSide} />}
      <div className={classes.work}>
        <TabStrip tabs={tabs} shown={tab.id} runs={runs} saved={saved ?? []} side={side} onSide={toggleSide} />
        <div className={classes.editor} style={{ flexBasis: `${split * 100}%` }}>
          <Editor
            key={tab.id}
            ref={editor}
            value={tab.sql}
            error={run?.phase === 'failed' && run.error ? { error: run.error, offset: run.offset, sql: run.sql } : null}
            onChange={(sql) => updateTab(tab.id, { sql })}
            onRun={start}
            onCancel={() => cancelRun(tab.id)}
          />
        </div>
        <SplitBar
          value={split}
          onChange={(value) => {
            setSplit(value);
            remember(SPLIT_KEY, value);
          }}
        />
        <Toolbar tab={tab} run={run} onRun={() => editor.current?.run()} onCancel={() => cancelRun(tab.id)} onStatement={(sql) => start(sql, 0)} />
        <Results tab={tab} run={run} onRetry={() => run && start(run.sql, run.offset)} />
      </div>
    </div>
  );
}

/** Whether the side is open. Where it covers the editor it begins closed, and what is done to it there is not remembered. */
function useSide(): [boolean, () => void] {
  const narrow = useMediaQuery(NARROW, undefined, { getInitialValueInEffect: false }) ?? false;
  const [wide, setWide] = useState(() => remembered(SIDE_KEY, window.innerWidth > 1100));
  const [over, setOver] = useState(false);
  useEffect(() => setOver(false), [narrow]);
  const toggle = (): void => {
    if (narrow) return setOver(!over);
    setWide(!wide);
    remember(SIDE_KEY, !wide);
  };
  return [narrow ? over : wide, toggle];
}

/** Opens the query that a shared address carries behind its `#`. */
function useSharedLink(): void {
  const [, navigate] = useLocation();
  useEffect(() => {
    const read = (): void => {
      const params = new URLSearchParams(location.hash.slice(1));
      const sql = params.get('sql');
      if (!sql) return;
      let chart: ChartSpec | null = null;
      try {
        chart = JSON.parse(params.get('chart') ?? 'null') as ChartSpec | null;
      } catch {
        // A damaged link still carries its SQL.
      }
      // Shared SQL is shown first and runs when the person says so: it may change data.
      history.replaceState(null, '', '/query');
      navigate(openSql(sql, { chart, view: chart ? 'chart' : 'table', run: isReadOnly(sql) }), { replace: true });
    };
    read();
    window.addEventListener('hashchange', read);
    return () => window.removeEventListener('hashchange', read);
  }, [navigate]);
}
