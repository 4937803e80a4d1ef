import { count, percent } from '../../lib/format';
import type { ColumnProfile } from '../../services/types';
import classes from './Shape.module.css';
import { shortValue } from './values';

const HEIGHT = 28;
const WIDTH = 200;

/** How a column's values lie: a small histogram for what can be ordered, the commonest values for the rest. */
export function Shape({ profile, rows }: { profile: ColumnProfile; rows: number }) {
  if (profile.histogram && profile.histogram.length > 1) return <Sparkline profile={profile} width={WIDTH} height={HEIGHT} />;
  if (profile.top && profile.top.length > 0) return <TopLine profile={profile} rows={rows} />;
  return <span className="quiet">{profile.missing === rows ? 'all missing' : 'all different'}</span>;
}

export function Sparkline({ profile, width, height }: { profile: ColumnProfile; width: number; height: number }) {
  const bins = profile.histogram ?? [];
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const step = width / bins.length;
  const gap = bins.length > 40 ? 0.5 : 1.5;
  return (
    <svg width="100%" height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" className={classes.spark} role="img" aria-label={`Histogram of ${profile.name} from ${shortValue(profile.min, profile.type)} to ${shortValue(profile.max, profile.type)}`}>
      {bins.map((bin, index) => {
        const size = bin.count === 0 ? 0 : Math.max(1.5, (bin.count / most) * (height - 1));
        return (
          <rect key={index} x={index * step} y={height - size} width={Math.max(0.5, step - gap)} height={size}>
            <title>{`${shortValue(bin.low, profile.type)} to ${shortValue(bin.high, profile.type)}: ${count(bin.count)} rows`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function TopLine({ profile, rows }: { profile: ColumnProfile; rows: number }) {
  const top = (profile.top ?? []).slice(0, 3);
  const first = top[0]?.count ?? 0;
  // Values that each come once say nothing by their shares.
  if (first <= 1 && rows > 1) return <span className="quiet">all different</span>;
  return (
    <span className={classes.top}>
      {top.map((value, index) => (
        <span key={index} className={classes.chip} title={`${shortValue(value.value, profile.type)}: ${count(value.count)} rows`}>
          <span className={classes.chipFill} style={{ width: `${rows > 0 ? (value.count / rows) * 100 : 0}%` }} aria-hidden="true" />
          <span className="ellipsis">{shortValue(value.value, profile.type)}</span>
          <span className={`num ${classes.share}`}>{percent(value.count, rows)}</span>
        </span>
      ))}
    </span>
  );
}
