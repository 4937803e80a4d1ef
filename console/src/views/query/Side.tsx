import { ActionIcon, SegmentedControl } from '@mantine/core';
import { useState } from 'react';

import { IconX } from '../../components/icons';
import { remember, remembered } from '../../lib/store';
import type { QueryTab } from '../../services/tabs';
import { SideHistory } from './SideHistory';
import { SideSaved } from './SideSaved';
import { SideTables } from './SideTables';
import classes from './Side.module.css';

const KEY = 'polder.query.panel';
type Part = 'tables' | 'saved' | 'history';

interface Props {
  tab: QueryTab;
  onInsert: (text: string) => void;
  onClose: () => void;
}

/** Beside the editor: the tables and their columns, the saved queries, what ran before. */
export function Side({ tab, onInsert, onClose }: Props) {
  const [part, setPart] = useState<Part>(() => remembered<Part>(KEY, 'tables'));
  const choose = (value: string): void => {
    setPart(value as Part);
    remember(KEY, value);
  };
  return (
    <aside className={classes.side} aria-label="Tables, saved queries and history">
      <div className={classes.head}>
        <SegmentedControl
          aria-label="Show"
          value={part}
          onChange={choose}
          fullWidth
          data={[
            { value: 'tables', label: 'Tables' },
            { value: 'saved', label: 'Saved' },
            { value: 'history', label: 'History' },
          ]}
        />
        <ActionIcon onClick={onClose} aria-label="Back to the editor" className={classes.close}>
          <IconX size={16} />
        </ActionIcon>
      </div>
      {part === 'tables' && <SideTables onInsert={onInsert} />}
      {part === 'saved' && <SideSaved tab={tab} />}
      {part === 'history' && <SideHistory />}
    </aside>
  );
}
