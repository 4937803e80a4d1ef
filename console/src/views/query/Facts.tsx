import { isExplained } from '../../lib/explain';
import { bytes, duration, plural } from '../../lib/format';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../services/api';
import type { Run } from './runs';
import classes from './Toolbar.module.css';

/** What a run came to: rows, time, what was read, and of which version. */
export function Facts({ run }: { run: Run | undefined }) {
  // The record has the final counts of what was read; it is asked for once, when the run has ended.
  const record = useQuery({
    queryKey: ['record', run?.queryId],
    queryFn: () => api.query(run?.queryId ?? ''),
    enabled: run?.phase === 'done',
    staleTime: Infinity,
    retry: false,
  }).data;
  if (!run || run.phase === 'running') return null;
  const facts: string[] = [];
  if (run.phase === 'done' && run.answer) {
    const { answer } = run;
    if (answer.rowsChanged !== null) facts.push(`${plural(answer.rowsChanged, 'row')} changed`);
    else if (answer.result.columns.length > 0 && !isExplained(answer.result.columns, answer.command, run.sql)) facts.push(plural(answer.result.rows, 'row'));
    else facts.push(answer.command);
    facts.push(duration(run.elapsedMs));
    if (record && record.rows_scanned > 0) facts.push(`${plural(record.rows_scanned, 'row')}, ${bytes(record.bytes_scanned)} read`);
    if (answer.snapshot !== null) facts.push(`version ${answer.snapshot}`);
  } else if (run.phase === 'cancelled') facts.push(`Cancelled after ${duration(run.elapsedMs)}`);
  else facts.push(`Failed after ${duration(run.elapsedMs)}`);
  return (
    <span className={`num second ${classes.facts}`} role="status">
      {facts.map((fact, index) => (
        <span key={fact} data-place={index}>
          {fact}
        </span>
      ))}
    </span>
  );
}
