import { useLocation } from 'wouter';

import { count, percent } from '../../lib/format';
import { quoteName, quoteTable } from '../../lib/sql';
import { openSql } from '../../services/tabs';
import type { ColumnProfile, TableColumn, TableDetail } from '../../services/types';
import { Sparkline } from './Shape';
import { shortValue } from './values';
import classes from './Columns.module.css';

interface Props {
  column: TableColumn;
  profile: ColumnProfile;
  rows: number;
  table: TableDetail;
}

/** A column's profile in full. */
export function ColumnDetail({ column, profile, rows, table }: Props) {
  const [, navigate] = useLocation();
  const name = quoteName(column.name);
  const sql = `SELECT ${name}, count(*) AS rows\nFROM ${quoteTable(table.schema, table.name)}\nGROUP BY ${name}\nORDER BY rows DESC\nLIMIT 50`;
  const facts: [string, string][] = [
    ['Rows', count(rows)],
    ['Missing', `${count(profile.missing)} (${percent(profile.missing, rows)})`],
    ['Distinct', profile.distinct === null ? '–' : `${profile.distinct_exact ? '' : 'about '}${count(profile.distinct)}`],
    ['Smallest', shortValue(profile.min, profile.type)],
    ['Largest', shortValue(profile.max, profile.type)],
  ];
  if (profile.mean !== null) facts.push(['Mean', shortValue(profile.mean, profile.type)]);
  if (column.default !== null) facts.push(['Default', column.default]);
  return (
    <div className={classes.inside}>
      <dl className={classes.facts}>
        {facts.map(([key, value]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd className="num">{value}</dd>
          </div>
        ))}
      </dl>
      {profile.histogram && profile.histogram.length > 1 && (
        <figure className={classes.histogram}>
          <figcaption className="small second">Distribution</figcaption>
          <Sparkline profile={profile} width={360} height={120} />
          <div className={`${classes.ends} small quiet num`}>
            <span>{shortValue(profile.min, profile.type)}</span>
            <span>{shortValue(profile.max, profile.type)}</span>
          </div>
        </figure>
      )}
      {profile.top && profile.top.length > 0 && (
        <div className={classes.topList}>
          <p className="small second">Commonest values</p>
          <ul>
            {profile.top.slice(0, 8).map((value, index) => (
              <li key={index}>
                <span className="ellipsis" title={shortValue(value.value, profile.type)}>
                  {shortValue(value.value, profile.type)}
                </span>
                <span className={classes.topTrack} aria-hidden="true">
                  <span style={{ width: `${(value.count / Math.max(1, profile.top?.[0]?.count ?? 1)) * 100}%` }} />
                </span>
                <span className="num second">{count(value.count)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
      <button type="button" className={classes.open} onClick={() => navigate(openSql(sql, { run: true, view: 'chart' }))}>
        Query these values
      </button>
    </div>
  );
}
