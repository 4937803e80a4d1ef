import { useLocation } from 'wouter';

import { LoadTarget } from '../../components/LoadTarget';
import { openSql } from '../../services/tabs';
import classes from './Home.module.css';

const SAMPLE = `-- A table made of nothing but numbers, to look around with.
CREATE TABLE sample AS
SELECT day, round(100 + 40 * sin(day / 9.0) + day % 7, 1) AS amount
FROM generate_series(1, 365) AS day;

SELECT day, amount
FROM sample
ORDER BY day`;

/** The first page of a new lake: one thing to do. */
export function EmptyLake() {
  const [, navigate] = useLocation();
  return (
    <>
      <LoadTarget />
      <p className={classes.sample}>
        No file at hand?{' '}
        <button type="button" className={classes.plain} onClick={() => navigate(openSql(SAMPLE, { name: 'Sample data', run: true, view: 'chart' }))}>
          Make a sample table
        </button>
        , or start Polder with <code>polder up --demo</code> for the flights of 2013.
      </p>
    </>
  );
}
