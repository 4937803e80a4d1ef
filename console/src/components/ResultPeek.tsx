import { plural } from '../lib/format';
import type { ResultSet } from '../lib/result';
import classes from './ResultPeek.module.css';

const ROWS = 5;
const COLUMNS = 4;

/** The first cells of a result, for a card. */
export function ResultPeek({ result }: { result: ResultSet }) {
  const columns = result.columns.slice(0, COLUMNS);
  const rows = Array.from({ length: Math.min(ROWS, result.rows) }, (_, row) => row);
  return (
    <div className={classes.peek}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" data-kind={column.kind}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row}>
              {columns.map((column, index) => (
                <td key={column.name} data-kind={column.kind}>
                  {result.text(row, index) ?? <span className="quiet">null</span>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p className="quiet small">{plural(result.rows, 'row')}</p>
    </div>
  );
}
