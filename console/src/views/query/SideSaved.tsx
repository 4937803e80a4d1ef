import { ActionIcon, Tooltip } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useLocation } from 'wouter';

import { Failure } from '../../components/Failure';
import { IconBookmark, IconTrash } from '../../components/icons';
import { toast } from '../../components/Toasts';
import { api } from '../../services/api';
import { useSavedQueries } from '../../services/hooks';
import { openSaved, type QueryTab, tabStore } from '../../services/tabs';
import type { SavedQuery } from '../../services/types';
import classes from './Side.module.css';

/** The saved queries; deleting one can be undone. */
export function SideSaved({ tab }: { tab: QueryTab }) {
  const saved = useSavedQueries();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const again = (): Promise<void> => client.invalidateQueries({ queryKey: ['saved'] });
  const remove = async (query: SavedQuery): Promise<void> => {
    await api.deleteSavedQuery(query.id);
    tabStore.set((tabs) => tabs.map((item) => (item.savedId === query.id ? { ...item, savedId: null } : item)));
    await again();
    toast(`Deleted “${query.name}”`, {
      name: 'Undo',
      act: () => void api.createSavedQuery({ name: query.name, description: query.description, sql: query.sql, chart: query.chart }).then(again),
    });
  };
  if (saved.error) return <Failure error={saved.error} onRetry={() => void saved.refetch()} />;
  if (saved.data?.length === 0) return <p className={classes.none}>Queries saved with Ctrl-S appear here, and on Home with their chart.</p>;
  return (
    <ul className={classes.list} style={{ paddingTop: 8 }}>
      {saved.data?.map((query) => (
        <li key={query.id} className={classes.row}>
          <button type="button" className={classes.item} onClick={() => navigate(openSaved(query))} aria-current={query.id === tab.savedId || undefined} title={query.description || query.name}>
            <IconBookmark size={15} stroke={1.6} aria-hidden="true" />
            <span className="ellipsis">{query.name}</span>
          </button>
          <Tooltip label="Delete">
            <ActionIcon size={24} className={classes.remove} onClick={() => void remove(query)} aria-label={`Delete ${query.name}`}>
              <IconTrash size={14} stroke={1.6} />
            </ActionIcon>
          </Tooltip>
        </li>
      ))}
    </ul>
  );
}
