import { plural } from '../../lib/format';
import { tally } from '../../lib/timeline';
import type { JobRun } from '../../services/types';
import classes from './Recent.module.css';

const SHOWN = 12;

/** How the last runs of a job went, the newest at the right. Runs come with the newest first. */
export function Recent({ runs }: { runs: JobRun[] }) {
  const shown = runs.slice(0, SHOWN).reverse();
  if (shown.length === 0) return <span className="quiet">–</span>;
  const said = tally(shown)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');
  return (
    <span className={classes.strip} role="img" aria-label={`The last ${plural(shown.length, 'run')}: ${said}`} title={said}>
      {shown.map((run) => (
        <i key={run.run_id} data-state={run.state} />
      ))}
    </span>
  );
}
