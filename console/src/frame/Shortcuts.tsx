import { Fragment } from 'react';

import { Dialog } from '../components/Dialog';
import { ROOMS } from '../rooms';
import { panels } from './panels';
import classes from './Shortcuts.module.css';

const GROUPS: { name: string; keys: [string[], string][] }[] = [
  {
    name: 'Everywhere',
    keys: [
      [['Ctrl', 'K'], 'Search pages, tables, saved queries and actions'],
      ...ROOMS.map((room): [string[], string] => [['g', room.key], `Go to ${room.name}`]),
      [['g', 'l'], 'Load a file'],
      [['?'], 'Show this list'],
      [['Esc'], 'Close what is open'],
    ],
  },
  {
    name: 'Lists',
    keys: [
      [['/'], 'Filter'],
      [['↑', '↓'], 'Move'],
      [['Enter'], 'Open'],
    ],
  },
  {
    name: 'Query',
    keys: [
      [['Ctrl', 'Enter'], 'Run the statement under the cursor, or the selection'],
      [['Ctrl', 'Shift', 'Enter'], 'Run everything'],
      [['Esc'], 'Cancel what is running'],
      [['Ctrl', 'S'], 'Save the query'],
      [['Ctrl', 'Space'], 'Complete a name'],
      [['Esc', 'Tab'], 'Leave the editor'],
    ],
  },
  {
    name: 'Results',
    keys: [
      [['↑', '↓', '←', '→'], 'Move between cells; with Shift, select'],
      [['Enter'], 'Show a cell whole, or all of an operator in a plan'],
      [['Ctrl', 'C'], 'Copy the selected cells'],
      [['Ctrl', 'A'], 'Select all'],
      [['Alt', '←', '→'], 'Resize the column whose name has the focus'],
    ],
  },
];

/** All the keys. */
export default function Shortcuts() {
  return (
    <Dialog title="Keyboard shortcuts" size={720} onClose={() => panels.set(null)}>
      <div className={classes.groups}>
        {GROUPS.map((group) => (
          <section key={group.name}>
            <h3>{group.name}</h3>
            <dl>
              {group.keys.map(([keys, what]) => (
                <div key={what} className={classes.row}>
                  <dt>
                    {keys.map((key, index) => (
                      <Fragment key={key + index}>
                        <kbd>{key}</kbd>
                      </Fragment>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
