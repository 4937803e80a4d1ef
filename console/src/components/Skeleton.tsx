import classes from './Skeleton.module.css';

/** A grey shape of the size of what comes. */
export function Skeleton({ width = '100%', height = 16, className }: { width?: number | string; height?: number | string; className?: string }) {
  return <span className={`${classes.skeleton} ${className ?? ''}`} style={{ width, height }} aria-hidden="true" />;
}

/** Rows of a list that is on its way. */
export function SkeletonRows({ rows, height = 36 }: { rows: number; height?: number }) {
  return (
    <div aria-busy="true" role="status">
      <span className="hidden-visually">Loading</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={classes.row} style={{ height }}>
          <Skeleton width={`${28 + ((row * 17) % 30)}%`} height={12} />
          <Skeleton width="10%" height={12} />
          <Skeleton width="8%" height={12} />
        </div>
      ))}
    </div>
  );
}
