import { useMediaQuery } from '@mantine/hooks';
import { Fragment, useState } from 'react';

import { Failure } from '../../components/Failure';
import { IconChevronRight } from '../../components/icons';
import { Skeleton } from '../../components/Skeleton';
import { TypeIcon } from '../../components/TypeIcon';
import { compact, count, percent } from '../../lib/format';
import type { ColumnProfile, TableColumn, TableDetail } from '../../services/types';
import { ColumnDetail } from './ColumnDetail';
import { Shape } from './Shape';
import { useProfile } from './useTable';
import { extremes, shortValue } from './values';
import classes from './Columns.module.css';

/** Types and a profile: what is missing, how many values, their shape, the extremes. */
export function Columns({ detail }: { detail: TableDetail }) {
  const profile = useProfile(detail.schema, detail.name, detail.updated_at);
  const [open, setOpen] = useState<string | null>(null);
  const shownColumns = useShownColumns();
  const byName = new Map(profile.data?.columns.map((column) => [column.name, column]));
  return (
    <>
      {profile.error && <Failure error={profile.error} what="The profile could not be made" onRetry={() => void profile.refetch()} />}
      <table className={classes.table} aria-label={`Columns of ${detail.name}`}>
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col" className={classes.missingHead}>
              Missing
            </th>
            <th scope="col" className={classes.numeric}>
              Distinct
            </th>
            <th scope="col" className={classes.shapeHead}>
              Values
            </th>
            <th scope="col" className={classes.extremes}>
              From – to
            </th>
          </tr>
        </thead>
        <tbody>
          {detail.columns.map((column) => {
            const found = byName.get(column.name);
            const shown = open === column.name;
            return (
              <Fragment key={column.name}>
                <tr className={classes.row} data-open={shown || undefined}>
                  <td>
                    <button type="button" className={classes.name} aria-expanded={shown} onClick={() => setOpen(shown ? null : column.name)} disabled={!found}>
                      <IconChevronRight size={14} className={classes.chevron} aria-hidden="true" />
                      <TypeIcon type={column.type} />
                      <NameAndType column={column} />
                    </button>
                  </td>
                  {found ? <Profiled profile={found} rows={profile.data?.rows ?? 0} /> : <Waiting failed={profile.isError} />}
                </tr>
                {shown && found && (
                  <tr>
                    <td colSpan={shownColumns} className={classes.detail}>
                      <ColumnDetail column={column} profile={found} rows={profile.data?.rows ?? 0} table={detail} />
                    </td>
                  </tr>
                )}
              </Fragment>
            );
          })}
        </tbody>
      </table>
      {profile.data?.sampled && <p className="quiet small">The profile looks at a sample of the rows; counts are scaled to {count(profile.data.rows)} rows.</p>}
    </>
  );
}

/** How many columns the style sheet leaves, so that a detail spans these and makes no room for the others. */
function useShownColumns(): number {
  const middling = useMediaQuery('(max-width: 1000px)', undefined, { getInitialValueInEffect: false });
  const narrow = useMediaQuery('(max-width: 720px)', undefined, { getInitialValueInEffect: false });
  return narrow ? 3 : middling ? 4 : 5;
}

function NameAndType({ column }: { column: TableColumn }) {
  return (
    <span className={classes.names}>
      <span className={classes.columnName} title={column.name}>
        {column.name}
      </span>
      <span className="quiet small ellipsis">
        {column.type}
        {!column.nullable && ' · not null'}
        {column.comment && ` · ${column.comment}`}
      </span>
    </span>
  );
}

function Profiled({ profile, rows }: { profile: ColumnProfile; rows: number }) {
  const share = rows > 0 ? (profile.missing / rows) * 100 : 0;
  return (
    <>
      <td>
        <span className={classes.missing} data-some={profile.missing > 0 || undefined} title={`${count(profile.missing)} of ${count(rows)} rows`}>
          <span className={classes.missingTrack} aria-hidden="true">
            <span style={{ width: `${profile.missing > 0 ? Math.max(6, share) : 0}%` }} />
          </span>
          <span className="num">{percent(profile.missing, rows)}</span>
        </span>
      </td>
      <td className={`${classes.numeric} num`} title={profile.distinct === null ? undefined : count(profile.distinct)}>
        {profile.distinct === null ? '–' : `${profile.distinct_exact ? '' : '≈ '}${profile.distinct < 100_000 ? count(profile.distinct) : compact(profile.distinct)}`}
      </td>
      <td>
        <Shape profile={profile} rows={rows} />
      </td>
      <td className={`${classes.extremes} num`}>
        {profile.min === null ? (
          <span className="quiet">–</span>
        ) : profile.min === profile.max ? (
          <span className="ellipsis">{shortValue(profile.min, profile.type)}</span>
        ) : (
          <>
            <span title={String(profile.min)}>{extremes(profile)[0]}</span>
            <span className="quiet"> – </span>
            <span title={String(profile.max)}>{extremes(profile)[1]}</span>
          </>
        )}
      </td>
    </>
  );
}

function Waiting({ failed }: { failed: boolean }) {
  if (failed) return <td colSpan={4} className="quiet" />;
  return (
    <>
      <td>
        <Skeleton width={88} height={10} />
      </td>
      <td>
        <Skeleton width={40} height={10} />
      </td>
      <td>
        <Skeleton width={180} height={24} />
      </td>
      <td className={classes.extremes}>
        <Skeleton width={120} height={10} />
      </td>
    </>
  );
}
