import { lazy, Suspense, useMemo } from 'react';

import { Failure } from '../../components/Failure';
import { Grid } from '../../components/grid/Grid';
import { IconCircleCheck, IconInfoCircle } from '../../components/icons';
import { Prose } from '../../components/Prose';
import { count, plural } from '../../lib/format';
import type { ResultSet } from '../../lib/result';
import { fits, suggestChart } from '../../lib/suggest';
import { ROW_LIMIT } from '../../services/statements';
import { type QueryTab, updateTab } from '../../services/tabs';
import { PlanView } from './plan/PlanView';
import { planShown, useExplained } from './plan/useExplained';
import { RunProgress } from './RunProgress';
import type { Run } from './runs';
import classes from './Results.module.css';

const ChartView = lazy(() => import('./ChartView'));

interface Props {
  tab: QueryTab;
  run: Run | undefined;
  onRetry: () => void;
}

/** What the last run of a tab gave: rows, a chart, an error, or how far it is. */
export function Results({ tab, run, onRetry }: Props) {
  return (
    <section className={classes.results} id="query-results" role="tabpanel" aria-label="Result">
      {run?.phase === 'running' && <RunProgress run={run} />}
      <Body tab={tab} run={run} onRetry={onRetry} />
    </section>
  );
}

function Body({ tab, run, onRetry }: Props) {
  const explained = useExplained(run);
  if (!run) return <Nothing />;
  if (run.phase === 'failed' && run.error) {
    return (
      <div className={classes.message}>
        <Failure error={run.error} what="The statement failed" start={run.start} onRetry={onRetry} />
      </div>
    );
  }
  if (run.phase === 'cancelled') return <div className={classes.empty}>The statement was cancelled. Nothing of it was kept.</div>;
  if (!run.result) return null;
  if (run.phase === 'done' && run.result.columns.length === 0) return <Done run={run} />;
  if (run.result.columns.length === 0) return null;
  const plan = explained && planShown(tab, explained);
  return (
    <>
      <Notes run={run} />
      {explained && plan !== null && plan !== 'table' ? (
        <div className={classes.grid}>
          <PlanView key={run.queryId} explained={explained} as={plan} />
        </div>
      ) : (
        <Rows tab={tab} run={run} result={run.result} charted={tab.view === 'chart' && !explained} />
      )}
    </>
  );
}

function Rows({ tab, run, result, charted }: { tab: QueryTab; run: Run; result: ResultSet; charted: boolean }) {
  if (charted) {
    return (
      <Suspense fallback={null}>
        <Charted tab={tab} run={run} />
      </Suspense>
    );
  }
  return (
    <div className={classes.grid}>
      {result.rows === 0 && run.phase === 'done' && <p className={classes.noRows}>No rows. The statement ran; nothing matched.</p>}
      <Grid key={run.queryId} result={result} version={run.version} label="Result" />
    </div>
  );
}

function Charted({ tab, run }: { tab: QueryTab; run: Run }) {
  const { result } = run;
  const suggested = useMemo(() => (result ? suggestChart(result.columns, result.rows) : null), [result, run.version]);
  if (!result || !suggested) return null;
  const kept = tab.chart && fits(tab.chart, result.columns) ? tab.chart : null;
  return <ChartView key={run.queryId} result={result} spec={kept ?? suggested} sql={run.sql} onChange={(chart) => updateTab(tab.id, { chart })} />;
}

function Notes({ run }: { run: Run }) {
  const notes: string[] = [];
  if (run.answer?.cut) notes.push(`Cut at ${count(ROW_LIMIT)} rows: there may be more. Narrow the query, or export all of it with \`polder sql\`.`);
  for (const notice of run.answer?.notices ?? []) notes.push(notice.hint ? `${notice.message}; ${notice.hint}` : notice.message);
  if (notes.length === 0) return null;
  return (
    <div className={classes.notes} role="note">
      {notes.map((note) => (
        <p key={note}>
          <IconInfoCircle size={14} aria-hidden="true" /> <Prose text={note} />
        </p>
      ))}
    </div>
  );
}

function Done({ run }: { run: Run }) {
  const { answer } = run;
  return (
    <div className={classes.empty}>
      <IconCircleCheck size={18} color="var(--good)" aria-hidden="true" />
      <span>
        Done: {answer?.command}
        {answer?.rowsChanged !== null && answer?.rowsChanged !== undefined && `, ${plural(answer.rowsChanged, 'row')} changed`}
      </span>
    </div>
  );
}

function Nothing() {
  return (
    <div className={classes.empty}>
      <span>
        Rows and charts appear here. Press <kbd className={classes.key}>Ctrl</kbd> <kbd className={classes.key}>Enter</kbd> to run the statement under the cursor.
      </span>
    </div>
  );
}
