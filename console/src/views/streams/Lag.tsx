import { count } from '../../lib/format';
import classes from './Streams.module.css';

/** Records that have not been read. */
export function Lag({ lag }: { lag: number | null }) {
  if (lag === null) return <span className="quiet">–</span>;
  return (
    <span className={classes.lag} data-behind={lag > 0 || undefined}>
      {lag === 0 ? 'nothing' : count(lag)}
    </span>
  );
}
