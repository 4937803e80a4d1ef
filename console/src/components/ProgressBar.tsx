import classes from './ProgressBar.module.css';

/** How far something is; `null` when that cannot be known. */
export function ProgressBar({ part, label }: { part: number | null; label: string }) {
  const known = part !== null && Number.isFinite(part);
  const percent = known ? Math.max(0, Math.min(100, part * 100)) : undefined;
  return (
    <div
      className={classes.track}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent === undefined ? undefined : Math.round(percent)}
      data-unknown={!known || undefined}
    >
      <div className={classes.fill} style={known ? { width: `${percent}%` } : undefined} />
    </div>
  );
}
